/// Why the chat refused a request. Each dialect has its own error format; the texts are the same in
/// all of them.
public enum ChatError: Error, Sendable, Equatable, CustomStringConvertible {
    case noSuchConversation
    /// The conversation to create exists already.
    case conversationExists
    case notAMember
    /// The user to remove is not a member.
    case noSuchMember
    /// An anonymous user claims an id that belongs to a member with a token.
    case idTaken
    /// The user may not enter. A closed conversation is answered like one that does not exist.
    case accessDenied
    /// The creator or an admin has removed the user, who may not join by the link.
    case wasRemoved
    /// A closed conversation would be listed.
    case closedIsUnlisted
    /// The conversation's protocol has no description.
    case noDescription
    /// An operator has banned the user (`Ban.notice`).
    case banned(String)
    case conversationEnded
    case noSuchMessage(SequenceNumber)
    case messageDeleted(SequenceNumber)
    /// Other users may do this: for example, `edit_message` is for the author and admins.
    case notAllowed(String)
    case contentEmpty
    case contentTooLong(limit: Int)
    case metadataTooLong(limit: Int)
    case clientMessageIDInvalid
    /// The message to reply to does not exist or is no longer retained.
    case noSuchReplyTarget(SequenceNumber)
    /// A message has its different emoji. A user can still join one of them.
    case tooManyEmoji(limit: Int)
    /// The user has its different emoji on the message.
    case tooManyReactions(limit: Int)
    /// Only the creator and admins may mention all members of a larger conversation.
    case mentionOfAllNotAllowed(limit: Int)
    case tooManyPins(limit: Int)
    case notPinned(SequenceNumber)
    /// The conversation has its most members, or as many removed users.
    case tooManyMembers(limit: Int)
    case rateLimited(retryAfterSeconds: Double)
    /// The user has stored as much through the node as it may in a day.
    case storageLimited(retryAfterSeconds: Double)
    /// The store or the owner is unavailable. The request had no effect and never will; the client
    /// may retry it.
    case unavailable
    /// The store has definitely rejected the write: for example, it is full or read-only. The
    /// request had no effect and never will.
    case rejected
    /// No answer came in time: the change may or may not be stored. A retry with the same id
    /// resolves this.
    case outcomeUnknown
    /// The stored data of the conversation is damaged. A retry does not help.
    case damaged

    public var description: String {
        switch self {
        case .noSuchConversation: "no such conversation"
        case .conversationExists: "the conversation exists already"
        case .notAMember: "not a member of this conversation"
        case .noSuchMember: "user_id: not a member of this conversation"
        case .idTaken: "user_id: a member of this conversation has this id; choose another one"
        case .accessDenied: "access denied"
        case .wasRemoved:
            "user_id: was removed from this conversation; its creator or an admin can add it again"
        case .closedIsUnlisted: "listed: a closed conversation is never listed"
        case .noDescription: "description: this conversation's protocol has none"
        case .banned(let notice): notice
        case .conversationEnded: "conversation ended"
        case .noSuchMessage(let id): "message_id: there is no message \(id)"
        case .messageDeleted(let id): "message_id: message \(id) is deleted"
        case .notAllowed(let who): "only \(who) may do this"
        case .contentEmpty: "content: must not be empty"
        case .contentTooLong(let limit): "content: longer than \(limit) bytes"
        case .metadataTooLong(let limit): "metadata: longer than \(limit) bytes"
        case .clientMessageIDInvalid: "local_id: must have 1 to 128 bytes and no control characters"
        case .noSuchReplyTarget(let id): "reply_to: there is no message \(id)"
        case .tooManyEmoji(let limit):
            "emoji: the message has \(limit) different emoji; react with one of these"
        case .tooManyReactions(let limit):
            "emoji: you have \(limit) reactions to this message; remove one first"
        case .mentionOfAllNotAllowed(let limit):
            "mentions: above \(limit) members, only the creator and admins may mention all"
        case .tooManyPins(let limit):
            "message_id: the conversation has its \(limit) pinned messages; unpin one first"
        case .notPinned(let id): "message_id: message \(id) is not pinned"
        case .tooManyMembers(let limit):
            "the conversation has its \(limit) members, or has removed as many users"
        case .rateLimited: "rate limited"
        case .storageLimited: "rate limited: stored-bytes-per-day"
        case .unavailable: "this could not be stored; try again"
        case .rejected: "this could not be stored, because the store accepts no writes; try again"
        case .outcomeUnknown: "it is unknown whether this was stored; try again with the same id"
        case .damaged:
            "the stored data of this conversation is damaged; the service's log names the cause"
        }
    }
}

/// The outcome of a failed send or change of a message.
public enum SendOutcome: String, Sendable {
    /// It is not stored and never will be.
    case refused
    /// It may or may not be stored.
    case unknown
}

extension ChatError {
    /// The seconds after which a client may repeat the request; nil without such a limit.
    public var retryAfter: Double? {
        switch self {
        case .rateLimited(let seconds), .storageLimited(let seconds): seconds
        default: nil
        }
    }

    /// Whether the user has reached a limit of its own.
    public var isRateLimit: Bool {
        switch self {
        case .rateLimited, .storageLimited: true
        default: false
        }
    }

    /// The outcome of a send that failed with this error.
    public var outcome: SendOutcome { self == .outcomeUnknown ? .unknown : .refused }

    /// The outcome of an edit, a deletion, a reaction or a pin that failed because of the store;
    /// nil if the request itself was refused.
    public var changeOutcome: SendOutcome? {
        switch self {
        case .unavailable, .rejected, .outcomeUnknown: self.outcome
        default: nil
        }
    }
}
