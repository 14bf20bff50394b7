/// Identifies a descriptor while a loop watches it.
///
/// Slots are small and reused, so the owner can use them as array indices. The generation tells
/// successive uses of a slot apart. After the socket was closed, its token is not valid, and calls
/// with it do nothing.
public struct SocketToken: Sendable, Hashable {
    public let slot: UInt32
    public let generation: UInt32

    public init(slot: UInt32, generation: UInt32) {
        self.slot = slot
        self.generation = generation
    }
}

extension SocketToken {
    /// The value stored in an epoll event.
    var bits: UInt64 { UInt64(self.generation) << 32 | UInt64(self.slot) }

    init(bits: UInt64) {
        self.init(
            slot: UInt32(truncatingIfNeeded: bits),
            generation: UInt32(truncatingIfNeeded: bits >> 32))
    }
}
