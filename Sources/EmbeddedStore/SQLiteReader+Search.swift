import ChatModel
import Synchronization

extension SQLiteReader {
    /// The number of messages whose positions are read together during a search.
    private static let scanStep = 256
    /// The number of positions that are read together from the index: at least those of a page.
    private static let hitStep = StoreRequest.searchLimit + 1

    /// Examines the messages that the index lacks, and then those that it names.
    func search(
        _ query: SearchQuery, in snapshot: ConversationSnapshot, before: SequenceNumber?, limit: Int
    ) throws(StorageFault) -> SearchPage {
        var scan = SearchScan(query, limit: limit)
        let oldest = try self.entries(of: snapshot, .after(snapshot.oldest - 1), limit: 1).first
        guard let oldest else { return SearchPage() }
        let indexedThrough = try self.searchedThrough()
        guard
            let next = try self.scan(
                &scan, of: snapshot, before: min(before ?? .max, snapshot.head + 1),
                above: indexedThrough)
        else { return scan.page(oldest: snapshot.oldest) }
        var indexed = scan
        if try self.search(&indexed, query, oldest.position...next.position, of: snapshot) {
            return indexed.page(oldest: snapshot.oldest)
        }
        self.searchReports.isDamaged.store(true, ordering: .relaxed)
        _ = try self.scan(&scan, of: snapshot, before: next.sequence + 1, above: 0)
        return scan.page(oldest: snapshot.oldest)
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

    /// Examines messages below a number one by one, newest first, down to a position of the log.
    ///
    /// - Returns: the first message that was not examined; nil if the search is complete.
    private func scan(
        _ scan: inout SearchScan, of snapshot: ConversationSnapshot, before number: SequenceNumber,
        above position: Int
    ) throws(StorageFault) -> MessageIndexEntry? {
        var end = number
        while end > snapshot.oldest {
            let entries = try self.entries(of: snapshot, .before(end), limit: Self.scanStep)
            for entry in entries.reversed() {
                if scan.isComplete { return nil }
                if entry.position <= position { return entry }
                scan.examine(try self.message(entry))
            }
            end = entries.first?.sequence ?? snapshot.oldest
        }
        return nil
    }

    /// Examines the messages that the index names.
    ///
    /// - Returns: false if the index is missing or damaged.
    private func search(
        _ scan: inout SearchScan, _ query: SearchQuery, _ positions: ClosedRange<Int>,
        of snapshot: ConversationSnapshot
    ) throws(StorageFault) -> Bool {
        var found: [Int] = []
        do throws(SQLiteFailure) {
            let rows = try SearchRows(self.connection)
            rows.begin(query, of: snapshot.id, in: positions)
            defer { rows.reset() }
            while found.count < Self.hitStep, let position = try rows.next() {
                found.append(position)
            }
        } catch {
            guard error.isCorruption || error.isMissingTable else { throw .database(error) }
            return false
        }
        for position in found {
            if scan.isComplete { return true }
            // An index without a fault names no other messages.
            guard let stored = try self.messages.stored(at: position),
                stored.conversation == snapshot.id
            else { return false }
            scan.examine(stored.message)
        }
        guard found.count == Self.hitStep, let last = found.last, last > positions.lowerBound,
            !scan.isComplete
        else { return true }
        return try self.search(&scan, query, positions.lowerBound...last - 1, of: snapshot)
    }
}
