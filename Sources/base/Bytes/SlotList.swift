/// Stores values in numbered slots that are reused.
///
/// Every removal starts the next generation of its slot, so the key of a removed value does not
/// match the next value there.
///
/// A free slot contains the list's `vacant` value, not nil. An optional would cost a check per
/// access, and could be modified in place only by a force unwrap.
public struct SlotList<Key: SlotKey, Element> {
    @usableFromInline
    struct Slot {
        /// The generation of the value's key. In a free slot, of the next value's key, which has
        /// not been handed out.
        @usableFromInline var generation: UInt32 = 1
        /// In a free slot, the next free slot or `noSlot`. Otherwise `occupied`.
        @usableFromInline var nextFree = SlotList.occupied
        // It is last because `prefetch` begins with the fields above and the element's first ones.
        @usableFromInline var element: Element

        @inlinable
        init(element: consuming Element) {
            self.element = element
        }
    }

    @inlinable static var noSlot: UInt32 { .max }
    @inlinable static var occupied: UInt32 { .max - 1 }

    @usableFromInline var slots: [Slot] = []
    @usableFromInline var firstFree = Self.noSlot
    @usableFromInline var freeCount = 0
    /// One value. It is not in the list itself, so that tables in other structs stay small: their
    /// size is copied where a function takes such a struct.
    @usableFromInline let vacant: [Element]

    /// - Parameter vacant: the value of free slots. It replaces a removed value, whose memory is
    ///   released.
    public init(vacant: Element) {
        self.vacant = [vacant]
    }

    /// The number of values.
    @inlinable public var count: Int { self.slots.count - self.freeCount }

    /// The number of slots, free ones included. All slots are below it.
    @inlinable public var slotCount: Int { self.slots.count }

    // MARK: Access by key

    /// Whether the key's value is in the list. The generation of a free slot has not been handed
    /// out, so no key has it.
    @inlinable
    public func contains(_ key: Key) -> Bool {
        Int(key.slot) < self.slots.count
            && self.slots[Int(key.slot)].generation == key.generation
    }

    /// The slot of the key's value; nil if it was removed.
    @inlinable
    public func slot(of key: Key) -> UInt32? { self.contains(key) ? key.slot : nil }

    // MARK: Access by slot

    /// The value in a slot, which is `vacant` in a free slot. Only that of an occupied slot may be
    /// modified.
    @inlinable
    public subscript(slot: UInt32) -> Element {
        // The span lends its elements; the array would hand out copies of the fields that are read.
        @inline(__always) _read { yield self.slots.span[Int(slot)].element }
        @inline(__always) _modify {
            assert(self.isOccupied(slot), "slot \(slot) is free")
            yield &self.slots[Int(slot)].element
        }
    }

    /// Whether there is a value in this slot.
    @inlinable
    public func isOccupied(_ slot: UInt32) -> Bool {
        Int(slot) < self.slots.count && self.slots[Int(slot)].nextFree == Self.occupied
    }

    /// The key of the value in an occupied slot.
    @inlinable
    public func key(of slot: UInt32) -> Key {
        precondition(self.isOccupied(slot), "slot \(slot) is free")
        return Key(slot: slot, generation: self.slots[Int(slot)].generation)
    }

    /// The slots of all values, in ascending order. An array, so that the list can be changed
    /// meanwhile.
    public var occupiedSlots: [UInt32] {
        (0..<UInt32(self.slots.count)).filter { self.slots[Int($0)].nextFree == Self.occupied }
    }

    /// Prefetches the first bytes of the value in a slot, and the fields that check its key. The
    /// slot may be out of range.
    @inlinable
    @inline(__always)
    public func prefetch(_ slot: UInt32, bytes: Int = MemoryLayout<Element>.size) {
        guard Int(slot) < self.slots.count else { return }
        Prefetch.element(
            Int(slot), of: self.slots, bytes: MemoryLayout<Int>.stride + bytes)
    }

    // MARK: Changes

    /// Stores a value in the slot that was freed last, or in a new one.
    @inlinable
    public mutating func insert(_ element: consuming Element) -> Key {
        guard self.firstFree != Self.noSlot else {
            self.slots.append(Slot(element: element))
            return self.key(of: UInt32(self.slots.count - 1))
        }
        let slot = self.firstFree
        self.freeCount -= 1
        self.firstFree = self.slots[Int(slot)].nextFree
        self.slots[Int(slot)].nextFree = Self.occupied
        self.slots[Int(slot)].element = element
        return self.key(of: slot)
    }

    /// Removes the value from an occupied slot and returns it.
    @inlinable
    @discardableResult
    public mutating func remove(_ slot: UInt32) -> Element {
        self.invalidateKey(of: slot)
        return self.free(slot)
    }

    /// Invalidates the key of the value in an occupied slot. The value stays there until `free`.
    @inlinable
    public mutating func invalidateKey(of slot: UInt32) {
        self.slots[Int(slot)].generation =
            SlotID.generation(after: self.slots[Int(slot)].generation)
    }

    /// Removes the value from an occupied slot whose key was invalidated, and returns it.
    @inlinable
    @discardableResult
    public mutating func free(_ slot: UInt32) -> Element {
        precondition(self.isOccupied(slot), "slot \(slot) is free")
        self.slots[Int(slot)].nextFree = self.firstFree
        self.firstFree = slot
        self.freeCount += 1
        return exchange(&self.slots[Int(slot)].element, with: self.vacant[0])
    }
}

extension SlotList.Slot: Sendable where Element: Sendable {}
extension SlotList: Sendable where Element: Sendable {}
