public import Bytes

/// Which conversation: its id is an opaque text inside a tenant.
public struct ConversationKey: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// Of the rest, in this process: tables on the way of a message are searched by it, and it is compared first.
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

    /// What is addressed to a user, and not to a conversation. No client can write such an id: theirs have no "@".
    public static func inbox(of user: UserID, in tenant: ByteString) -> Self {
        Self(tenant: tenant, id: ByteString("@user:\(user.storageKey)"))
    }

    /// What is addressed to an agent, whoever acts as it.
    public static func inbox(ofAgent agent: ByteString, in tenant: ByteString) -> Self {
        Self(tenant: tenant, id: ByteString("@agent:\(agent)"))
    }

    /// What is addressed to everybody of a tenant who speaks this protocol.
    public static func inbox(ofAll dialect: StaticString, in tenant: ByteString) -> Self {
        Self(tenant: tenant, id: ByteString("@all:\(dialect)"))
    }

    /// Clients know of it by what it brings and cannot name it. Nobody is present there, and nobody has to be a member: only Confab itself
    /// listens and writes, for whom it may.
    public var isInbox: Bool { self.id.string.utf8.first == UInt8(ascii: "@") }

    /// An inbox of one user or agent.
    public var isPersonalInbox: Bool { self.isInbox && !self.id.string.hasPrefix("@all:") }

    public var description: String { "\(self.tenant)/\(self.id)" }

    public static func < (left: ConversationKey, right: ConversationKey) -> Bool {
        left.tenant == right.tenant ? left.id < right.id : left.tenant < right.tenant
    }
}

/// The number of a message in its conversation: 1, 2, 3 … without holes. 0 stands before the first.
public typealias SequenceNumber = Int

/// The number of a durable change of a conversation (message, edit, deletion, member, end): 1, 2, 3 … without holes.
public typealias Revision = Int
