public import Bytes

/// Identifies a conversation by an opaque id inside a tenant.
public struct ConversationKey: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The hash of `tenant` and `id` in this process. Every message searches tables by it, and
    /// equality compares it first.
    public let hash: Int
    public let tenant: ByteString
    public let id: ByteString

    public init(tenant: ByteString, id: ByteString) {
        self.tenant = tenant
        self.id = id
        var hasher = Hasher()
        hasher.combine(tenant)
        hasher.combine(id)
        self.hash = hasher.finalize()
    }

    public func hash(into hasher: inout Hasher) { hasher.combine(self.hash) }

    /// The inbox of a user. No client can write such an id: the ids of clients contain no "@".
    public static func inbox(of user: UserID, in tenant: ByteString) -> Self {
        Self(tenant: tenant, id: ByteString("@user:\(user.storageKey)"))
    }

    /// The inbox of an agent, whichever user acts as the agent.
    public static func inbox(ofAgent agent: ByteString, in tenant: ByteString) -> Self {
        Self(tenant: tenant, id: ByteString("@agent:\(agent)"))
    }

    /// The inbox of all users of a tenant that use this protocol.
    public static func inbox(ofAll dialect: StaticString, in tenant: ByteString) -> Self {
        Self(tenant: tenant, id: ByteString("@all:\(dialect)"))
    }

    /// Clients receive the contents of an inbox but cannot name it. An inbox has no presence and
    /// needs no members: only Confab itself subscribes and posts, for users that may do so.
    public var isInbox: Bool { self.id.string.utf8.first == UInt8(ascii: "@") }

    /// Whether this is the inbox of one user or one agent.
    public var isPersonalInbox: Bool { self.isInbox && !self.id.string.hasPrefix("@all:") }

    public var description: String { "\(self.tenant)/\(self.id)" }

    public static func < (left: ConversationKey, right: ConversationKey) -> Bool {
        left.tenant == right.tenant ? left.id < right.id : left.tenant < right.tenant
    }
}

/// The number of a message in its conversation: 1, 2, 3 … without gaps. 0 is before the first.
public typealias SequenceNumber = Int

/// The number of a durable change of a conversation (message, edit, deletion, member, end): 1, 2, 3
/// … without gaps.
public typealias Revision = Int
