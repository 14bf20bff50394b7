import ChatModel

/// What members have read and the store does not have yet.
///
/// Nobody hears of it before: a list that is asked for next counts from what the store has. Of each conversation one round of cursors is on
/// its way at a time, and what is read meanwhile gathers for the next, so that a crowd of readers costs few writes.
struct UnstoredReads: Sendable {
    struct UnstoredRead: Sendable {
        let reader: UInt32
        /// The messages that everybody is told of; nil: all that it covers.
        let named: [SequenceNumber]?
        let through: SequenceNumber
        /// What the reader has named and is not there.
        let unknown: [SequenceNumber]
        let origin: RequestOrigin
    }

    private var queued: [UnstoredRead] = []
    private var inFlight: [UInt32: [UnstoredRead]] = [:]
    private(set) var count = 0

    var isEmpty: Bool { self.count == 0 }

    mutating func append(_ read: UnstoredRead) {
        self.queued.append(read)
        self.count += 1
    }

    /// Whether this very request is here already.
    func contains(_ read: UnstoredRead) -> Bool {
        func isSame(_ other: UnstoredRead) -> Bool { other.origin.isSame(as: read.origin) }
        return self.queued.contains(where: isSame)
            || self.inFlight[read.reader]?.contains(where: isSame) == true
    }

    /// Begins the next round, unless one is under way: how far each reader has read.
    mutating func beginRound() -> [(reader: UInt32, through: SequenceNumber)] {
        guard self.inFlight.isEmpty, !self.queued.isEmpty else { return [] }
        var readers: [UInt32] = []
        for read in self.queued {
            if self.inFlight[read.reader] == nil { readers.append(read.reader) }
            self.inFlight[read.reader, default: []].append(read)
        }
        self.queued.removeAll()
        return readers.map { reader in (reader, self.inFlight[reader]?.map(\.through).max() ?? 0) }
    }

    /// The store has answered for a cursor of this reader's at this place, which may have been written for something else before.
    mutating func finishRound(of reader: UInt32, through sequence: SequenceNumber) -> [UnstoredRead]
    {
        guard let reads = self.inFlight[reader], reads.allSatisfy({ $0.through <= sequence }) else {
            return []
        }
        self.inFlight[reader] = nil
        self.count -= reads.count
        return reads
    }

    mutating func removeQueued() -> [UnstoredRead] {
        defer { self.queued.removeAll() }
        self.count -= self.queued.count
        return self.queued
    }

    /// Gives up what is under way, in an order that is the same in every run.
    mutating func removeInFlight() -> [UnstoredRead] {
        let reads = self.inFlight.sorted { $0.key < $1.key }.flatMap(\.value)
        self.inFlight.removeAll()
        self.count -= reads.count
        return reads
    }
}
