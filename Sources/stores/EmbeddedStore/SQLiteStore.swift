public import ChatModel
import Synchronization

/// A store in a SQLite file, for a node without a cluster.
///
/// One thread writes. It dequeues all queued requests, executes them in one transaction, answers
/// them, and repeats. Thus concurrent requests share the fsync of one commit. A write after an idle
/// period is committed at once; under load, commits start at least `SQLiteOptions.commitInterval`
/// apart.
///
/// Two threads read: one loads conversations for their owners, and one reads pages of history,
/// which can be slow. A third one searches.
public final class SQLiteStore: ChatStore {
    let path: String
    private let writes: RequestQueue
    private let loads: RequestQueue
    private let pages: RequestQueue
    private let searches: RequestQueue
    private let statisticsCollector = StatisticsCollector()
    /// Nil after the store is closed.
    private let threads: Mutex<Threads?>

    private struct Threads {
        let writer: StoreThread
        let readers: [StoreThread]
        let searches: SearchThread
        /// Owned here and not by the store, so that closing releases the file even while the store
        /// is still referenced.
        let file: DatabaseFile
    }

    /// The counters that the threads update.
    final class StatisticsCollector: Sendable {
        let statistics = Mutex(StoreStatistics())
    }

    /// Opens or creates the file. The failure names the file and the problem.
    public init(path: String, options: SQLiteOptions) throws(StoreFailure) {
        let file = try DatabaseFile(path: path)
        let unindexed = UnindexedMessages()
        let searchReports = SearchIndexReports()
        let connection: SQLiteConnection
        do throws(StoreFailure) {
            connection = try file.openForWriting(options)
        } catch {
            file.removeCreatedFiles()
            throw error
        }
        self.path = path
        self.writes = RequestQueue(
            countLimit: options.queuedRequestLimit, byteLimit: options.queuedByteLimit)
        self.loads = RequestQueue(countLimit: options.queuedRequestLimit, byteLimit: .max)
        self.pages = RequestQueue(countLimit: options.queuedRequestLimit, byteLimit: .max)
        let writing: WriterLoop
        let loading: ReaderLoop
        let paging: ReaderLoop
        let searching: SearchSlices
        do {
            writing = WriterLoop(
                writer: try SQLiteWriter(
                    file: file, connection: connection, unindexed: unindexed,
                    searchReports: searchReports, options: options),
                queue: self.writes,
                statisticsCollector: self.statisticsCollector)
            loading = try ReaderLoop(
                file: file, unindexed: unindexed, searchReports: searchReports, options: options,
                queue: self.loads)
            paging = try ReaderLoop(
                file: file, unindexed: unindexed, searchReports: searchReports, options: options,
                queue: self.pages)
            searching = try SearchSlices(
                file: file, unindexed: unindexed, searchReports: searchReports, options: options)
        } catch {
            file.removeCreatedFiles()
            throw error.storeFailure(path: path)
        }
        let searches = SearchThread(searching.run)
        self.searches = searches.queue
        self.threads = Mutex(nil)
        let threads = Threads(
            writer: StoreThread(name: "store-writer", writing.run),
            readers: [
                StoreThread(name: "store-loads", loading.run),
                StoreThread(name: "store-pages", paging.run),
            ],
            searches: searches, file: file)
        self.threads.withLock { $0 = threads }
    }

    /// Opens or creates the file. The store retains the newest `history` messages of each
    /// conversation (0: all). The failure names the file and the problem.
    public convenience init(path: String, history: Int, outbox: OutboxWriter? = nil)
        throws(StoreFailure)
    {
        var options = SQLiteOptions(history: history)
        options.outbox = outbox
        try self.init(path: path, options: options)
    }

    deinit {
        self.close()
    }

    /// Checks whether the file can be opened. Creates and writes nothing.
    ///
    /// The failure names the file or folder and the problem.
    public static func check(path: String) throws(StoreFailure) { try DatabaseFile.check(path) }

    public func submit(_ request: StoreRequest, ticket: StoreTicket, for client: any StoreClient) {
        let queue =
            switch request {
            case .claim, .write, .numbers, .nextNumber, .ban, .unban, .repair, .probe,
                .outbox:
                self.writes
            case .load, .recent, .bans: self.loads
            case .search: self.searches
            case .page, .thread, .changes, .amended, .unread, .memberships, .catalog,
                .users, .conversations, .examine:
                self.pages
            }
        switch queue.enqueue(Submission(request: request, ticket: ticket, client: client)) {
        case .accepted: break
        case .full where queue === self.searches:
            client.storeAnswered(.searchRefused(.nodeIsBusy), ticket: ticket)
        case .full:
            client.storeAnswered(
                .failed(
                    StoreFailure(
                        "\(self.path): too many requests are waiting for the disk", effect: .none)
                ), ticket: ticket)
        case .closed:
            client.storeAnswered(
                .failed(StoreFailure("\(self.path): the store is closed", effect: .none)),
                ticket: ticket)
        }
    }

    /// Closes the store and removes the files that opening it created, for a start that fails
    /// later. A database that existed before stays unchanged.
    public func discard() {
        // Removed while the lock is held, because another process may be waiting for it.
        self.threads.withLock { $0?.file }?.removeCreatedFiles()
        self.close()
    }

    /// Completes the submitted requests except for searches, flushes everything into the file, and
    /// closes it. Later requests fail.
    public func close() {
        guard let threads = self.threads.withLock({ $0.take() }) else { return }
        self.loads.close()
        self.pages.close()
        threads.searches.close()
        // The last answer can release the last reference to this store, so close() can run on a
        // store thread.
        for reader in threads.readers { reader.isCurrent ? reader.detach() : reader.join() }
        self.writes.close()
        threads.writer.isCurrent ? threads.writer.detach() : threads.writer.join()
    }

    /// The counters since the store was opened.
    public var statistics: StoreStatistics {
        var statistics = self.statisticsCollector.statistics.withLock { $0 }
        let writes = self.writes.state
        let loads = self.loads.state
        let pages = self.pages.state
        let searches = self.searches.state
        statistics.queuedWrites = writes.count
        statistics.queuedBytes = writes.bytes
        statistics.queuedReads = loads.count + pages.count + searches.count
        statistics.rejectedRequests =
            writes.turnedAway + loads.turnedAway + pages.turnedAway + searches.turnedAway
        return statistics
    }
}
