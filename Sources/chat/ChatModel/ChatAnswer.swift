public import Bytes

/// The owner's answer to a command.
public enum ChatAnswer: Sendable {
    // Indirect: these cases are rare and larger than a message.
    indirect case joined(JoinResult)
    /// The message is stored. A repeated send gets the message of the first one, and `isRepeat`.
    /// A send that only the server itself retried is no repeat.
    case posted(Message, isRepeat: Bool = false)
    case amended(Message)
    /// The pinned messages, newest pin first.
    case pins([Message])
    /// Indirect: larger than the common cases.
    indirect case receipts(ReceiptList)
    /// The reads are stored, except those of message ids that do not exist.
    case read(unknown: [SequenceNumber])
    case done
    /// The details of a conversation that exists or was just created.
    indirect case described(ConversationDetails)
    case failed(ChatError)
}

/// The read positions of a conversation's members.
public struct ReceiptList: Sendable, Equatable {
    public struct Receipt: Sendable, Equatable {
        public let user: UserID
        public let name: ByteString
        /// See `Member.readCursor`.
        public let read: SequenceNumber
        /// See `Member.deliveredCursor`.
        public let delivered: SequenceNumber

        public init(
            user: UserID, name: ByteString, read: SequenceNumber, delivered: SequenceNumber
        ) {
            self.user = user
            self.name = name
            self.read = read
            self.delivered = delivered
        }

        public init(_ member: Member) {
            self.init(
                user: member.user, name: member.name, read: member.readCursor,
                delivered: member.deliveredCursor)
        }
    }

    /// The most receipts in a list.
    public static let limit = 100

    public let own: Receipt
    /// The highest positions, highest first.
    public let highest: [Receipt]
    /// The number of members that have a position.
    public let total: Int

    public init(own: Receipt, highest: [Receipt], total: Int) {
        self.own = own
        self.highest = highest
        self.total = total
    }
}

/// The end of a conversation. The store does not record who ended it, so an owner that loaded an
/// ended conversation names the creator.
public struct ConversationEnd: Sendable, Equatable {
    public let by: UserID
    public let at: Timestamp

    public init(by: UserID, at: Timestamp) {
        self.by = by
        self.at = at
    }
}

/// The state of a conversation that a new subscriber needs.
public struct JoinResult: Sendable {
    /// The newest message, and the oldest that is kept (head + 1 if none is).
    public let head: SequenceNumber
    public let oldest: SequenceNumber
    public let revision: Revision
    /// Nil while the conversation accepts messages.
    public let ended: ConversationEnd?
    /// The other members that are present. Empty in a crowd, which has only the count.
    public let present: [PresenceChange]
    public let presentCount: Int
    public let isCrowd: Bool
    /// The user's membership. Nil in the answer to an attachment, and for an inbox without members.
    public var member: Member?
    /// The join made the user a member.
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

/// A conversation with some of its members.
public struct ConversationDetails: Sendable {
    public let record: ConversationRecord
    public let head: SequenceNumber
    /// The members that the request selected.
    public let members: [Member]
    /// Those of them, and the viewer, that are present.
    public let online: Set<UserID>
    /// How many members a list without a limit would show. In an open conversation with more
    /// members than `MemberSelection.limit` it counts every guest.
    public let participantCount: Int
    /// The membership of the user that asks, or of a guest that other users see under the same id.
    public let viewer: Member?
    /// The two members with the highest read cursors, if the request asks for them.
    public let readers: [Member]
    /// The newest message in its present state. Nil if there is none, and if the owner does not
    /// have it in memory: then it is in the store.
    public let lastMessage: Message?

    /// - Parameters:
    ///   - participantCount: nil if `members` are all that a list shows.
    ///   - readers: nil if they are among `members`.
    public init(
        record: ConversationRecord, head: SequenceNumber, members: [Member], online: Set<UserID>,
        participantCount: Int? = nil, viewer: Member? = nil, readers: [Member]? = nil,
        lastMessage: Message? = nil
    ) {
        self.record = record
        self.head = head
        self.members = members
        self.online = online
        self.participantCount = participantCount ?? members.count
        self.viewer = viewer
        self.readers = readers ?? members
        self.lastMessage = lastMessage
    }
}
