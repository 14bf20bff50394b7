public import ChatModel

/// The store of a node without a cluster.
public enum LocalStore: ChatStore {
    case memory(MemoryStore)
    case sqlite(SQLiteStore)

    /// An in-memory store that retains the newest `history` messages of each conversation (0: all).
    public static func memory(history: Int, outbox: OutboxWriter? = nil) -> LocalStore {
        .memory(MemoryStore(history: history, outbox: outbox))
    }

    /// Opens or creates the file. The store retains the newest `history` messages of each
    /// conversation (0: all).
    ///
    /// The failure names the file and the problem.
    public static func sqlite(path: String, history: Int, outbox: OutboxWriter? = nil)
        throws(StoreFailure) -> LocalStore
    {
        var options = SQLiteOptions(history: history)
        options.outbox = outbox
        return .sqlite(try SQLiteStore(path: path, options: options))
    }

    public func submit(_ request: StoreRequest, ticket: StoreTicket, for client: any StoreClient) {
        switch self {
        case .memory(let store): store.submit(request, ticket: ticket, for: client)
        case .sqlite(let store): store.submit(request, ticket: ticket, for: client)
        }
    }

    /// Completes the submitted requests, then closes the file. Later requests fail.
    public func close() {
        if case .sqlite(let store) = self { store.close() }
    }

    /// Closes the store and removes the files that opening it created, for a start that fails
    /// later. A database that existed before stays unchanged.
    public func discard() {
        if case .sqlite(let store) = self { store.discard() }
    }

    /// Checks whether `sqlite(path:history:)` would open the file. Creates and writes nothing.
    ///
    /// The failure names the file or folder and the problem.
    public static func checkSQLite(path: String) throws(StoreFailure) {
        try DatabaseFile.check(path)
    }

    /// Counters for telemetry; all zero for an in-memory store.
    public var statistics: StoreStatistics {
        switch self {
        case .memory: StoreStatistics()
        case .sqlite(let store): store.statistics
        }
    }
}
