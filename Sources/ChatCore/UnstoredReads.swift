import ChatModel

/// What members have read and the store does not have yet.
///
/// Nobody hears of it before: a list that is asked for next counts from what the store has. Of each conversation one round of cursors is on
/// its way at a time, and what is read meanwhile gathers for the next, so that a crowd of readers costs few writes.
struct UnstoredReads: Sendable {
    struct Read: Sendable {
        let reader: UInt32
        /// The messages that everybody is told of; nil: all that it covers.
        let named: [SequenceNumber]?
        let through: SequenceNumber
        /// What the reader has named and is not there.
        let unknown: [SequenceNumber]
        let asker: Origin
    }

    private var waiting: [Read] = []
    private var underWay: [UInt32: [Read]] = [:]
    private(set) var count = 0

    var isEmpty: Bool { self.count == 0 }

    mutating func append(_ read: Read) {
        self.waiting.append(read)
        self.count += 1
    }

    /// Whether this very request is here already.
    func has(_ read: Read) -> Bool {
        func isSame(_ other: Read) -> Bool { other.asker.isSame(as: read.asker) }
        return self.waiting.contains(where: isSame) || self.underWay[read.reader]?.contains(where: isSame) == true
    }

    /// Begins the next round, unless one is under way: how far each reader has read.
    mutating func begin() -> [(reader: UInt32, through: SequenceNumber)] {
        guard self.underWay.isEmpty, !self.waiting.isEmpty else { return [] }
        var readers: [UInt32] = []
        for read in self.waiting {
            if self.underWay[read.reader] == nil { readers.append(read.reader) }
            self.underWay[read.reader, default: []].append(read)
        }
        self.waiting.removeAll()
        return readers.map { reader in (reader, self.underWay[reader]?.map(\.through).max() ?? 0) }
    }

    /// The store has answered for a cursor of this reader's at this place, which may have been written for something else before.
    mutating func end(_ reader: UInt32, through sequence: SequenceNumber) -> [Read] {
        guard let reads = self.underWay[reader], reads.allSatisfy({ $0.through <= sequence }) else { return [] }
        self.underWay[reader] = nil
        self.count -= reads.count
        return reads
    }

    mutating func takeWaiting() -> [Read] {
        defer { self.waiting.removeAll() }
        self.count -= self.waiting.count
        return self.waiting
    }

    /// Gives up what is under way, in an order that is the same in every run.
    mutating func takeUnderWay() -> [Read] {
        let reads = self.underWay.sorted { $0.key < $1.key }.flatMap(\.value)
        self.underWay.removeAll()
        self.count -= reads.count
        return reads
    }
}
