public import Bytes
public import Identity

/// The HTTP request of a client that wants to connect.
public struct DialectRequest: Sendable {
    /// The segments of the path, percent-decoded, without an empty last one (a trailing slash).
    public let path: [String]
    /// The query's names and values, percent-decoded, in order.
    public let query: [(name: String, value: String)]
    public let credentials: Credentials
    /// Whether users without a token may connect, if the protocol supports it.
    public let allowsAnonymous: Bool
    /// Whether the listener is reachable only from this machine. Then users without a token may
    /// also do what affects all users.
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

    /// The first value with that name.
    public func queryValue(_ name: String) -> String? {
        self.query.first { $0.name == name }?.value
    }
}

/// The identity of the client, as far as its token proves it.
public enum Credentials: Sendable {
    case none
    case bearer(Identity)
    /// The token is invalid. The sentence gives the reason and contains nothing of the token.
    case invalid(String)
}
