public import Bytes

/// What happened in a conversation, as the owner tells it to every loop that listens.
public enum ChatEvent: Sendable {
    case created
    case posted(Message)
    case edited(Message)
    case deleted(Message)
    case joined(Member)
    /// A member goes by another name.
    case renamed(Member)
    case left(Member, at: Timestamp)
    case ended(by: UserID, at: Timestamp)
    /// Addressed to every connection but the typist's.
    case typing(Person, Bool)
    /// These messages have been read by this member, whose cursor stands at the last number.
    case read(Person, [SequenceNumber], through: SequenceNumber)
    /// Addressed to the connections of the messages' author.
    case status(author: UserID, MessageStatus, [SequenceNumber], at: Timestamp)
    /// Who came and went; addressed to every connection but those of the person itself.
    case presence([PresenceChange])
    /// In a large conversation: how many are there, and the newest changes.
    case crowd(online: Int, [PresenceChange])

    /// What it answers to the one who asked for it.
    public var answer: ChatAnswer {
        switch self {
        case .posted(let message): .posted(message)
        case .edited(let message), .deleted(let message): .amended(message)
        default: .done
        }
    }

    /// Whether it changes a message.
    public var isAmendment: Bool {
        switch self {
        case .edited, .deleted: true
        default: false
        }
    }

    /// Whether it may be merged or dropped for a reader who is slow.
    public var isEphemeral: Bool {
        switch self {
        case .typing, .presence, .crowd: true
        case .created, .posted, .edited, .deleted, .joined, .renamed, .left, .ended, .read, .status:
            false
        }
    }
}

/// How far a message has come on its way to the others.
public enum MessageStatus: UInt8, Sendable { case delivered, read }

/// Somebody came or went.
public struct PresenceChange: Sendable, Equatable {
    public let person: Person
    public let isOnline: Bool
    public let at: Timestamp
    /// False of somebody who has left the conversation for good, as was told before.
    public var isMember: Bool

    public init(person: Person, isOnline: Bool, at: Timestamp, isMember: Bool = true) {
        self.person = person
        self.isOnline = isOnline
        self.at = at
        self.isMember = isMember
    }
}
