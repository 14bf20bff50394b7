internal import CSQLite
import ChatModel
import Synchronization

/// An error that SQLite returned.
struct SQLiteFailure: Error {
    /// The extended result code (https://www.sqlite.org/rescode.html).
    let code: Int32
    let message: String

    var primaryCode: Int32 { self.code & 0xFF }
    /// Whether SQLite found the file's content to be invalid.
    var isCorruption: Bool {
        self.primaryCode == SQLITE_CORRUPT || self.primaryCode == SQLITE_NOTADB
    }

    /// Whether a statement named a table that does not exist, or is otherwise invalid.
    var isMissingTable: Bool { self.code == SQLITE_ERROR }

    /// The cause, in words for an operator.
    var cause: String {
        switch self.primaryCode {
        case SQLITE_FULL: "the disk is full"
        case SQLITE_READONLY: "it cannot be written"
        case SQLITE_BUSY, SQLITE_LOCKED: "another program has locked it"
        case SQLITE_CORRUPT: "it is damaged"
        case SQLITE_NOTADB: "it is not a SQLite database, or its header is damaged"
        case SQLITE_CANTOPEN: "it cannot be opened"
        case SQLITE_IOERR: "it cannot be read or written"
        case SQLITE_NOMEM: "there is not enough memory"
        default: "SQLite failed"
        }
    }

    /// The outcome of the transaction. After an I/O error, its commit may still have reached the
    /// disk.
    var effect: StoreFailure.Effect {
        switch self.primaryCode {
        case SQLITE_FULL, SQLITE_READONLY, SQLITE_PERM, SQLITE_CANTOPEN, SQLITE_CORRUPT,
            SQLITE_NOTADB, SQLITE_CONSTRAINT:
            .rejected
        case SQLITE_BUSY, SQLITE_LOCKED, SQLITE_NOMEM: .none
        default: .unknown
        }
    }

    var summary: String { "\(self.cause) (SQLite: \(self.message), code \(self.code))" }
}

/// One connection to a database file, used by one thread at a time.
final class SQLiteConnection {
    enum AccessMode { case readWrite, readOnly }

    let handle: OpaquePointer
    /// Whether the connection stays open until the process exits. Closing it could write to or
    /// delete the files of another database.
    var isAbandoned = false
    /// The handles of abandoned connections, by which leak detectors find their memory.
    private static let abandonedHandles = Mutex<[UInt]>([])
    /// The number of pages in the write-ahead log after the last commit, if tracked.
    private var logPages: UnsafeMutablePointer<Int32>?
    private static let disableMemoryStatistics: Void = {
        _ = confab_sqlite_without_memory_statistics()
    }()

    init(path: String, access: AccessMode) throws(SQLiteFailure) {
        Self.disableMemoryStatistics
        if access == .readWrite { PrivateFile.create(path) }
        let flags =
            access == .readWrite ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY
        var handle: OpaquePointer?
        let code = sqlite3_open_v2(
            path, &handle, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, nil)
        guard let handle else {
            throw SQLiteFailure(code: code, message: String(cString: sqlite3_errstr(code)))
        }
        self.handle = handle
        guard code == SQLITE_OK else { throw self.failure(code) }
        sqlite3_extended_result_codes(handle, 1)
        sqlite3_busy_timeout(handle, 2000)
    }

    deinit {
        if self.isAbandoned {
            Self.abandonedHandles.withLock { $0.append(UInt(bitPattern: self.handle)) }
        } else {
            sqlite3_close_v2(self.handle)
        }
        // Safe even for an abandoned connection, because it commits no more.
        self.logPages?.deallocate()
    }

    /// Tracks the size of the write-ahead log from here on. This replaces SQLite's automatic
    /// checkpoints (`wal_autocheckpoint`).
    func trackLogPages() {
        let pages = UnsafeMutablePointer<Int32>.allocate(capacity: 1)
        pages.initialize(to: 0)
        self.logPages = pages
        sqlite3_wal_hook(
            self.handle,
            { pages, _, _, count in
                pages?.assumingMemoryBound(to: Int32.self).pointee = count
                return SQLITE_OK
            }, pages)
    }

    /// The number of pages in the write-ahead log after the last commit; 0 if not tracked.
    var logPageCount: Int { Int(self.logPages?.pointee ?? 0) }

    func failure(_ code: Int32) -> SQLiteFailure {
        SQLiteFailure(code: code, message: String(cString: sqlite3_errmsg(self.handle)))
    }

    /// Executes statements and ignores their rows.
    func execute(_ sql: String) throws(SQLiteFailure) {
        let code = sqlite3_exec(self.handle, sql, nil, nil, nil)
        guard code == SQLITE_OK else { throw self.failure(code) }
    }

    /// A statement for repeated use, which is prepared when it is first used.
    func statement(_ sql: String) -> SQLiteStatement { SQLiteStatement(sql, of: self) }

    /// Prepares a statement for repeated use.
    func prepare(_ sql: String) throws(SQLiteFailure) -> SQLiteStatement {
        let statement = self.statement(sql)
        try statement.prepare()
        return statement
    }

    /// The number in the first column of a query's first row; nil if there is no row.
    func number(_ sql: String) throws(SQLiteFailure) -> Int? {
        let statement = try self.prepare(sql)
        return try statement.step() ? statement.optionalInt(0) : nil
    }

    /// The text in the first column of a query's first row.
    func text(_ sql: String) throws(SQLiteFailure) -> String {
        let statement = try self.prepare(sql)
        return try statement.step() ? statement.text(0) ?? "" : ""
    }

    var isInTransaction: Bool { sqlite3_get_autocommit(self.handle) == 0 }
}
