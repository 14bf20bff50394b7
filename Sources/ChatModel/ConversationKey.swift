public import Bytes

/// Which conversation: its id is an opaque text inside a tenant.
public struct ConversationKey: Sendable, Hashable, Comparable, CustomStringConvertible {
    public let tenant: ByteString
    public let id: ByteString

    public init(tenant: ByteString, id: ByteString) {
        self.tenant = tenant
        self.id = id
    }

    public var description: String { "\(self.tenant)/\(self.id)" }

    public static func < (left: ConversationKey, right: ConversationKey) -> Bool {
        left.tenant == right.tenant ? left.id < right.id : left.tenant < right.tenant
    }
}

/// The number of a message in its conversation: 1, 2, 3 … without holes. 0 stands before the first.
public typealias SequenceNumber = Int

/// The number of a durable change of a conversation (message, edit, deletion, member, end): 1, 2, 3 … without holes.
public typealias Revision = Int
