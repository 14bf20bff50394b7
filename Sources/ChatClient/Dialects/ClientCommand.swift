/// A command to the server, independent of the protocol.
enum ClientCommand: Sendable, Equatable {
    case send(LineOutbox.OutgoingLine)
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
