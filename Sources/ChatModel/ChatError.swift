/// Why the chat refused something. Dialects turn it into their own shape; the words are the same in all of them.
public enum ChatError: Error, Sendable, Equatable, CustomStringConvertible {
    case noSuchConversation
    /// One that is to be made is there already.
    case conversationExists
    case notAMember
    /// Neither listed in the token nor a member, and the conversation is closed.
    case accessDenied
    case conversationEnded
    case noSuchMessage(SequenceNumber)
    case messageDeleted(SequenceNumber)
    /// The act belongs to others: `edit_message` to the author and admins, say.
    case notAllowed(String)
    case contentEmpty
    case contentTooLong(limit: Int)
    case metadataTooLong(limit: Int)
    case clientIDInvalid
    case tooManyMembers(limit: Int)
    case rateLimited(retryAfterSeconds: Double)
    /// The store is away, or the owner is: the same send may be tried again.
    case unavailable
    /// What the store has of the conversation is not what was stored. To try again is of no use.
    case damaged

    public var description: String {
        switch self {
        case .noSuchConversation: "no such conversation"
        case .conversationExists: "the conversation exists already"
        case .notAMember: "not a member of this conversation"
        case .accessDenied: "access denied"
        case .conversationEnded: "conversation ended"
        case .noSuchMessage(let id): "message_id: there is no message \(id)"
        case .messageDeleted(let id): "message_id: message \(id) is deleted"
        case .notAllowed(let who): "only \(who) may do this"
        case .contentEmpty: "content: must not be empty"
        case .contentTooLong(let limit): "content: longer than \(limit) bytes"
        case .metadataTooLong(let limit): "metadata: longer than \(limit) bytes"
        case .clientIDInvalid: "local_id: must have 1 to 128 bytes and no control characters"
        case .tooManyMembers(let limit): "the conversation has its \(limit) members"
        case .rateLimited: "rate limited"
        case .unavailable: "the message could not be stored; try again"
        case .damaged: "what is stored of this conversation is damaged; the service's log names the cause"
        }
    }
}
