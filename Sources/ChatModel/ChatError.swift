/// Why the chat refused something. Dialects turn it into their own shape; the words are the same in all of them.
public enum ChatError: Error, Sendable, Equatable, CustomStringConvertible {
    case noSuchConversation
    /// One that is to be made is there already.
    case conversationExists
    case notAMember
    /// An anonymous user says to be somebody of this id, and a member whom a token names has it.
    case idTaken
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
    case clientMessageIDInvalid
    case tooManyMembers(limit: Int)
    case rateLimited(retryAfterSeconds: Double)
    /// The store or the owner is unavailable. Nothing was done, and nothing will be: the same request may be sent again.
    case unavailable
    /// The store has rejected the write for certain: it is full or read-only, say. Nothing was done, and nothing will be.
    case rejected
    /// No answer came in time: the change may be stored or not. The same request, sent again with the same id, resolves this.
    case outcomeUnknown
    /// What the store has of the conversation is not what was stored. To try again is of no use.
    case damaged

    public var description: String {
        switch self {
        case .noSuchConversation: "no such conversation"
        case .conversationExists: "the conversation exists already"
        case .notAMember: "not a member of this conversation"
        case .idTaken: "user_id: a member of this conversation has this id; choose another one"
        case .accessDenied: "access denied"
        case .conversationEnded: "conversation ended"
        case .noSuchMessage(let id): "message_id: there is no message \(id)"
        case .messageDeleted(let id): "message_id: message \(id) is deleted"
        case .notAllowed(let who): "only \(who) may do this"
        case .contentEmpty: "content: must not be empty"
        case .contentTooLong(let limit): "content: longer than \(limit) bytes"
        case .metadataTooLong(let limit): "metadata: longer than \(limit) bytes"
        case .clientMessageIDInvalid: "local_id: must have 1 to 128 bytes and no control characters"
        case .tooManyMembers(let limit): "the conversation has its \(limit) members"
        case .rateLimited: "rate limited"
        case .unavailable: "the message could not be stored; try again"
        case .rejected:
            "the message could not be stored, because the store takes no writes; try again"
        case .outcomeUnknown: "it is unknown whether this was stored; try again with the same id"
        case .damaged:
            "what is stored of this conversation is damaged; the service's log names the cause"
        }
    }
}

/// What became of a send that failed.
public enum SendOutcome: String, Sendable {
    /// The message is not stored and never will be.
    case refused
    /// The message may be stored or not.
    case unknown
}

extension ChatError {
    /// What an error says of the send that failed with it.
    public var outcome: SendOutcome { self == .outcomeUnknown ? .unknown : .refused }
}
