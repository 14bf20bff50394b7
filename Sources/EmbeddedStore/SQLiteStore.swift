public import ChatModel
import Synchronization

/// A store in a SQLite file, for a node that serves alone.
///
/// One thread writes: it takes all that has gathered, stores it in one transaction, answers, and takes the next. So a commit's fsync
/// is shared by as many as wait. What comes after a quiet time is stored at once; in a stream no commit begins sooner than
/// `SQLiteOptions.commitInterval` after the one before. Two threads read: one what owners need to begin, one pages of history,
/// which may be many.
public final class SQLiteStore: ChatStore {
    private let path: String
    private let writes: RequestQueue
    private let loads: RequestQueue
    private let pages: RequestQueue
    private let statisticsCollector = StatisticsCollector()
    /// Nil once closed.
    private let threads: Mutex<Threads?>

    private struct Threads {
        let writer: StoreThread
        let readers: [StoreThread]
        /// Not the store's own: the file is free again when the store is closed, however long somebody has the store.
        let file: DatabaseFile
    }

    /// What the threads count.
    final class StatisticsCollector: Sendable {
        let statistics = Mutex(StoreStatistics())
    }

    /// Opens the file or makes it. The failure's sentence names the file and says what is wrong.
    public init(path: String, options: SQLiteOptions) throws(StoreFailure) {
        let file = try DatabaseFile(path: path)
        let fresh = UnindexedMessages()
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
        do {
            writing = WriterLoop(
                writer: try SQLiteWriter(
                    file: file, connection: connection, unindexed: fresh, options: options),
                queue: self.writes,
                statisticsCollector: self.statisticsCollector)
            loading = try ReaderLoop(
                file: file, unindexed: fresh, options: options, queue: self.loads)
            paging = try ReaderLoop(
                file: file, unindexed: fresh, options: options, queue: self.pages)
        } catch {
            file.removeCreatedFiles()
            throw error.storeFailure(path: path)
        }
        self.threads = Mutex(nil)
        let threads = Threads(
            writer: StoreThread(name: "store-writer", writing.run),
            readers: [
                StoreThread(name: "store-loads", loading.run),
                StoreThread(name: "store-pages", paging.run),
            ],
            file: file)
        self.threads.withLock { $0 = threads }
    }

    deinit {
        self.close()
    }

    public func submit(_ request: StoreRequest, ticket: StoreTicket, for client: any StoreClient) {
        let queue =
            switch request {
            case .claim, .write, .numbers, .nextNumber, .probe: self.writes
            case .load, .recent: self.loads
            case .page, .changes, .amended, .unread, .memberships, .catalog, .users: self.pages
            }
        switch queue.enqueue(Submission(request: request, ticket: ticket, client: client)) {
        case .accepted: break
        case .full:
            client.storeAnswered(
                .failed(
                    StoreFailure("\(self.path): too many requests wait for the disk", effect: .none)
                ), ticket: ticket)
        case .closed:
            client.storeAnswered(
                .failed(StoreFailure("\(self.path): the store is closed", effect: .none)),
                ticket: ticket)
        }
    }

    /// Takes the files away that opening has made, if it has made the database, and closes the store.
    func discard() {
        // Before the lock ends: another process may wait for it.
        self.threads.withLock { $0?.file }?.removeCreatedFiles()
        self.close()
    }

    /// Does what has been submitted, puts everything into the file, and lets it go. Requests that come later fail.
    public func close() {
        guard let threads = self.threads.withLock({ $0.take() }) else { return }
        self.loads.close()
        self.pages.close()
        // The last answer may have been what kept this store: then this is one of its own threads.
        for reader in threads.readers { reader.isCurrent ? reader.detach() : reader.join() }
        self.writes.close()
        threads.writer.isCurrent ? threads.writer.detach() : threads.writer.join()
    }

    /// What the store has done since it was opened.
    public var statistics: StoreStatistics {
        var statistics = self.statisticsCollector.statistics.withLock { $0 }
        let writes = self.writes.state
        let loads = self.loads.state
        let pages = self.pages.state
        statistics.queuedWrites = writes.count
        statistics.queuedBytes = writes.bytes
        statistics.queuedReads = loads.count + pages.count
        statistics.rejectedRequests = writes.turnedAway + loads.turnedAway + pages.turnedAway
        return statistics
    }
}
