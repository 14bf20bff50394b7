import Bytes
import ChatModel

/// The only writer of a store's file. It executes requests in a transaction and tracks what is
/// stored.
final class SQLiteWriter {
    let file: DatabaseFile
    let options: SQLiteOptions
    let connection: SQLiteConnection
    let messages: MessageRows
    let conversations: ConversationRows
    let members: MemberRows
    let messageIndex: MessageIndexRows
    let amendments: AmendmentRows
    let deletions: DeletionRows
    let replies: ReplyRows
    let mentions: MentionRows
    let pins: PinRows
    let searchIndex: SearchIndex
    private let shards: ShardRows
    private let settings: SettingRows
    private let numbers: NumberRows
    private let bans: BanRows
    private let outbox: OutboxRows
    private let begin: SQLiteStatement
    private let commit: SQLiteStatement
    private let rollback: SQLiteStatement
    private let checkpoint: SQLiteStatement
    /// The size of the write-ahead log, in pages, that triggers a checkpoint.
    private static let checkpointPages = 2000

    private(set) var fences: [Int: ShardFence]
    private var replacedFences: [(shard: Int, fence: ShardFence?)] = []
    var conversationCache: ConversationCache
    let unindexed: UnindexedMessages
    /// The index entries of this transaction's messages.
    var transactionEntries: [MessageIndexEntry] = []
    var nextPosition = 1
    var nextConversation = 1
    private var indexFlush = IndexFlush()
    private var unindexedCount = 0
    /// The minimum number of index entries that each transaction flushes.
    private var minimumFlushCount = 16
    /// The number of writes in this transaction, for telemetry.
    private(set) var writeCount = 0
    /// Whether this transaction added events to the outbox.
    private(set) var hasNewEvents = false

    /// The progress of writing a sealed generation to the index.
    private struct IndexFlush {
        var entries: [MessageIndexEntry] = []
        var flushedCount = 0
        /// The value of `flushedCount` at the last commit.
        var committedCount = 0
        var lastPosition = 0

        var isActive: Bool { !self.entries.isEmpty }
    }

    /// Reads the writer's state. Afterwards `unindexed` has all messages that `places` lacks.
    init(
        file: DatabaseFile, connection: SQLiteConnection, unindexed: UnindexedMessages,
        searchReports: SearchIndexReports, options: SQLiteOptions
    ) throws(StorageFault) {
        self.file = file
        self.options = options
        self.connection = connection
        self.unindexed = unindexed
        self.conversationCache = ConversationCache(limit: options.cachedConversationLimit)
        do {
            self.messages = try MessageRows(connection)
            self.conversations = try ConversationRows(connection)
            self.members = try MemberRows(connection)
            self.messageIndex = try MessageIndexRows(connection)
            self.amendments = try AmendmentRows(connection)
            self.deletions = try DeletionRows(connection)
            self.replies = try ReplyRows(connection)
            self.mentions = try MentionRows(connection)
            self.pins = try PinRows(connection)
            self.shards = try ShardRows(connection)
            self.settings = try SettingRows(connection)
            self.numbers = try NumberRows(connection)
            self.bans = try BanRows(connection)
            self.outbox = try OutboxRows(
                connection, limit: options.outbox?.limit ?? SQLiteOptions.deadLetterLimit)
            self.begin = try connection.prepare("BEGIN IMMEDIATE")
            self.commit = try connection.prepare("COMMIT")
            self.rollback = try connection.prepare("ROLLBACK")
            self.checkpoint = try connection.prepare("PRAGMA wal_checkpoint(PASSIVE)")
            self.searchIndex = try SearchIndex(
                connection, self.messages, self.settings, searchReports,
                backlogLimit: options.searchBacklogLimit,
                isChecked: file.byteCount <= options.integrityCheckByteLimit)
        } catch {
            throw StorageFault(error)
        }
        connection.trackLogPages()
        if let loss = file.checkForLoss() { throw .lost(loss) }
        self.fences = try self.shards.all()
        try self.recover()
    }

    private func recover() throws(StorageFault) {
        let indexedThrough = try self.settings.value(.indexedThrough)
        do {
            self.nextConversation = try self.conversations.nextID()
            let log = try self.connection.prepare(
                "SELECT position FROM messages WHERE position > \(indexedThrough) ORDER BY position"
            )
            self.nextPosition = indexedThrough + 1
            while try log.next() {
                let entry = try self.messages.indexEntry(at: log.int(0))
                self.nextPosition = entry.position + 1
                self.unindexedCount = self.unindexed.add([entry])
            }
        } catch let failure as SQLiteFailure {
            throw StorageFault(failure)
        } catch {
            throw error as? StorageFault ?? .damaged("\(error)")
        }
    }

    /// Executes requests in one transaction: all of them succeed, or all fail.
    func perform(_ requests: [StoreRequest]) throws(StorageFault) -> [StoreAnswer] {
        do {
            return try self.performOnce(requests)
        } catch {
            guard self.searchIndex.isCause(of: error) else { throw error }
            self.searchIndex.rebuild()
            return try self.performOnce(requests)
        }
    }

    private func performOnce(_ requests: [StoreRequest]) throws(StorageFault) -> [StoreAnswer] {
        self.writeCount = 0
        self.hasNewEvents = false
        if let loss = self.file.checkForLoss() { throw .lost(loss) }
        do {
            try self.begin.run()
            var answers: [StoreAnswer] = []
            answers.reserveCapacity(requests.count)
            for request in requests { answers.append(try self.answer(request)) }
            try self.flushIndex()
            try self.commit.run()
            self.applyCommit()
            try self.checkCommitted()
            return answers
        } catch .lost(let loss) {
            throw .lost(loss)
        } catch {
            self.revertTransaction()
            // Lost files explain the error better than SQLite's message.
            if let loss = self.file.checkForLoss() { throw .lost(loss.withUnknownEffect) }
            throw error
        }
    }

    /// Other programs can remove the files during the transaction. Its effect is unknown: restored
    /// files may contain it.
    private func checkCommitted() throws(StorageFault) {
        var loss = self.file.checkForLoss()
        if loss == nil, self.connection.logPageCount >= Self.checkpointPages {
            // As with `wal_autocheckpoint`, a failed checkpoint is retried after the next commit.
            try? self.checkpoint.run()
            loss = self.file.checkForLossAfterCheckpoint()
        }
        if let loss { throw .lost(loss.withUnknownEffect) }
    }

    /// Whether the search index lacks so many messages that a batch should run.
    var hasSearchWork: Bool { self.searchIndex.hasWork(lastPosition: self.nextPosition - 1) }

    /// Runs one batch of the search index.
    func updateSearchIndex() {
        guard self.file.checkForLoss() == nil else { return self.searchIndex.suspend() }
        self.searchIndex.runBatch(lastPosition: self.nextPosition - 1)
        // A loss fails the next transaction, which has a client.
        try? self.checkCommitted()
    }

    /// Closes the file. Lost files stay untouched, because SQLite would delete any log under the
    /// old name.
    func close() {
        do {
            try self.finish()
        } catch {
            self.connection.isAbandoned = self.file.checkForLoss() != nil
        }
    }

    /// Flushes all messages to `places`, and the write-ahead log to the database.
    func finish() throws(StorageFault) {
        self.minimumFlushCount = 4096
        repeat {
            if !self.indexFlush.isActive { self.startIndexFlush() }
            _ = try self.perform([])
        } while self.indexFlush.isActive || self.unindexedCount > 0
        self.searchIndex.close()
        do {
            try self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        } catch {
            throw .database(error)
        }
    }

    private func answer(_ request: StoreRequest) throws(StorageFault) -> StoreAnswer {
        switch request {
        case .claim(let shard, let owner, let view):
            return try self.claim(shard, for: owner, under: view)
        case .write(let batch): return .written(try self.write(batch))
        case .probe:
            try self.settings.put(try self.settings.value(.probes) + 1, in: .probes)
            return .done
        case .numbers, .nextNumber: return try self.answerNumberRequest(request)
        case .ban(let ban): return try self.bans.put(ban)
        case .unban(let subject): return .unbanned(try self.bans.remove(subject))
        case .repair(let key, let owner, let epoch):
            return try self.repair(key, by: owner, under: epoch)
        case .outbox(let request): return .outbox(try self.outbox.answer(request))
        case .load, .recent, .page, .thread, .search, .changes, .amended, .unread, .memberships,
            .catalog, .users, .bans, .conversations, .examine:
            preconditionFailure("the writer received a read request")
        }
    }

    /// Damage in one tenant must not fail the transaction, which is shared by all tenants.
    private func answerNumberRequest(_ request: StoreRequest) throws(StorageFault) -> StoreAnswer {
        do {
            switch request {
            case .numbers(let users, let tenant):
                return try self.numbers.numbers(of: users, in: tenant)
            case .nextNumber(let tenant):
                return .number(try self.numbers.incrementCounter(in: tenant))
            default: preconditionFailure("not a request for numbers")
            }
        } catch .damaged(let problem) {
            return .failed(
                StoreFailure(
                    "\(self.file.path): it is damaged: \(problem)", isRequestSpecific: true))
        }
    }

    private func claim(_ shard: Int, for owner: LoopID, under view: Int) throws(StorageFault)
        -> StoreAnswer
    {
        guard shard >= 0, shard < MemoryTables.shardLimit else {
            return .failed(StoreFailure("shard \(shard): there is no such shard"))
        }
        let old = self.fences[shard]
        if let old, view < old.view { return .outdated(view: old.view) }
        let fence = ShardFence(epoch: (old?.epoch ?? 0) + 1, owner: owner, view: view)
        try self.shards.put(fence, at: shard)
        self.replacedFences.append((shard, old))
        self.fences[shard] = fence
        return .claimed(fence.epoch)
    }

    private func write(_ batch: WriteBatch) throws(StorageFault) -> WriteOutcome {
        var refused = RefusedWrites()
        for index in batch.writes.indices {
            let write = batch.writes[index]
            if refused.refuses(write.conversation, at: index) { continue }
            let fence = self.fences[write.shard] ?? .unclaimed
            var refusal = fence.refusal(of: batch.owner, under: write.epoch)
            if refusal == nil { refusal = try self.apply(write) }
            if let refusal {
                refused.record(refusal, of: write.conversation, at: index)
            } else if let event = self.options.outbox?.event(write) {
                try self.outbox.append(event)
                self.hasNewEvents = true
            }
        }
        self.writeCount += batch.writes.count
        return refused.outcome
    }

    // MARK: - Flushing the index

    /// Writes a part of a sealed generation to `places`: twice as many entries as the transaction
    /// added, so that it completes before the next generation is full.
    private func flushIndex() throws(StorageFault) {
        if !self.indexFlush.isActive,
            self.unindexedCount + self.transactionEntries.count >= self.options.generationSize
        {
            self.startIndexFlush()
        }
        guard self.indexFlush.isActive else { return }
        let end = min(
            self.indexFlush.entries.count,
            self.indexFlush.flushedCount
                + max(self.minimumFlushCount, 2 * self.transactionEntries.count))
        for entry in self.indexFlush.entries[self.indexFlush.flushedCount..<end] {
            try self.messageIndex.put(entry)
        }
        self.indexFlush.flushedCount = end
        if end == self.indexFlush.entries.count {
            try self.settings.put(self.indexFlush.lastPosition, in: .indexedThrough)
        }
    }

    /// Seals the committed entries; those of the current transaction belong to the next generation.
    private func startIndexFlush() {
        self.indexFlush = IndexFlush(
            entries: self.unindexed.seal(),
            lastPosition: self.nextPosition - self.transactionEntries.count - 1)
        self.unindexedCount = 0
        if self.indexFlush.entries.isEmpty { self.unindexed.discardSealed() }
    }

    /// Updates the state in memory after a commit.
    private func applyCommit() {
        // Readers can find the new messages from here on, before any client is answered.
        self.unindexedCount = self.unindexed.add(self.transactionEntries)
        if self.indexFlush.isActive, self.indexFlush.flushedCount == self.indexFlush.entries.count {
            self.unindexed.discardSealed()
            self.indexFlush = IndexFlush()
        }
        self.indexFlush.committedCount = self.indexFlush.flushedCount
        self.transactionEntries.removeAll(
            keepingCapacity: self.transactionEntries.capacity <= 65_536)
        self.replacedFences.removeAll(keepingCapacity: true)
        self.conversationCache.commit()
        self.searchIndex.transactionCommitted()
    }

    /// Reverts the state in memory after SQLite has rolled back the transaction.
    private func revertTransaction() {
        self.begin.reset()
        self.commit.reset()
        if self.connection.isInTransaction { try? self.rollback.run() }
        self.nextPosition -= self.transactionEntries.count
        self.transactionEntries.removeAll(keepingCapacity: true)
        self.indexFlush.flushedCount = self.indexFlush.committedCount
        for (shard, fence) in self.replacedFences.reversed() { self.fences[shard] = fence }
        self.replacedFences.removeAll(keepingCapacity: true)
        self.conversationCache.rollBack()
    }
}
