/// What the owner answers to a command.
public enum ChatAnswer: Sendable {
    case entered(Entered)
    /// Stored; of a repeated send, the message of the first one.
    case posted(Message)
    case amended(Message)
    /// Done; the ids named are those that exist not.
    case read(unknown: [SequenceNumber])
    case done
    case described(Description)
    case failed(ChatError)
}

/// What somebody who came in has to know.
public struct Entered: Sendable {
    /// The newest message, and the oldest that is kept (head + 1 where none is).
    public let head: SequenceNumber
    public let oldest: SequenceNumber
    public let revision: Revision
    public let isEnded: Bool
    /// The others who are there; empty in a large conversation, which has the count alone.
    public let present: [PresenceChange]
    public let presentCount: Int
    public let isCrowd: Bool

    public init(
        head: SequenceNumber, oldest: SequenceNumber, revision: Revision, isEnded: Bool, present: [PresenceChange], presentCount: Int, isCrowd: Bool
    ) {
        self.head = head
        self.oldest = oldest
        self.revision = revision
        self.isEnded = isEnded
        self.present = present
        self.presentCount = presentCount
        self.isCrowd = isCrowd
    }
}

/// A conversation with its members.
public struct Description: Sendable {
    public let record: ConversationRecord
    public let head: SequenceNumber
    public let members: [Member]
    public let online: Set<UserID>

    public init(record: ConversationRecord, head: SequenceNumber, members: [Member], online: Set<UserID>) {
        self.record = record
        self.head = head
        self.members = members
        self.online = online
    }
}
