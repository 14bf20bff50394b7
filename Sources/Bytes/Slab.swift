/// Stores values under small numeric slots that are reused.
///
/// A key contains the slot and its generation, so the key of a removed value does not match the
/// next value in the same slot.
public struct Slab<Element> {
    private var elements: [Element?] = []
    private var generations: [UInt32] = []
    private var freeSlots: [UInt32] = []

    public init() {}

    /// The number of stored values.
    public var count: Int { self.elements.count - self.freeSlots.count }

    /// Stores a value.
    ///
    /// - Returns: the key of the value.
    public mutating func insert(_ element: consuming Element) -> UInt64 {
        if let slot = self.freeSlots.popLast() {
            self.generations[Int(slot)] &+= 1
            self.elements[Int(slot)] = consume element
            return UInt64(self.generations[Int(slot)]) << 32 | UInt64(slot)
        }
        self.elements.append(consume element)
        self.generations.append(1)
        return 1 << 32 | UInt64(self.elements.count - 1)
    }

    /// Replaces the value of a key. The key must still be valid.
    public mutating func replace(_ key: UInt64, with element: consuming Element) {
        self.elements[Int(key & 0xFFFF_FFFF)] = consume element
    }

    /// The value of the key, or nil if the value was removed. Only a stored value can be modified.
    public subscript(key: UInt64) -> Element? {
        get {
            let slot = Int(key & 0xFFFF_FFFF)
            return slot < self.elements.count && self.generations[slot] == UInt32(key >> 32)
                ? self.elements[slot] : nil
        }
        _modify {
            let slot = Int(key & 0xFFFF_FFFF)
            precondition(
                self.generations[slot] == UInt32(key >> 32),
                "the value of an invalid key was accessed")
            yield &self.elements[slot]
        }
    }

    /// Removes the value and returns it. Returns nil if the key is not valid any more.
    public mutating func remove(_ key: UInt64) -> Element? {
        let slot = Int(key & 0xFFFF_FFFF)
        guard slot < self.elements.count, self.generations[slot] == UInt32(key >> 32),
            let element = self.elements[slot].take()
        else {
            return nil
        }
        self.freeSlots.append(UInt32(slot))
        return element
    }
}

extension Slab: Sendable where Element: Sendable {}
