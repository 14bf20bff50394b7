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

    /// A conversation id has 1 to 128 characters of `A-Z a-z 0-9 . _ : -`.
    public static func isValid(id: ByteString) -> Bool {
        (1...128).contains(id.byteCount)
            && id.withBytes { bytes in
                bytes.allSatisfy { byte in
                    switch byte {
                    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                        UInt8(ascii: "0")...UInt8(ascii: "9"),
                        UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: ":"), UInt8(ascii: "-"):
                        true
                    default: false
                    }
                }
            }
    }
}

/// The number of a message in its conversation: 1, 2, 3 … without holes. 0 stands before the first.
public typealias SequenceNumber = Int

/// The number of a durable change of a conversation (message, edit, deletion, member, end): 1, 2, 3 … without holes.
public typealias Revision = Int
