/// Names a descriptor that a loop watches, for as long as it does.
///
/// Slots are small numbers that are given out again, so they can index the owner's arrays; the generation tells the lives of a
/// slot apart. A token that has been closed names nothing: every call with it does nothing.
public struct SocketToken: Sendable, Hashable {
    public let slot: UInt32
    public let generation: UInt32

    public init(slot: UInt32, generation: UInt32) {
        self.slot = slot
        self.generation = generation
    }
}

extension SocketToken {
    /// As epoll carries it.
    var bits: UInt64 { UInt64(self.generation) << 32 | UInt64(self.slot) }

    init(bits: UInt64) {
        self.init(
            slot: UInt32(truncatingIfNeeded: bits),
            generation: UInt32(truncatingIfNeeded: bits >> 32))
    }
}
