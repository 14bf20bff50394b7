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
    /// As a libuv handle carries it. Generations begin at 1, so it is never null.
    var pointer: UnsafeMutableRawPointer? {
        UnsafeMutableRawPointer(bitPattern: UInt(self.generation) << 32 | UInt(self.slot))
    }

    init(pointer: UnsafeMutableRawPointer?) {
        let bits = UInt(bitPattern: pointer)
        self.init(slot: UInt32(truncatingIfNeeded: bits), generation: UInt32(truncatingIfNeeded: bits >> 32))
    }
}
