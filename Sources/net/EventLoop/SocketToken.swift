public import Bytes

/// Identifies a descriptor while a loop watches it.
///
/// Slots are small and reused, so the owner can use them as array indices. The generation tells
/// successive uses of a slot apart. After the socket was closed, its token is not valid, and calls
/// with it do nothing.
public struct SocketToken: SlotKey {
    public let slot: UInt32
    public let generation: UInt32

    public init(slot: UInt32, generation: UInt32) {
        self.slot = slot
        self.generation = generation
    }
}
