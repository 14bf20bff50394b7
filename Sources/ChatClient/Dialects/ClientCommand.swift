/// A command to the server, independent of the protocol.
public enum ClientCommand: Sendable, Equatable {
    case send(OutgoingLine)
    /// Requests this many of the newest messages.
    case history(Int)
    case edit(Int, String)
    case delete(Int)
    /// Requests the members of the conversation.
    case members
    case typing(Bool)
    /// Reports everything up to this message as read.
    case read(Int)
}

/// A typed line to send.
public struct OutgoingLine: Sendable, Equatable {
    /// The idempotency key: the server stores a line that is sent again only once.
    public let localID: String
    public let text: String
    /// The only recipient; nil for the whole conversation.
    public var to: String?
    /// How often the server has rejected it with a temporary error.
    var failureCount = 0
}
