import ChatModel
import Synchronization

extension SQLiteReader {
    /// The number of messages whose positions are read together during a search.
    private static let scanStep = 256
    /// The number of positions that are read together from the index: at least those of a page.
    private static let hitStep = StoreRequest.searchLimit + 1

    /// Executes a slice of a search, in a transaction of its own.
    ///
    /// - Returns: the result; nil if the search must be continued.
    func search(_ scan: inout SearchScan) throws(StorageFault) -> SearchPage? {
        let start = scan
        let (page, end) = try self.readConsistently {
            () throws(StorageFault) -> (SearchPage?, SearchScan) in
            var scan = start
            scan.beginSlice()
            return (try self.slice(&scan), scan)
        }
        scan = end
        return page
    }

    /// Examines the messages that the index lacks, and then those that it names.
    private func slice(_ scan: inout SearchScan) throws(StorageFault) -> SearchPage? {
        guard let snapshot = try self.snapshot(of: scan.key),
            let oldest = try self.entries(of: snapshot, .after(snapshot.oldest - 1), limit: 1).first
        else { return SearchPage() }
        let indexedThrough = scan.usesIndex ? try self.searchedThrough() : 0
        let next = try self.scan(&scan, of: snapshot, above: indexedThrough)
        guard let next else {
            let isAtEnd = scan.isComplete || scan.before <= snapshot.oldest
            return isAtEnd ? try self.finish(&scan, of: snapshot) : nil
        }
        var indexed = scan
        switch try self.search(&indexed, oldest.position...next.position, of: snapshot) {
        case .complete:
            scan = indexed
            return try self.finish(&scan, of: snapshot)
        case .incomplete: scan = indexed
        case .damaged:
            self.searchReports.isDamaged.store(true, ordering: .relaxed)
            scan.usesIndex = false
        }
        return nil
    }

    private func finish(_ scan: inout SearchScan, of snapshot: ConversationSnapshot)
        throws(StorageFault) -> SearchPage
    {
        scan.finish(oldest: snapshot.oldest, pinned: try self.pins.messages(of: snapshot.id))
    }

    /// The position up to which the index is complete. 0 if that is not known, and then the writer
    /// builds the index again.
    private func searchedThrough() throws(StorageFault) -> Int {
        do {
            return try self.settings.value(.searchedThrough)
        } catch .damaged {
            self.searchReports.isDamaged.store(true, ordering: .relaxed)
            return 0
        }
    }

    /// Examines messages one by one, newest first, down to a position of the log.
    ///
    /// - Returns: the first message that the index has; nil if there is none, or if the slice is
    ///   full.
    private func scan(
        _ scan: inout SearchScan, of snapshot: ConversationSnapshot, above position: Int
    ) throws(StorageFault) -> MessageIndexEntry? {
        var end = min(scan.before, snapshot.head + 1)
        while end > snapshot.oldest {
            let entries = try self.entries(of: snapshot, .before(end), limit: Self.scanStep)
            for entry in entries.reversed() {
                if scan.isComplete || scan.isSliceFull { return nil }
                if entry.position <= position { return entry }
                scan.examine(try self.message(entry))
            }
            end = entries.first?.sequence ?? snapshot.oldest
        }
        return nil
    }

    private enum IndexOutcome { case complete, incomplete, damaged }

    /// Examines messages that the index names.
    private func search(
        _ scan: inout SearchScan, _ positions: ClosedRange<Int>, of snapshot: ConversationSnapshot
    ) throws(StorageFault) -> IndexOutcome {
        var found: [Int] = []
        do throws(SQLiteFailure) {
            let rows = try SearchRows(self.connection)
            rows.begin(scan.query, of: snapshot.id, in: positions)
            defer { rows.reset() }
            while found.count < Self.hitStep, let position = try rows.next() {
                found.append(position)
            }
        } catch {
            guard error.isCorruption || error.isMissingTable else { throw .database(error) }
            return .damaged
        }
        for position in found {
            if scan.isComplete { return .complete }
            // An index without a fault names no other messages.
            guard let stored = try self.messages.stored(at: position),
                stored.conversation == snapshot.id
            else { return .damaged }
            scan.examine(stored.message)
        }
        return found.count < Self.hitStep || scan.isComplete ? .complete : .incomplete
    }
}
