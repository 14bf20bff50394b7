/// Values under small numbers that are given out again; a key says which life of its number it means.
struct Slab<Element> {
    private var slots: [(generation: UInt32, element: Element?)] = []
    private var free: [UInt32] = []

    /// Values that are there.
    var count: Int { self.slots.count - self.free.count }

    /// - Returns: the value's key.
    mutating func insert(_ element: Element) -> UInt64 {
        if let slot = self.free.popLast() {
            self.slots[Int(slot)].generation &+= 1
            self.slots[Int(slot)].element = element
            return UInt64(self.slots[Int(slot)].generation) << 32 | UInt64(slot)
        }
        self.slots.append((1, element))
        return 1 << 32 | UInt64(self.slots.count - 1)
    }

    mutating func replace(_ key: UInt64, with element: Element) {
        self.slots[Int(key & 0xFFFF_FFFF)].element = element
    }

    /// The value, which is there no longer; nil when it was not.
    mutating func remove(_ key: UInt64) -> Element? {
        let slot = Int(key & 0xFFFF_FFFF)
        guard slot < self.slots.count, self.slots[slot].generation == UInt32(key >> 32), let element = self.slots[slot].element else {
            return nil
        }
        self.slots[slot].element = nil
        self.free.append(UInt32(slot))
        return element
    }
}
