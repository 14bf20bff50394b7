public import Bytes

/// A command for one slot, as a list of arguments.
public struct RedisQuery: Sendable {
    let slot: RedisSlot
    let arguments: [ByteString]

    public init(_ slot: RedisSlot, _ arguments: ByteString...) {
        self.init(slot, arguments)
    }

    public init(_ slot: RedisSlot, _ arguments: [ByteString]) {
        self.slot = slot
        self.arguments = arguments
    }
}
