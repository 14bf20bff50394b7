public import Bytes

/// What is kept of a conversation beside its messages and members.
public struct ConversationRecord: Sendable, Equatable {
    /// Who may become a member: anybody of the tenant, or only whom a token or a member lets in.
    public enum JoinPolicy: UInt8, Sendable { case closed = 0, open = 1 }

    /// What it was made as: by which client protocol, or as an inbox, which clients know by what it brings and cannot name. Which lists it
    /// is in hangs on that.
    public enum Kind: UInt8, Sendable {
        case conversations = 0, pets = 1, chats = 2, rooms = 3, agents = 4, inbox = 5

        /// Whoever has the link may come into what is made to be shared; anything else is for those who are let in.
        public var joinPolicy: JoinPolicy { self == .rooms || self == .chats ? .open : .closed }
    }

    public var joinPolicy: JoinPolicy
    public var kind: Kind
    public var title: String
    /// What the protocol that made it keeps of it beyond the title, in its own writing: nobody else reads it.
    public var dialectData: ByteString
    public var creator: UserID?
    public var createdAt: Timestamp
    /// Of the last message, edit, deletion or end; who comes and goes changes nothing.
    public var updatedAt: Timestamp
    /// When it was ended; from then on it can be read only.
    public var endedAt: Timestamp?

    public init(
        joinPolicy access: JoinPolicy, kind: Kind = .conversations, title: String = "",
        dialectData details: ByteString = "", creator: UserID?, createdAt: Timestamp
    ) {
        self.joinPolicy = access
        self.kind = kind
        self.title = title
        self.dialectData = details
        self.creator = creator
        self.createdAt = createdAt
        self.updatedAt = createdAt
        self.endedAt = nil
    }

    /// Whether the tenant's catalog has it for as long as it is not ended.
    public var isCatalogKind: Bool { self.kind == .rooms }
    public var isInCatalog: Bool { self.isCatalogKind && self.endedAt == nil }
}

/// A user's place in a conversation.
public struct Member: Sendable, Equatable {
    public enum Role: UInt8, Sendable { case member = 0, creator = 1, admin = 2 }

    public var user: UserID
    public var name: ByteString
    /// The agent that acts for the user, as the member last came in; nil where that is the user itself.
    public var agent: ByteString?
    public var role: Role
    public var joinedAt: Timestamp
    /// The highest message that this member has read, and that a socket of this member's has taken. Neither moves back.
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
