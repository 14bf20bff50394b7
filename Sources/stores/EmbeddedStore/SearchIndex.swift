import ChatModel
import Synchronization

/// What the readers tell the writer about the search index.
final class SearchIndexReports: Sendable {
    /// Whether a search found the index damaged. The search itself then examined the messages.
    let isDamaged = Atomic(false)
}

/// The writer's part of the search index.
///
/// The writer fills the index when it has nothing else to do, in batches of bounded size behind the
/// position in the setting `searched`. An append costs nothing. A search examines the messages
/// above that position one by one, so it finds them at once.
///
/// Below that position, the index always has the words of the present texts: an amendment changes
/// it in the same transaction. A trimmed message keeps its row, which has the words, until a later
/// batch removes both.
///
/// SQLite only marks removed words as such. Once an hour, and when the store closes, merges of the
/// index's parts erase them from the file.
final class SearchIndex {
    /// The messages that a batch adds or removes, and the bytes of their texts at which it ends:
    /// a few milliseconds, in which the writer commits nothing.
    static let batchLimit = 128
    private static let batchBytes = 64 << 10

    /// The pages that a step of an erasure merges.
    private static let mergedPages = 64
    private static let erasureInterval = Duration.seconds(3600)
    /// The steps and batches that run when the store closes, so that it closes soon.
    private static let closingStepLimit = 256

    private let connection: SQLiteConnection
    private let settings: SettingRows
    private let messages: MessageRows
    private let trimmed: TrimmedRows
    private let newer: SQLiteStatement
    private let reports: SearchIndexReports
    private let backlogLimit: Int
    /// Nil while there is no index.
    private var rows: SearchIndexRows?
    /// The position up to which the index has all messages.
    private(set) var indexedThrough = 0
    /// Not reverted by a rollback: then a batch finds fewer.
    private var trimmedCount = 0
    /// After a failure, batches wait for a transaction that succeeds.
    private var isSuspended = false
    /// Whether this transaction has changed the index.
    private var isChanged = false
    /// Whether the index may have words that were removed. An earlier process may have left some.
    private var hasRemovedWords = true
    private var isErasing = false
    private var lastErasure = ContinuousClock.now

    /// Creates the index if it is missing. Without one, searches examine all messages.
    ///
    /// - Parameter isChecked: whether to check the whole index.
    init(
        _ connection: SQLiteConnection, _ messages: MessageRows, _ settings: SettingRows,
        _ reports: SearchIndexReports, backlogLimit: Int, isChecked: Bool
    ) throws(SQLiteFailure) {
        self.connection = connection
        self.messages = messages
        self.settings = settings
        self.reports = reports
        self.backlogLimit = backlogLimit
        self.trimmed = try TrimmedRows(connection)
        self.newer = try connection.prepare(
            "SELECT position FROM messages WHERE position > ? ORDER BY position LIMIT ?")
        self.trimmedCount = try connection.number("SELECT count(*) FROM trimmed") ?? 0
        do {
            if try settings.value(.searchFormat) == SearchIndexRows.format,
                let position = try settings.storedValue(.searchedThrough)
            {
                self.indexedThrough = position
                if isChecked {
                    try connection.execute("INSERT INTO search (search) VALUES ('integrity-check')")
                }
                if try connection.number(SearchIndexRows.markQuery) == 1 {
                    self.rows = try SearchIndexRows(connection)
                }
            }
        } catch {
            // The index, or its position, is missing or damaged.
        }
        if self.rows == nil { self.rebuild() }
    }

    /// Whether a batch should run.
    ///
    /// - Parameter lastPosition: the position of the last message.
    func hasWork(lastPosition: Int) -> Bool {
        guard !self.isSuspended else { return false }
        if self.reports.isDamaged.load(ordering: .relaxed) { return true }
        return self.rows != nil
            && (self.isErasing || self.hasBacklog(lastPosition, limit: self.backlogLimit)
                || self.hasRemovedWords && .now - self.lastErasure > Self.erasureInterval)
    }

    private func hasBacklog(_ lastPosition: Int, limit: Int) -> Bool {
        lastPosition - self.indexedThrough >= limit || self.trimmedCount >= limit
    }

    // MARK: - Within a transaction of writes

    /// Replaces the words of an amended message.
    func amend(_ old: Message, to new: Message, of conversation: Int, at position: Int)
        throws(StorageFault)
    {
        guard let rows, position <= self.indexedThrough, old.body.content != new.body.content else {
            return
        }
        self.isChanged = true
        self.hasRemovedWords = true
        try rows.delete(old.body.content, of: conversation, at: position)
        try rows.insert(new.body.content, of: conversation, at: position)
    }

    /// Whether the row of a trimmed message stays until a batch removes its words.
    func retain(_ position: Int) throws(StorageFault) -> Bool {
        guard self.rows != nil, position <= self.indexedThrough else { return false }
        try self.trimmed.insert(position)
        self.trimmedCount += 1
        return true
    }

    /// Lets batches wait for a transaction that succeeds.
    func suspend() { self.isSuspended = true }

    func transactionCommitted() {
        self.isSuspended = false
        self.isChanged = false
    }

    /// Whether the transaction failed because of the index, which then is to be built again before
    /// the transaction is repeated.
    func isCause(of fault: StorageFault) -> Bool {
        defer { self.isChanged = false }
        guard self.isChanged else { return false }
        return switch fault {
        case .database(let failure): failure.isCorruption || failure.isMissingTable
        case .damaged, .lost: false
        }
    }

    // MARK: - Transactions of its own

    /// Runs one batch, or one step of an erasure.
    func runBatch(lastPosition: Int) {
        if self.reports.isDamaged.exchange(false, ordering: .relaxed) { return self.rebuild() }
        guard let rows else { return }
        do {
            guard self.hasBacklog(lastPosition, limit: self.backlogLimit) else {
                return try self.runErasure()
            }
            try self.runBatch(rows)
        } catch {
            self.rollBack()
            let isDamaged =
                switch error as? StorageFault ?? (error as? SQLiteFailure).map(StorageFault.init) {
                case .damaged: true
                case .database(let failure): failure.isCorruption || failure.isMissingTable
                case .lost, nil: false
                }
            if isDamaged { self.rebuild() } else { self.isSuspended = true }
        }
    }

    /// Removes the words that are to be erased, before the store closes. A large index may keep
    /// some until the next erasure.
    func close() {
        guard let rows else { return }
        do {
            for _ in 0..<Self.closingStepLimit where self.trimmedCount > 0 {
                try self.runBatch(rows)
            }
            for _ in 0..<Self.closingStepLimit where self.hasRemovedWords || self.isErasing {
                try self.runErasure()
            }
        } catch {
            self.rollBack()
        }
    }

    private func runBatch(_ rows: SearchIndexRows) throws {
        try self.connection.execute("BEGIN IMMEDIATE")
        let end = try self.addMessages(to: rows)
        let (removed, areAllRemoved) = try self.removeTrimmed(from: rows, below: end)
        try self.settings.put(end, in: .searchedThrough)
        try self.connection.execute("COMMIT")
        self.indexedThrough = end
        self.trimmedCount = areAllRemoved ? 0 : self.trimmedCount - removed
        if removed > 0 { self.hasRemovedWords = true }
    }

    /// Begins an erasure, or continues it.
    private func runErasure() throws {
        let changes = try self.connection.number("SELECT total_changes()") ?? 0
        // A negative number begins the merge of all parts.
        let pages = self.isErasing ? Self.mergedPages : -Self.mergedPages
        // Words that are removed from here on belong to the next erasure.
        if !self.isErasing { self.hasRemovedWords = false }
        try self.connection.execute(
            "INSERT INTO search (search, rank) VALUES ('merge', \(pages))")
        // https://www.sqlite.org/fts5.html, 6.7: a merge that does nothing counts as one change.
        self.isErasing = try self.connection.number("SELECT total_changes()") ?? 0 >= changes + 2
        self.lastErasure = .now
    }

    /// Returns the new end.
    private func addMessages(to rows: SearchIndexRows) throws(StorageFault) -> Int {
        var end = self.indexedThrough
        var positions: [Int] = []
        self.newer.bind(1, end)
        self.newer.bind(2, Self.batchLimit)
        do {
            defer { self.newer.reset() }
            while try self.newer.next() { positions.append(self.newer.int(0)) }
        }
        var bytes = 0
        for position in positions where bytes < Self.batchBytes {
            end = position
            // A message that cannot be read cannot be found either.
            guard let stored = try? self.messages.stored(at: position) else { continue }
            try rows.insert(stored.message.body.content, of: stored.conversation, at: position)
            bytes += stored.message.body.content.utf8.count
        }
        return end
    }

    /// Removes messages that are no longer retained. Returns their number, and whether there are no
    /// more.
    private func removeTrimmed(from rows: SearchIndexRows, below end: Int) throws(StorageFault)
        -> (count: Int, areAll: Bool)
    {
        let positions = try self.trimmed.first(Self.batchLimit)
        var (count, bytes) = (0, 0)
        for position in positions where bytes < Self.batchBytes {
            if position <= end, let stored = try? self.messages.stored(at: position) {
                try rows.delete(stored.message.body.content, of: stored.conversation, at: position)
                bytes += stored.message.body.content.utf8.count
            }
            try self.messages.delete(at: position)
            try self.trimmed.delete(position)
            count += 1
        }
        return (count, count == positions.count && count < Self.batchLimit)
    }

    /// Replaces the index by an empty one. If that fails, there is none until the file is opened
    /// again.
    func rebuild() {
        self.rows = nil
        self.indexedThrough = 0
        self.isChanged = false
        self.isErasing = false
        do {
            try self.connection.execute("BEGIN IMMEDIATE")
            do {
                try self.connection.execute("DROP TABLE IF EXISTS search")
            } catch {
                try self.dropParts()
            }
            try self.connection.execute(SearchIndexRows.creation)
            try self.connection.execute(SearchIndexRows.mark)
            try self.settings.put(0, in: .searchedThrough)
            try self.settings.put(SearchIndexRows.format, in: .searchFormat)
            try self.connection.execute("COMMIT")
            self.rows = try SearchIndexRows(self.connection)
        } catch {
            self.rollBack()
        }
    }

    /// Removes an index that lacks one of its tables. SQLite cannot drop it as a whole.
    private func dropParts() throws(SQLiteFailure) {
        try self.connection.execute(
            """
            PRAGMA writable_schema = ON;
            DELETE FROM sqlite_schema WHERE name = 'search';
            PRAGMA writable_schema = RESET;
            DROP TABLE IF EXISTS search_data; DROP TABLE IF EXISTS search_idx;
            DROP TABLE IF EXISTS search_config; DROP TABLE IF EXISTS search_docsize;
            DROP TABLE IF EXISTS search_content
            """)
    }

    private func rollBack() {
        if self.connection.isInTransaction { try? self.connection.execute("ROLLBACK") }
    }
}
