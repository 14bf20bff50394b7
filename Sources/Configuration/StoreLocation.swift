public import RedisClient

/// Where messages are kept.
public enum StoreLocation: Sendable, Hashable, CustomStringConvertible {
    /// Nowhere but in memory: gone with the process.
    case memory
    /// In an SQLite database, made when it is missing.
    case sqlite(path: String)
    /// In Redis, for all nodes that use the same.
    case redis(RedisURL)

    /// `memory`, `sqlite` or `redis`.
    public var kind: String {
        switch self {
        case .memory: "memory"
        case .sqlite: "sqlite"
        case .redis: "redis"
        }
    }

    /// So many replicas must have a write before it is answered; nil: one, where there are any.
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

    /// Says nothing of an unknown URL but its kind: there may be a password in it.
    static func parse(_ text: String) throws(ValueProblem) -> StoreLocation {
        let known =
            "known are memory:, sqlite:PATH, redis://HOST:PORT, redis+sentinel:// and redis+cluster://"
        guard let colon = text.firstIndex(of: ":") else {
            throw ValueProblem("\(text.quoted) is no store URL; \(known)")
        }
        let rest = String(text[text.index(after: colon)...])
        switch text[..<colon].lowercased() {
        case "memory":
            guard rest.isEmpty else { throw ValueProblem("memory: takes nothing behind the colon") }
            return .memory
        case "sqlite":
            guard !rest.isEmpty else { throw ValueProblem("the path is missing: sqlite:PATH") }
            return .sqlite(path: rest)
        case let kind where kind.hasPrefix("redis"):
            return .redis(try RedisStoreURL.parse(text))
        case let kind:
            throw ValueProblem("unknown store kind \(kind.quoted); \(known)")
        }
    }
}
