public import Bytes

/// The stored state of a conversation, as a new owner loads it.
public struct LoadedConversation: Sendable {
    public var record: ConversationRecord
    public var head: SequenceNumber
    public var revision: Revision
    /// The oldest message that is kept; head + 1 if none is.
    public var oldest: SequenceNumber
    /// The members, and the former members that the conversation remembers (`Member.Role`).
    public var members: [Member]
    /// Without the former ones.
    public var currentMembers: [Member] { self.members.filter(\.role.isMember) }
    /// The pinned messages in their present state, oldest pin first.
    public var pins: [Message]

    public init(
        record: ConversationRecord, head: SequenceNumber, revision: Revision,
        oldest: SequenceNumber, members: [Member], pins: [Message] = []
    ) {
        self.record = record
        self.head = head
        self.revision = revision
        self.oldest = oldest
        self.members = members
        self.pins = pins
    }
}

/// The part of a message that an owner needs to recognize a repeated send and to mark receipts.
public struct RecentMessage: Sendable {
    public let sequence: SequenceNumber
    public let author: UserID
    public let clientMessageID: ClientMessageID?
    public let sentAt: Timestamp

    public init(
        sequence: SequenceNumber, author: UserID, clientMessageID: ClientMessageID?,
        sentAt: Timestamp
    ) {
        self.sequence = sequence
        self.author = author
        self.clientMessageID = clientMessageID
        self.sentAt = sentAt
    }
}
