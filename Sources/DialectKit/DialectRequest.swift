public import Bytes
public import Identity

/// The HTTP request that asks for a dialect.
public struct DialectRequest: Sendable {
    /// The path's parts, percent-decoded; an empty last one (a slash at the end) left out.
    public let path: [String]
    /// The query's names and values, percent-decoded, in order.
    public let query: [(name: String, value: String)]
    public let credentials: Credentials
    /// Whether somebody without a token may come in where the protocol allows it.
    public let allowsAnonymous: Bool
    /// Whether only this machine reaches the listener: there somebody without a token may do what concerns everybody.
    public let isLoopback: Bool
    public let now: Timestamp

    public init(
        path: [String], query: [(name: String, value: String)], credentials: Credentials,
        allowsAnonymous: Bool = false,
        isLoopback: Bool = false, now: Timestamp
    ) {
        self.path = path
        self.query = query
        self.credentials = credentials
        self.allowsAnonymous = allowsAnonymous
        self.isLoopback = isLoopback
        self.now = now
    }

    /// The first value of that name.
    public func queryValue(_ name: String) -> String? {
        self.query.first { $0.name == name }?.value
    }
}

/// Who asks, as far as tokens say.
public enum Credentials: Sendable {
    case none
    case bearer(Identity)
    /// There is a token and it is bad; the sentence says why and has nothing of the token in it.
    case invalid(String)
}
