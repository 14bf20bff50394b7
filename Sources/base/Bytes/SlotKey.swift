/// Identifies a value in a `SlotList` until it is removed: its slot, and the slot's generation.
///
/// Slots are small and reused, so they can be indices of other arrays. The generation tells the
/// successive values of a slot apart.
public protocol SlotKey: Sendable, Hashable {
    var slot: UInt32 { get }
    /// From 1 to 2,147,483,647 in every key that a list hands out; see `SlotID.generation(after:)`.
    var generation: UInt32 { get }

    init(slot: UInt32, generation: UInt32)
}

extension SlotKey {
    /// The generation in the upper 32 bits, the slot in the lower ones. In a valid key they are not
    /// 0, and the highest bit is not set.
    @inlinable public var bits: UInt64 { UInt64(self.generation) << 32 | UInt64(self.slot) }

    @inlinable
    public init(bits: UInt64) {
        self.init(
            slot: UInt32(truncatingIfNeeded: bits),
            generation: UInt32(truncatingIfNeeded: bits >> 32))
    }
}

/// The key of a list that needs no key type of its own.
public struct SlotID: SlotKey {
    public let slot: UInt32
    public let generation: UInt32

    @inlinable
    public init(slot: UInt32, generation: UInt32) {
        self.slot = slot
        self.generation = generation
    }

    /// The next generation of a slot. Not 0, so that bits of 0 are no valid key. It has 31 bits, so
    /// that an id which is either a key or another number can use the highest bit.
    @inlinable
    public static func generation(after generation: UInt32) -> UInt32 {
        generation < UInt32.max >> 1 ? generation + 1 : 1
    }
}
