/// A `SlotList` of optionals with plain numbers as keys, for values without a natural vacant value.
public struct Slab<Element> {
    private var list = SlotList<SlotID, Element?>(vacant: nil)

    public init() {}

    /// The number of stored values.
    public var count: Int { self.list.count }

    /// Stores a value.
    ///
    /// - Returns: the key of the value.
    public mutating func insert(_ element: consuming Element) -> UInt64 {
        self.list.insert(consume element).bits
    }

    /// Replaces the value of a key. An invalid key ends the process.
    public mutating func replace(_ key: UInt64, with element: consuming Element) {
        self[key] = consume element
    }

    /// The value of the key, or nil if the value was removed. To modify the
    /// value of an invalid key ends the process.
    public subscript(key: UInt64) -> Element? {
        get { self.list.slot(of: SlotID(bits: key)).flatMap { self.list[$0] } }
        _modify {
            guard let slot = self.list.slot(of: SlotID(bits: key)) else {
                preconditionFailure("the value of an invalid key was accessed")
            }
            yield &self.list[slot]
        }
    }

    /// Removes the value and returns it. Returns nil if the key is not valid any more.
    public mutating func remove(_ key: UInt64) -> Element? {
        self.list.slot(of: SlotID(bits: key)).flatMap { self.list.remove($0) }
    }
}

extension Slab: Sendable where Element: Sendable {}
