/// Where messages are kept.
public enum StoreLocation: Sendable, Hashable, CustomStringConvertible {
    /// Nowhere but in memory: gone with the process.
    case memory
    /// In an SQLite database, made when it is missing.
    case sqlite(path: String)

    /// `memory` or `sqlite`.
    public var kind: String {
        switch self {
        case .memory: "memory"
        case .sqlite: "sqlite"
        }
    }

    public var description: String {
        switch self {
        case .memory: "memory:"
        case .sqlite(let path): "sqlite:\(path)"
        }
    }

    /// Says nothing of an unknown URL but its kind: there may be a password in it.
    static func parse(_ text: String) throws(ValueProblem) -> StoreLocation {
        let known = "known are memory: and sqlite:PATH"
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
        case let kind:
            throw ValueProblem("unknown store kind \(kind.quoted); \(known)")
        }
    }
}
