import Bytes
import ChatModel

/// The owner's memory of a conversation's newest messages: the sends that created them, and their
/// receipts.
///
/// It answers two questions without the store: was this send made before, and which of these
/// messages has no other member received yet? An entry takes 12 bytes, because every busy
/// conversation has a thousand of them.
///
/// A hash of 64 bits identifies a send. A send with the hash of an older one waits until the store
/// has returned that message, and the sender's next message overtakes it. In the busiest
/// conversations two hashes of 64 bits are equal once in 10^15 messages; with 32 bits it would be
/// once in 200,000.
struct RecentMessages: Sendable {
    enum Mark: UInt32, Sendable {
        case delivered = 0x4000_0000
        case read = 0x8000_0000
    }

    private struct Item: Sendable {
        // In halves: a single number would add four bytes of padding.
        private let low: UInt32
        private let high: UInt32
        /// The author's number, with the marks in the two highest bits.
        var author: UInt32

        /// 0 for a message without a client message id.
        var fingerprint: UInt64 { UInt64(self.high) << 32 | UInt64(self.low) }

        init(fingerprint: UInt64, author: UInt32) {
            self.low = UInt32(truncatingIfNeeded: fingerprint)
            self.high = UInt32(truncatingIfNeeded: fingerprint >> 32)
            self.author = author
        }
    }

    /// At least this many of the newest messages are remembered, and at most a quarter more. All
    /// messages of the last ten seconds are remembered too, so that a retried send is recognized
    /// however many others came since.
    private let limit: Int32
    /// The number of the message at index 0 of `items`.
    private var first: SequenceNumber
    private var items: [Item] = []
    /// One bit for each item, chosen by its fingerprint. Among few items, this alone rules out most
    /// other sends.
    private var filter: UInt64 = 0
    /// An open-addressing table: the upper 16 bits of a fingerprint, then its index + 1 in the
    /// lower 16 bits; 0 is free. Empty while a scan of all items is as fast.
    private var table: [UInt32] = []
    /// The head at two earlier times, at least ten seconds apart. Messages up to the older one may
    /// be forgotten.
    private var olderHead: SequenceNumber = 0
    private var newerHead: (head: SequenceNumber, since: Int64) = (0, .min)
    private static let scanLimit = 32
    private static let retentionMilliseconds: Int64 = 10_000
    private static let itemLimit = 60_000
    private static let authorMask: UInt32 = 0x3FFF_FFFF

    /// Remembers nothing yet of a conversation whose next message has this number.
    init(next: SequenceNumber, limit: Int) {
        self.first = next
        self.limit = Int32(min(max(limit, 1), 50_000))
    }

    /// The numbers of the remembered messages.
    var range: Range<SequenceNumber> { self.first..<(self.first + self.items.count) }

    /// Prefetches the memory that the next message reads, if this one is the newest.
    @inline(__always)
    func prefetch(_ newest: SequenceNumber) {
        Prefetch.element(newest + 1 - self.first, of: self.items)
    }

    /// - Parameters:
    ///   - fingerprint: 0 for a message without a client message id.
    ///   - now: a monotonic millisecond.
    mutating func append(author: UInt32, fingerprint: UInt64, at now: Int64) {
        if self.items.count >= Int(self.limit + max(self.limit / 4, 1)) { self.trim(at: now) }
        self.items.append(Item(fingerprint: fingerprint, author: author))
        self.filter |= Self.filterBit(of: fingerprint)
        guard self.items.count > Self.scanLimit else { return }
        if self.items.count * 2 > self.table.count {
            self.rebuildTable()
        } else {
            self.insert(fingerprint, index: self.items.count - 1)
        }
    }

    private mutating func trim(at now: Int64) {
        let head = self.first + self.items.count - 1
        if self.newerHead.since == .min || now - self.newerHead.since >= Self.retentionMilliseconds
        {
            self.olderHead = self.newerHead.head
            self.newerHead = (head, now)
        }
        var forgotten = self.items.count - Int(self.limit)
        if self.items.count < Self.itemLimit {
            forgotten = min(forgotten, self.olderHead - self.first + 1)
        }
        // A few at a time would move the others each time.
        guard forgotten >= max(Int(self.limit) / 4, 1) else { return }
        self.items.removeFirst(forgotten)
        self.first += forgotten
        self.filter = self.items.reduce(0) { $0 | Self.filterBit(of: $1.fingerprint) }
        self.table = []
    }

    /// The newest message with this fingerprint, if it is remembered.
    func sequence(of fingerprint: UInt64) -> SequenceNumber? {
        guard self.filter & Self.filterBit(of: fingerprint) != 0 else { return nil }
        if self.items.count <= Self.scanLimit {
            for index in self.items.indices.reversed()
            where self.items[index].fingerprint == fingerprint {
                return self.first + index
            }
            return nil
        }
        let mask = self.table.count - 1
        var slot = Int(truncatingIfNeeded: fingerprint) & mask
        while self.table[slot] != 0 {
            if self.matches(self.table[slot], of: fingerprint) {
                return self.first + Int(self.table[slot] & 0xFFFF) - 1
            }
            slot = (slot + 1) & mask
        }
        return nil
    }

    private static func filterBit(of fingerprint: UInt64) -> UInt64 {
        1 << (fingerprint & 63)
    }

    /// The bits that do not choose the slot nearly always decide, without a look at the item.
    private func matches(_ entry: UInt32, of fingerprint: UInt64) -> Bool {
        entry >> 16 == UInt32(fingerprint >> 48)
            && self.items[Int(entry & 0xFFFF) - 1].fingerprint == fingerprint
    }

    private mutating func rebuildTable() {
        var size = 64
        while size < self.items.count * 3 { size *= 2 }
        self.table = Array(repeating: 0, count: size)
        for index in self.items.indices { self.insert(self.items[index].fingerprint, index: index) }
    }

    private mutating func insert(_ fingerprint: UInt64, index: Int) {
        guard fingerprint != 0 else { return }
        let mask = self.table.count - 1
        var slot = Int(truncatingIfNeeded: fingerprint) & mask
        while self.table[slot] != 0, !self.matches(self.table[slot], of: fingerprint) {
            slot = (slot + 1) & mask
        }
        // If two messages share a fingerprint, the newer one is remembered.
        self.table[slot] = UInt32(fingerprint >> 48) << 16 | UInt32(index + 1)
    }

    func author(of sequence: SequenceNumber) -> UInt32? {
        self.range.contains(sequence)
            ? self.items[sequence - self.first].author & Self.authorMask : nil
    }

    func isMarked(_ sequence: SequenceNumber, _ mark: Mark) -> Bool {
        self.range.contains(sequence)
            && self.items[sequence - self.first].author & mark.rawValue != 0
    }

    mutating func mark(_ sequence: SequenceNumber, _ mark: Mark) {
        guard self.range.contains(sequence) else { return }
        self.items[sequence - self.first].author |= mark.rawValue
    }

    /// The fingerprint of a send, never 0. Seeded for each process, so that no client can choose
    /// ids that collide.
    static func fingerprint(author: UInt32, clientMessageID client: ClientMessageID) -> UInt64 {
        var hasher = Hasher()
        hasher.combine(author)
        hasher.combine(client)
        return max(1, UInt64(bitPattern: Int64(hasher.finalize())))
    }
}
