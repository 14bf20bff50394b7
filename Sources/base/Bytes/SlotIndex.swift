/// Finds a slot by the hash of its key. The keys are stored in the slots, not in the index.
///
/// The index is a flat table of 8-byte entries, and half of them are empty. A lookup costs one
/// cache miss. A dictionary costs one each for its bitmap, its key and its value, and it stores
/// every key a second time.
public struct SlotIndex: Sendable {
    /// The lower half of the hash (in the upper 32 bits) and slot + 1 (in the lower 32 bits). 0 is
    /// a free entry.
    @usableFromInline private(set) var entries: [UInt64] = []
    public private(set) var count = 0

    public init() {}

    /// The slot with this hash for which `isWanted` returns true.
    @inlinable
    @inline(__always)
    public func slot(hash: Int, where isWanted: (UInt32) -> Bool) -> UInt32? {
        guard self.count > 0 else { return nil }
        let mask = self.entries.count - 1
        let tag = UInt32(truncatingIfNeeded: hash)
        var position = Int(tag) & mask
        while self.entries[position] != 0 {
            let entry = self.entries[position]
            if UInt32(entry >> 32) == tag {
                let slot = UInt32(truncatingIfNeeded: entry) - 1
                if isWanted(slot) { return slot }
            }
            position = (position + 1) & mask
        }
        return nil
    }

    /// A slot with this hash. The key is not compared: the slot can belong to another key, with a
    /// probability of about 1 in 4 billion.
    @inlinable
    @inline(__always)
    public func likelySlot(hash: Int) -> UInt32? {
        self.slot(hash: hash) { _ in true }
    }

    /// Prefetches the entry at which the search for this hash begins.
    public func prefetch(hash: Int) {
        guard self.count > 0 else { return }
        Prefetch.element(
            Int(UInt32(truncatingIfNeeded: hash)) & (self.entries.count - 1), of: self.entries)
    }

    public mutating func insert(_ slot: UInt32, hash: Int) {
        if (self.count + 1) * 2 > self.entries.count {
            self.resize(to: max(16, self.entries.count * 2))
        }
        self.put(UInt64(UInt32(truncatingIfNeeded: hash)) << 32 | UInt64(slot + 1))
        self.count += 1
    }

    /// Removes a slot, which must be in the index under this hash.
    public mutating func remove(_ slot: UInt32, hash: Int) {
        let entry = UInt64(UInt32(truncatingIfNeeded: hash)) << 32 | UInt64(slot + 1)
        let mask = self.entries.count - 1
        var hole = self.home(of: entry)
        while self.entries[hole] != entry {
            precondition(self.entries[hole] != 0, "slot \(slot) is not in the index")
            hole = (hole + 1) & mask
        }
        // Later entries move up into the hole. An entry must not move before its home position,
        // where its search begins.
        var next = (hole + 1) & mask
        while self.entries[next] != 0 {
            let distance = (next - self.home(of: self.entries[next])) & mask
            if distance >= (next - hole) & mask {
                self.entries[hole] = self.entries[next]
                hole = next
            }
            next = (next + 1) & mask
        }
        self.entries[hole] = 0
        self.count -= 1
        if self.entries.count > 1024, self.count * 8 < self.entries.count {
            self.resize(to: self.entries.count / 2)
        }
    }

    private func home(of entry: UInt64) -> Int {
        Int(entry >> 32) & (self.entries.count - 1)
    }

    private mutating func resize(to size: Int) {
        let old = self.entries
        self.entries = Array(repeating: 0, count: size)
        for entry in old where entry != 0 { self.put(entry) }
    }

    private mutating func put(_ entry: UInt64) {
        let mask = self.entries.count - 1
        var position = self.home(of: entry)
        while self.entries[position] != 0 { position = (position + 1) & mask }
        self.entries[position] = entry
    }
}
