public import Bytes

/// An event of a conversation, as the owner publishes it to every subscribed loop.
public enum ChatEvent: Sendable {
    case created
    case posted(Message)
    case edited(Message)
    case deleted(Message)
    /// The reactions to a message changed. The owner publishes them at most four times a second for
    /// each message.
    case reacted(Message)
    /// The message was pinned, or its pin ended: see `MessageAnnotations.pin`.
    case pinned(Message)
    case unpinned(Message)
    case joined(Member)
    /// The name or the agent of a member changed.
    case renamed(Member)
    case left(Member, at: Timestamp)
    case ended(by: UserID, at: Timestamp)
    /// Properties of the conversation changed. Indirect: larger than the common cases.
    indirect case updated(ConversationRecord, by: Person, rev: Revision)
    /// For every connection except those of the user that types.
    case typing(Person, Bool)
    /// The member has read these messages; its cursor is now at the last number.
    case read(Person, [SequenceNumber], through: SequenceNumber)
    /// For the connections of the messages' author.
    case status(author: UserID, MessageStatus, [SequenceNumber], at: Timestamp)
    /// Members that came online or went offline. For every connection except those of the members
    /// themselves.
    case presence([PresenceChange])
    /// In a crowd (see `Limits.crowdAbove`): the number of users online, and the newest
    /// changes.
    case crowd(online: Int, [PresenceChange])

    /// The answer to the command that caused the event.
    public var answer: ChatAnswer {
        switch self {
        case .posted(let message): .posted(message)
        case .edited(let message), .deleted(let message), .reacted(let message),
            .pinned(let message), .unpinned(let message):
            .amended(message)
        case .created, .joined, .renamed, .left, .ended, .updated, .typing, .read, .status,
            .presence, .crowd:
            .done
        }
    }

    /// The message that the event amends, in its present state; nil for another event.
    public var amended: Message? {
        switch self {
        case .edited(let message), .deleted(let message), .reacted(let message),
            .pinned(let message), .unpinned(let message):
            message
        case .created, .posted, .joined, .renamed, .left, .ended, .updated, .typing, .read,
            .status, .presence, .crowd:
            nil
        }
    }

    /// Whether the event changes a message.
    public var isAmendment: Bool {
        switch self {
        case .edited, .deleted, .reacted, .pinned, .unpinned: true
        case .created, .posted, .joined, .renamed, .left, .ended, .updated, .typing, .read,
            .status, .presence, .crowd:
            false
        }
    }

    /// Whether the event may be merged or dropped for a slow reader.
    public var isEphemeral: Bool {
        switch self {
        case .typing, .presence, .crowd: true
        case .created, .posted, .edited, .deleted, .reacted, .pinned, .unpinned, .joined, .renamed,
            .left, .ended, .updated, .read, .status:
            false
        }
    }
}

/// The progress of a message to the other members.
public enum MessageStatus: UInt8, Sendable { case delivered, read }

/// A member came online or went offline.
public struct PresenceChange: Sendable, Equatable {
    public let person: Person
    public let isOnline: Bool
    public let at: Timestamp
    /// False for a user that has left the conversation, as an earlier event reported.
    public var isMember: Bool

    public init(person: Person, isOnline: Bool, at: Timestamp, isMember: Bool = true) {
        self.person = person
        self.isOnline = isOnline
        self.at = at
        self.isMember = isMember
    }
}
