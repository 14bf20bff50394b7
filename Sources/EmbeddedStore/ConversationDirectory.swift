import Bytes

/// Finds a conversation's slot by its key's hash.
///
/// A flat table of 8-byte entries, half of it empty: a look-up misses the processor's cache once, where a
/// Dictionary misses for its bitmap, its key and its value. The keys themselves stand in the slots. Nothing is ever removed.
struct ConversationDirectory {
    /// Hash (upper 32 bits) and slot + 1 (lower 32 bits); 0 is free.
    private var entries: [UInt64] = Array(repeating: 0, count: 64)
    private var count = 0

    /// The slot of which `isWanted` is true, among those with this hash.
    @inline(__always)
    func slot(hash: Int, where isWanted: (Int) -> Bool) -> Int? {
        let tag = UInt64(truncatingIfNeeded: hash) & 0xFFFF_FFFF_0000_0000
        let mask = self.entries.count - 1
        var place = Self.place(tag, mask)
        while true {
            let entry = self.entries[place]
            if entry == 0 { return nil }
            if entry & 0xFFFF_FFFF_0000_0000 == tag {
                let slot = Int(entry & 0xFFFF_FFFF) - 1
                if isWanted(slot) { return slot }
            }
            place = (place + 1) & mask
        }
    }

    /// The slot of this hash, without a look at the key: another conversation's, once in four thousand million.
    @inline(__always)
    func likelySlot(hash: Int) -> Int? {
        self.slot(hash: hash) { _ in true }
    }

    /// Fetches what the search for this hash will read.
    @inline(__always)
    func prefetch(hash: Int) {
        Prefetch.element(Self.place(UInt64(truncatingIfNeeded: hash), self.entries.count - 1), of: self.entries)
    }

    mutating func insert(slot: Int, hash: Int) {
        if (self.count + 1) * 2 > self.entries.count { self.grow() }
        self.put(UInt64(truncatingIfNeeded: hash) & 0xFFFF_FFFF_0000_0000 | UInt64(slot + 1))
        self.count += 1
    }

    private mutating func grow() {
        let old = self.entries
        self.entries = Array(repeating: 0, count: old.count * 2)
        for entry in old where entry != 0 { self.put(entry) }
    }

    private mutating func put(_ entry: UInt64) {
        let mask = self.entries.count - 1
        var place = Self.place(entry, mask)
        while self.entries[place] != 0 { place = (place + 1) & mask }
        self.entries[place] = entry
    }

    /// From the upper half alone, which an entry keeps, so that a table can grow without the keys.
    @inline(__always)
    private static func place(_ entry: UInt64, _ mask: Int) -> Int {
        Int(truncatingIfNeeded: entry >> 32) & mask
    }
}
