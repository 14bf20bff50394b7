/// Values under small numbers that are given out again; a key says which life of its number it means.
public struct Slab<Element> {
    private var elements: [Element?] = []
    private var generations: [UInt32] = []
    private var freeSlots: [UInt32] = []

    public init() {}

    /// Values that are there.
    public var count: Int { self.elements.count - self.freeSlots.count }

    /// - Returns: the value's key.
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

    /// Puts another value under a key that `insert` gave and `remove` has not taken.
    public mutating func replace(_ key: UInt64, with element: consuming Element) {
        self.elements[Int(key & 0xFFFF_FFFF)] = consume element
    }

    /// The value that is there; nil when it was removed. Only what is there can be changed.
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
                "a value that is not there was to be changed")
            yield &self.elements[slot]
        }
    }

    /// The value, which is there no longer; nil when it was not.
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
