public import Bytes

/// The stored properties of a conversation besides its messages and members.
public struct ConversationRecord: Sendable, Equatable {
    /// Whether any user of the tenant may join, or only users that a token or a member admits.
    public enum JoinPolicy: UInt8, Sendable { case closed = 0, open = 1 }

    /// The users that may pin messages and end pins, besides the creator and admins.
    public enum PinPolicy: UInt8, Sendable { case members = 0, creator = 1 }

    /// The name of the dialect that created the conversation, or `inbox`, or `unknown` if the
    /// creation was lost.
    public var origin: ByteString
    public var joinPolicy: JoinPolicy
    /// Whether the tenant's catalog lists the conversation until it ends.
    public var isListed: Bool
    public var pinPolicy: PinPolicy
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
        _ template: ConversationTemplate, title: String = "", dialectData: ByteString = "",
        pinPolicy: PinPolicy = .members, creator: UserID?, createdAt: Timestamp
    ) {
        self.origin = template.origin
        self.joinPolicy = template.joinPolicy
        self.isListed = template.isListed
        self.pinPolicy = pinPolicy
        self.title = title
        self.dialectData = dialectData
        self.creator = creator
        self.createdAt = createdAt
        self.updatedAt = createdAt
        self.endedAt = nil
    }

    public var isInCatalog: Bool { self.isListed && self.endedAt == nil }

    /// Takes over the properties that the creator and admins may change (`propertyNames`).
    public mutating func takeProperties(of other: Self) {
        self.joinPolicy = other.joinPolicy
        self.isListed = other.isListed
        self.title = other.title
        self.dialectData = other.dialectData
    }
}

extension ConversationRecord: FieldRecord {
    /// The names of the fields that the creator and admins may change.
    public static let propertyNames = ["access", "listed", "title", "details"]

    public static var blank: Self {
        Self(.unknown, creator: nil, createdAt: Timestamp(milliseconds: 0))
    }

    public mutating func visitFields<Visitor: FieldVisitor>(_ visitor: inout Visitor)
        throws(Visitor.Failure)
    {
        try visitor.visit("origin", &self.origin)
        try visitor.visit("access", &self.joinPolicy)
        try visitor.visit("listed", &self.isListed)
        try visitor.visit("pinning", &self.pinPolicy)
        try visitor.visit("title", &self.title)
        try visitor.visit("details", &self.dialectData)
        try visitor.visit("creator", &self.creator)
        try visitor.visit("created", &self.createdAt)
        try visitor.visit("updated", &self.updatedAt)
        try visitor.visit("ended", &self.endedAt)
    }
}

/// A user's membership in a conversation, or the end of one that the conversation remembers.
public struct Member: Sendable, Equatable {
    public enum Role: UInt8, Sendable {
        case member = 0
        case creator = 1
        case admin = 2
        /// No member any more: the creator or an admin has removed the user, who may not join by
        /// the link until added again.
        case removed = 3
        /// No member any more: the creator has left, and has no rights of a creator any more.
        case departed = 4

        /// Whether a user with this role is a member.
        public var isMember: Bool {
            switch self {
            case .member, .creator, .admin: true
            case .removed, .departed: false
            }
        }
    }

    public var user: UserID
    public var name: ByteString
    /// Whether another user gave the name, and none of the user's own tokens did. An id as the name
    /// is not given.
    public var isNameGiven = false
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

extension Member: FieldRecord {
    public static var blank: Self {
        Self(
            user: UserID(storageKey: ""), name: "", role: .member,
            joinedAt: Timestamp(milliseconds: 0))
    }

    public mutating func visitFields<Visitor: FieldVisitor>(_ visitor: inout Visitor)
        throws(Visitor.Failure)
    {
        try visitor.visit("user", &self.user)
        try visitor.visit("name", &self.name)
        try visitor.visit("agent", &self.agent)
        try visitor.visit("role", &self.storedRole)
        try visitor.visit("joined_at", &self.joinedAt)
        try visitor.visit("read_cursor", &self.readCursor)
        try visitor.visit("delivered_cursor", &self.deliveredCursor)
    }

    /// The role, and whether another user gave the name, in one byte.
    private struct StoredRole: RawRepresentable {
        private static let givenName: UInt8 = 64
        let role: Role
        let isNameGiven: Bool

        init(role: Role, isNameGiven: Bool) {
            self.role = role
            self.isNameGiven = isNameGiven
        }

        init?(rawValue: UInt8) {
            guard let role = Role(rawValue: rawValue & ~Self.givenName) else { return nil }
            self.init(role: role, isNameGiven: rawValue & Self.givenName != 0)
        }

        var rawValue: UInt8 { self.role.rawValue | (self.isNameGiven ? Self.givenName : 0) }
    }

    private var storedRole: StoredRole {
        get { StoredRole(role: self.role, isNameGiven: self.isNameGiven) }
        set { (self.role, self.isNameGiven) = (newValue.role, newValue.isNameGiven) }
    }
}
