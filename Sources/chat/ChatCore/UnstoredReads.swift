import ChatModel

/// Reads that the store does not have yet.
///
/// They are announced only when they are stored, because a client that reads a list next gets
/// counts from the store. Each conversation has one round of cursors in flight at a time. Later
/// reads gather for the next round, so that many readers cost few writes.
struct UnstoredReads: Sendable {
    struct UnstoredRead: Sendable {
        let reader: UInt32
        /// The messages that the event lists, oldest first; nil for all that the cursor newly
        /// covers.
        let named: [SequenceNumber]?
        let through: SequenceNumber
        /// The numbers that the reader named and that do not exist.
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

    /// Whether this request is already queued or in flight.
    func contains(_ read: UnstoredRead) -> Bool {
        func isSame(_ other: UnstoredRead) -> Bool { other.origin.isSame(as: read.origin) }
        return self.queued.contains(where: isSame)
            || self.inFlight[read.reader]?.contains(where: isSame) == true
    }

    /// Begins the next round, unless one is in flight, and returns how far each reader has read.
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

    /// The store has answered for a cursor of this reader up to this number. The cursor may have
    /// been written earlier for another reason.
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

    /// Removes the reads in flight, in an order that is the same in every run.
    mutating func removeInFlight() -> [UnstoredRead] {
        let reads = self.inFlight.sorted { $0.key < $1.key }.flatMap(\.value)
        self.inFlight.removeAll()
        self.count -= reads.count
        return reads
    }
}
