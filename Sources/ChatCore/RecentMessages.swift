import Bytes
import ChatModel

/// What an owner remembers of a conversation's newest messages: which sends they came from, and who has had them.
///
/// It answers two questions without asking the store: has this send been made before, and which of these messages
/// has nobody else had yet? Twelve bytes a message, because every busy conversation has a thousand of them: a send is
/// known by its hash. Of 64 bits, for one that looks like an older send waits until that message has been looked at, and what its
/// sender says next overtakes it: with 32 that happened once in 200,000 messages of the busiest conversations.
struct RecentMessages: Sendable {
    enum Mark: UInt32, Sendable {
        case delivered = 0x4000_0000
        case read = 0x8000_0000
    }

    private struct Item: Sendable {
        // In halves: as one number it would be followed by four bytes of nothing.
        private let low: UInt32
        private let high: UInt32
        /// Author number, with the marks in the two highest bits.
        var author: UInt32

        /// 0 for a message without a client id.
        var fingerprint: UInt64 { UInt64(self.high) << 32 | UInt64(self.low) }

        init(fingerprint send: UInt64, author: UInt32) {
            self.low = UInt32(truncatingIfNeeded: send)
            self.high = UInt32(truncatingIfNeeded: send >> 32)
            self.author = author
        }
    }

    /// At least this many of the newest messages are remembered, at most a quarter more; and all of the last ten
    /// seconds, so that a send that its node asks again is known however many others came since.
    private let limit: Int32
    /// The message that stands at place 0 of `items`.
    private var first: SequenceNumber
    private var items: [Item] = []
    /// A bit for each item, chosen by its send: of a few items most sends that are none of them are told by this alone.
    private var filter: UInt64 = 0
    /// By open addressing: a part of the send (upper 16 bits) and place + 1 (lower 16 bits), 0 is free. Empty while looking
    /// at all items is as fast.
    private var table: [UInt32] = []
    /// The head at two earlier times, at least ten seconds apart: what is not above the older one may be forgotten.
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

    /// The messages remembered.
    var range: Range<SequenceNumber> { self.first..<(self.first + self.items.count) }

    /// Fetches what the next message will read, where this one is the newest.
    @inline(__always)
    func prefetch(_ newest: SequenceNumber) {
        Prefetch.element(newest + 1 - self.first, of: self.items)
    }

    /// - Parameters:
    ///   - send: what `fingerprint` says of its client id; 0 for none.
    ///   - now: a monotonic millisecond.
    mutating func append(author: UInt32, fingerprint send: UInt64, at now: Int64) {
        if self.items.count >= Int(self.limit + max(self.limit / 4, 1)) { self.trim(at: now) }
        self.items.append(Item(fingerprint: send, author: author))
        self.filter |= Self.filterBit(of: send)
        guard self.items.count > Self.scanLimit else { return }
        if self.items.count * 2 > self.table.count {
            self.rebuildTable()
        } else {
            self.insert(send, index: self.items.count - 1)
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

    /// The newest message that a send with this fingerprint made, if it is remembered.
    func sequence(of send: UInt64) -> SequenceNumber? {
        guard self.filter & Self.filterBit(of: send) != 0 else { return nil }
        if self.items.count <= Self.scanLimit {
            for place in self.items.indices.reversed() where self.items[place].fingerprint == send {
                return self.first + place
            }
            return nil
        }
        let mask = self.table.count - 1
        var slot = Int(truncatingIfNeeded: send) & mask
        while self.table[slot] != 0 {
            if self.matches(self.table[slot], of: send) {
                return self.first + Int(self.table[slot] & 0xFFFF) - 1
            }
            slot = (slot + 1) & mask
        }
        return nil
    }

    private static func filterBit(of send: UInt64) -> UInt64 {
        1 << (send & 63)
    }

    /// What of the send does not choose the slot tells nearly always, without a look at the item.
    private func matches(_ entry: UInt32, of send: UInt64) -> Bool {
        entry >> 16 == UInt32(send >> 48) && self.items[Int(entry & 0xFFFF) - 1].fingerprint == send
    }

    private mutating func rebuildTable() {
        var size = 64
        while size < self.items.count * 3 { size *= 2 }
        self.table = Array(repeating: 0, count: size)
        for place in self.items.indices { self.insert(self.items[place].fingerprint, index: place) }
    }

    private mutating func insert(_ send: UInt64, index place: Int) {
        guard send != 0 else { return }
        let mask = self.table.count - 1
        var slot = Int(truncatingIfNeeded: send) & mask
        while self.table[slot] != 0, !self.matches(self.table[slot], of: send) {
            slot = (slot + 1) & mask
        }
        // Of two under one fingerprint the newer one is remembered.
        self.table[slot] = UInt32(send >> 48) << 16 | UInt32(place + 1)
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

    /// What a send is remembered by, never 0. Seeded for each process, so that nobody can choose ids that collide.
    static func fingerprint(author: UInt32, clientMessageID client: ClientMessageID) -> UInt64 {
        var hasher = Hasher()
        hasher.combine(author)
        hasher.combine(client)
        return max(1, UInt64(bitPattern: Int64(hasher.finalize())))
    }
}
