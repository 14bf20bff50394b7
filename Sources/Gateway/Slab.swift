/// Values under small numbers that are given out again; a key says which life of its number it means.
struct Slab<Element> {
    private var elements: [Element?] = []
    private var generations: [UInt32] = []
    private var free: [UInt32] = []

    /// Values that are there.
    var count: Int { self.elements.count - self.free.count }

    /// - Returns: the value's key.
    mutating func insert(_ element: consuming Element) -> UInt64 {
        if let slot = self.free.popLast() {
            self.generations[Int(slot)] &+= 1
            self.elements[Int(slot)] = consume element
            return UInt64(self.generations[Int(slot)]) << 32 | UInt64(slot)
        }
        self.elements.append(consume element)
        self.generations.append(1)
        return 1 << 32 | UInt64(self.elements.count - 1)
    }

    mutating func replace(_ key: UInt64, with element: consuming Element) {
        self.elements[Int(key & 0xFFFF_FFFF)] = consume element
    }

    /// The value, which is there no longer; nil when it was not.
    mutating func remove(_ key: UInt64) -> Element? {
        let slot = Int(key & 0xFFFF_FFFF)
        guard slot < self.elements.count, self.generations[slot] == UInt32(key >> 32), let element = self.elements[slot].take() else {
            return nil
        }
        self.free.append(UInt32(slot))
        return element
    }
}
