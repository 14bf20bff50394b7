import ChatModel
internal import Glibc
import Synchronization
import Telemetry

/// The loop of the writer's thread.
final class WriterLoop {
    private let writer: SQLiteWriter
    private let queue: RequestQueue
    private let statisticsCollector: SQLiteStore.StatisticsCollector
    private let clock = ContinuousClock()

    init(
        writer: SQLiteWriter, queue: RequestQueue,
        statisticsCollector tally: SQLiteStore.StatisticsCollector
    ) {
        self.writer = writer
        self.queue = queue
        self.statisticsCollector = tally
    }

    func run() {
        var batch: [Submission] = []
        let options = self.writer.options
        var lastIndexing = self.clock.now
        while self.queue.dequeue(
            into: &batch, writeLimit: options.commitWriteLimit,
            waitingAtMost: self.writer.hasSearchWork ? options.searchIdleTime : nil)
        {
            let start = self.clock.now
            if batch.isEmpty {
                self.writer.updateSearchIndex()
                lastIndexing = start
                continue
            }
            self.commit(batch[...])
            // Frees the memory of a burst.
            batch.removeAll(keepingCapacity: batch.capacity <= 16_384)
            if self.writer.hasSearchWork, start - lastIndexing > options.searchInterval {
                self.writer.updateSearchIndex()
                lastIndexing = start
            }
            self.awaitCommitInterval(since: start)
        }
        // Messages that are still unindexed would be read from the log at the next opening.
        self.writer.close()
    }

    /// Waits until the next commit may start, so that requests collect. A request after an idle
    /// period has already been committed at once.
    private func awaitCommitInterval(since start: ContinuousClock.Instant) {
        let left = self.writer.options.commitInterval - (self.clock.now - start)
        if left > .zero { usleep(UInt32(left / .microseconds(1))) }
    }

    private func commit(_ batch: ArraySlice<Submission>) {
        let start = self.clock.now
        do {
            let answers = try self.writer.perform(batch.map(\.request))
            self.recordCommit(since: start)
            for (submission, answer) in zip(batch, answers) {
                submission.client.storeAnswered(answer, ticket: submission.ticket)
            }
            if self.writer.hasNewEvents { self.writer.options.outbox?.appended(0) }
        } catch {
            self.statisticsCollector.statistics.withLock { $0.failedCommits += 1 }
            // A damaged page must fail only its own conversation, so each request is retried
            // separately.
            if case .database(let failure) = error, failure.isCorruption, batch.count > 1 {
                for index in batch.indices { self.commit(batch[index...index]) }
                return
            }
            self.fail(batch, error.storeFailure(path: self.writer.file.path))
        }
    }

    private func fail(_ batch: ArraySlice<Submission>, _ failure: StoreFailure) {
        for submission in batch {
            submission.client.storeAnswered(.failed(failure), ticket: submission.ticket)
        }
    }

    private func recordCommit(since start: ContinuousClock.Instant) {
        let time = self.clock.now - start
        let writes = self.writer.writeCount
        self.statisticsCollector.statistics.withLock { statistics in
            statistics.commits += 1
            statistics.writes += writes
            statistics.writesPerCommit.record(UInt64(max(0, writes)))
            statistics.commitTimes.record(time)
        }
    }
}

extension DatabaseFile {
    /// A reader with a connection of its own.
    fileprivate func reader(
        unindexed: UnindexedMessages, searchReports: SearchIndexReports, options: SQLiteOptions
    ) throws(StorageFault) -> SQLiteReader {
        do {
            return try SQLiteReader(
                connection: try self.openForReading(options), unindexed: unindexed,
                searchReports: searchReports, options: options, path: self.path)
        } catch {
            throw StorageFault(error)
        }
    }
}

/// The loop of a reader's thread.
final class ReaderLoop {
    private let reader: SQLiteReader
    private let queue: RequestQueue
    private let file: DatabaseFile

    init(
        file: DatabaseFile, unindexed: UnindexedMessages, searchReports: SearchIndexReports,
        options: SQLiteOptions, queue: RequestQueue
    ) throws(StorageFault) {
        self.reader = try file.reader(
            unindexed: unindexed, searchReports: searchReports, options: options)
        self.queue = queue
        self.file = file
    }

    func run() {
        var batch: [Submission] = []
        while self.queue.dequeue(into: &batch, writeLimit: .max) {
            let loss = self.file.lossForReaders()
            for submission in batch {
                let answer = loss.map { .failed($0) } ?? self.answer(submission.request)
                submission.client.storeAnswered(answer, ticket: submission.ticket)
            }
            batch.removeAll(keepingCapacity: batch.capacity <= 16_384)
        }
    }

    private func answer(_ request: StoreRequest) -> StoreAnswer {
        do {
            return try self.reader.answer(request)
        } catch {
            return .failed(error.storeFailure(path: self.file.path))
        }
    }
}

/// The slices of searches, on a connection of their own.
final class SearchSlices {
    private let reader: SQLiteReader
    private let file: DatabaseFile
    private let gate: (@Sendable () -> Void)?

    init(
        file: DatabaseFile, unindexed: UnindexedMessages, searchReports: SearchIndexReports,
        options: SQLiteOptions
    ) throws(StorageFault) {
        self.reader = try file.reader(
            unindexed: unindexed, searchReports: searchReports, options: options)
        self.file = file
        self.gate = options.beforeSearchSlice
    }

    /// Nil if the search must be continued.
    func run(_ scan: inout SearchScan) -> StoreAnswer? {
        self.gate?()
        if let loss = self.file.lossForReaders() { return .failed(loss) }
        do throws(StorageFault) {
            return try self.reader.search(&scan).map { .found($0) }
        } catch {
            return .failed(error.storeFailure(path: self.file.path))
        }
    }
}
