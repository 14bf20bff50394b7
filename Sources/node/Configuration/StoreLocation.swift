public import RedisClient

/// The location of the message store.
public enum StoreLocation: Sendable, Hashable, CustomStringConvertible {
    /// In memory; lost when the process ends.
    case memory
    /// In an SQLite database, which is created if it is missing.
    case sqlite(path: String)
    /// In Redis, shared by all nodes that use it.
    case redis(RedisURL)

    /// `memory`, `sqlite` or `redis`.
    public var kind: String {
        switch self {
        case .memory: "memory"
        case .sqlite: "sqlite"
        case .redis: "redis"
        }
    }

    /// How many replicas must have a write before it is acknowledged; nil: one, if there are any.
    public var waitReplicas: Int? {
        if case .redis(let url) = self { url.waitReplicas } else { nil }
    }

    /// Without a password.
    public var description: String {
        switch self {
        case .memory: "memory:"
        case .sqlite(let path): "sqlite:\(path)"
        case .redis(let url): url.description
        }
    }

    /// An error for an unknown URL names only its scheme, because the URL may contain a password.
    static func parse(_ text: String) throws(ValueProblem) -> StoreLocation {
        let supported =
            "use memory:, sqlite:PATH, redis://HOST:PORT, redis+sentinel:// or redis+cluster://"
        guard let colon = text.firstIndex(of: ":") else {
            throw ValueProblem("\(text.quoted) is not a store URL; \(supported)")
        }
        let rest = String(text[text.index(after: colon)...])
        switch text[..<colon].lowercased() {
        case "memory":
            guard rest.isEmpty else {
                throw ValueProblem("memory: must have nothing after the colon")
            }
            return .memory
        case "sqlite":
            guard !rest.isEmpty else { throw ValueProblem("the path is missing: sqlite:PATH") }
            return .sqlite(path: rest)
        case let kind where kind.hasPrefix("redis"):
            return .redis(try RedisStoreURL.parse(text))
        case let kind:
            throw ValueProblem("unknown store kind \(kind.quoted); \(supported)")
        }
    }
}
