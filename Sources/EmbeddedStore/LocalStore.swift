public import ChatModel

/// The store of a node that stands alone.
public enum LocalStore: ChatStore {
    case memory(MemoryStore)
    case sqlite(SQLiteStore)

    /// A store that lives as long as its process and keeps the newest `history` messages of each conversation (0: all).
    public static func memory(history: Int) -> LocalStore {
        .memory(MemoryStore(history: history))
    }

    /// Opens the file or makes it, and keeps the newest `history` messages of each conversation (0: all).
    ///
    /// The failure's sentence names the file and what is wrong with it.
    public static func sqlite(path: String, history: Int) throws(StoreFailure) -> LocalStore {
        .sqlite(try SQLiteStore(path: path, options: SQLiteOptions(history: history)))
    }

    public func submit(_ request: StoreRequest, ticket: StoreTicket, for client: any StoreClient) {
        switch self {
        case .memory(let store): store.submit(request, ticket: ticket, for: client)
        case .sqlite(let store): store.submit(request, ticket: ticket, for: client)
        }
    }

    /// Does what has been submitted, then lets the file go; requests that come later fail.
    public func close() {
        if case .sqlite(let store) = self { store.close() }
    }

    /// Takes the files away again that opening the store has made, for a start that fails after it; then closes it. A database that was there
    /// before stays as it is.
    public func discard() {
        if case .sqlite(let store) = self { store.discard() }
    }

    /// Finds out whether `sqlite(path:history:)` would open the file. Nothing is made, and nothing is written.
    ///
    /// The failure's sentence names the file, or the folder, and what is wrong with it.
    public static func checkSQLite(path: String) throws(StoreFailure) {
        try DatabaseFile.check(path)
    }

    /// What the store has done so far, for telemetry; all zero in memory.
    public var statistics: StoreStatistics {
        switch self {
        case .memory: StoreStatistics()
        case .sqlite(let store): store.statistics
        }
    }
}
