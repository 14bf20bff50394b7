/// What a chat wants of the server, in no protocol's words.
enum ClientCommand: Sendable, Equatable {
    case send(LineOutbox.OutgoingLine)
    /// The newest messages, so many.
    case history(Int)
    case edit(Int, String)
    case delete(Int)
    /// Who belongs to the conversation.
    case members
    case typing(Bool)
    /// Everything up to this message was read.
    case read(Int)
}
