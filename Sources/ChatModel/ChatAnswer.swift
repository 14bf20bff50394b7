public import Bytes

/// What the owner answers to a command.
public enum ChatAnswer: Sendable {
    // Apart are those that are rare and larger than a message.
    indirect case joined(JoinResult)
    /// Stored; of a repeated send, the message of the first one.
    case posted(Message)
    case amended(Message)
    /// Done; the ids named are those that exist not.
    case read(unknown: [SequenceNumber])
    case done
    /// Of a conversation that is there, or has just been made.
    indirect case described(ConversationDetails)
    case failed(ChatError)
}

/// Who ended a conversation, and when. Of one that ended long ago its creator is named.
public struct ConversationEnd: Sendable, Equatable {
    public let by: UserID
    public let at: Timestamp

    public init(by: UserID, at: Timestamp) {
        self.by = by
        self.at = at
    }
}

/// What somebody who came in has to know.
public struct JoinResult: Sendable {
    /// The newest message, and the oldest that is kept (head + 1 where none is).
    public let head: SequenceNumber
    public let oldest: SequenceNumber
    public let revision: Revision
    /// Nil while it can be written in.
    public let ended: ConversationEnd?
    /// The others who are there; empty in a large conversation, which has the count alone.
    public let present: [PresenceChange]
    public let presentCount: Int
    public let isCrowd: Bool
    /// What the one who came in is as a member; nil for whom an inbox has nothing to remember of.
    public var member: Member?
    /// It has become one by this.
    public var isNewMember = false

    public init(
        head: SequenceNumber, oldest: SequenceNumber, revision: Revision, ended: ConversationEnd?,
        present: [PresenceChange], presentCount: Int,
        isCrowd: Bool
    ) {
        self.head = head
        self.oldest = oldest
        self.revision = revision
        self.ended = ended
        self.present = present
        self.presentCount = presentCount
        self.isCrowd = isCrowd
    }

    public var isEnded: Bool { self.ended != nil }
}

/// A conversation with its members.
public struct ConversationDetails: Sendable {
    public let record: ConversationRecord
    public let head: SequenceNumber
    public let members: [Member]
    public let online: Set<UserID>

    public init(
        record: ConversationRecord, head: SequenceNumber, members: [Member], online: Set<UserID>
    ) {
        self.record = record
        self.head = head
        self.members = members
        self.online = online
    }
}
