/// Finds the slot of something by its key's hash. The keys stand in the slots, not here.
///
/// A flat table of 8-byte entries, half of it empty: a look-up misses the processor's cache once, where a dictionary
/// misses for its bitmap, its key and its value, and keeps every key a second time.
public struct SlotIndex: Sendable {
    /// The hash's lower half (in the upper 32 bits) and slot + 1 (in the lower 32 bits); 0 is free.
    @usableFromInline private(set) var entries: [UInt64] = []
    public private(set) var count = 0

    public init() {}

    /// The slot for which `isWanted` is true, among those with this hash.
    @inlinable
    @inline(__always)
    public func slot(hash: Int, where isWanted: (UInt32) -> Bool) -> UInt32? {
        guard self.count > 0 else { return nil }
        let mask = self.entries.count - 1
        let tag = UInt32(truncatingIfNeeded: hash)
        var place = Int(tag) & mask
        while self.entries[place] != 0 {
            let entry = self.entries[place]
            if UInt32(entry >> 32) == tag {
                let slot = UInt32(truncatingIfNeeded: entry) - 1
                if isWanted(slot) { return slot }
            }
            place = (place + 1) & mask
        }
        return nil
    }

    /// A slot with this hash, without a look at its key: another's, once in four thousand million.
    @inlinable
    @inline(__always)
    public func likelySlot(hash: Int) -> UInt32? {
        self.slot(hash: hash) { _ in true }
    }

    /// Fetches what the search for this hash will read.
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

    /// The slot must be there under this hash.
    public mutating func remove(_ slot: UInt32, hash: Int) {
        let entry = UInt64(UInt32(truncatingIfNeeded: hash)) << 32 | UInt64(slot + 1)
        let mask = self.entries.count - 1
        var hole = self.home(of: entry)
        while self.entries[hole] != entry {
            precondition(self.entries[hole] != 0, "slot \(slot) is not in the index")
            hole = (hole + 1) & mask
        }
        // Those behind move up, unless that would put them before the place where the search for them begins.
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
        var place = self.home(of: entry)
        while self.entries[place] != 0 { place = (place + 1) & mask }
        self.entries[place] = entry
    }
}
