public import Bytes

/// The stored properties of a conversation besides its messages and members.
public struct ConversationRecord: Sendable, Equatable {
    /// Whether any user of the tenant may join, or only users that a token or a member admits.
    public enum JoinPolicy: UInt8, Sendable { case closed = 0, open = 1 }

    /// The client protocol that created the conversation, or `inbox`. The kind decides which lists
    /// contain the conversation.
    public enum Kind: UInt8, Sendable {
        case conversations = 0, pets = 1, chats = 2, rooms = 3, agents = 4, inbox = 5

        /// Rooms and chats are shared by a link, so any user may join. The other kinds need an
        /// admission.
        public var joinPolicy: JoinPolicy { self == .rooms || self == .chats ? .open : .closed }
    }

    public var joinPolicy: JoinPolicy
    public var kind: Kind
    public var title: String
    /// Data of the protocol that created the conversation, in its own format. Only that protocol
    /// reads it.
    public var dialectData: ByteString
    public var creator: UserID?
    public var createdAt: Timestamp
    /// The time of the last message, edit, deletion or end. Changes of members do not count.
    public var updatedAt: Timestamp
    /// The time of the end, after which the conversation is read-only.
    public var endedAt: Timestamp?

    public init(
        joinPolicy: JoinPolicy, kind: Kind = .conversations, title: String = "",
        dialectData: ByteString = "", creator: UserID?, createdAt: Timestamp
    ) {
        self.joinPolicy = joinPolicy
        self.kind = kind
        self.title = title
        self.dialectData = dialectData
        self.creator = creator
        self.createdAt = createdAt
        self.updatedAt = createdAt
        self.endedAt = nil
    }

    /// Whether the tenant's catalog lists the conversation until it ends.
    public var isCatalogKind: Bool { self.kind == .rooms }
    public var isInCatalog: Bool { self.isCatalogKind && self.endedAt == nil }
}

/// A user's membership in a conversation.
public struct Member: Sendable, Equatable {
    public enum Role: UInt8, Sendable { case member = 0, creator = 1, admin = 2 }

    public var user: UserID
    public var name: ByteString
    /// The agent that acted for the user at the last join; nil if the user acted itself.
    public var agent: ByteString?
    public var role: Role
    public var joinedAt: Timestamp
    /// The highest message that the member has read, and the highest that was delivered to a socket
    /// of the member. Both only increase.
    public var readCursor: SequenceNumber
    public var deliveredCursor: SequenceNumber

    public init(
        user: UserID, name: ByteString, agent: ByteString? = nil, role: Role, joinedAt: Timestamp,
        readCursor: SequenceNumber = 0,
        deliveredCursor: SequenceNumber = 0
    ) {
        self.user = user
        self.name = name
        self.agent = agent
        self.role = role
        self.joinedAt = joinedAt
        self.readCursor = readCursor
        self.deliveredCursor = deliveredCursor
    }
}
