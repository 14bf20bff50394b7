internal import CSQLite
import ChatModel

/// What SQLite answered instead of doing what it was asked.
struct SQLiteFailure: Error {
    /// The extended result code (https://www.sqlite.org/rescode.html).
    let code: Int32
    let message: String

    var primaryCode: Int32 { self.code & 0xFF }
    /// The file's content makes no sense.
    var isCorruption: Bool {
        self.primaryCode == SQLITE_CORRUPT || self.primaryCode == SQLITE_NOTADB
    }

    /// What it means for who runs the service.
    var cause: String {
        switch self.primaryCode {
        case SQLITE_FULL: "the disk is full"
        case SQLITE_READONLY: "it cannot be written"
        case SQLITE_BUSY, SQLITE_LOCKED: "another program keeps it locked"
        case SQLITE_CORRUPT: "it is damaged"
        case SQLITE_NOTADB: "it is no SQLite database, or its beginning is damaged"
        case SQLITE_CANTOPEN: "it cannot be opened"
        case SQLITE_IOERR: "it cannot be read or written"
        case SQLITE_NOMEM: "there is not enough memory"
        default: "SQLite failed"
        }
    }

    /// What became of the transaction. After an input or output error its commit may have reached the disk.
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

/// One connection to a database file. Used by one thread at a time.
final class SQLiteConnection {
    enum AccessMode { case readWrite, readOnly }

    let handle: OpaquePointer
    /// Left open for good, because closing would write into, or delete, files that are another database's.
    var isAbandoned = false
    /// How many pages the write-ahead log had after the last commit, where that is watched.
    private var logPages: UnsafeMutablePointer<Int32>?
    private static let disableMemoryStatistics: Void = {
        _ = confab_sqlite_without_memory_statistics()
    }()

    init(path: String, access: AccessMode) throws(SQLiteFailure) {
        Self.disableMemoryStatistics
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
        if !self.isAbandoned { sqlite3_close_v2(self.handle) }
        // An abandoned connection commits nothing any more.
        self.logPages?.deallocate()
    }

    /// Counts the pages of the write-ahead log from here on, instead of putting it into the database by itself (`wal_autocheckpoint`).
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

    /// How many pages the write-ahead log had after the last commit; 0 where that is not watched.
    var logPageCount: Int { Int(self.logPages?.pointee ?? 0) }

    func failure(_ code: Int32) -> SQLiteFailure {
        SQLiteFailure(code: code, message: String(cString: sqlite3_errmsg(self.handle)))
    }

    /// Runs statements that answer nothing of interest.
    func execute(_ sql: String) throws(SQLiteFailure) {
        let code = sqlite3_exec(self.handle, sql, nil, nil, nil)
        guard code == SQLITE_OK else { throw self.failure(code) }
    }

    /// A statement that is kept and run again and again.
    func prepare(_ sql: String) throws(SQLiteFailure) -> SQLiteStatement {
        var statement: OpaquePointer?
        let code = sqlite3_prepare_v3(
            self.handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil)
        guard code == SQLITE_OK, let statement else { throw self.failure(code) }
        return SQLiteStatement(statement, of: self)
    }

    /// The number in the first column of a query's first row; nil where there is none.
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
    var lastInsertedRow: Int64 { sqlite3_last_insert_rowid(self.handle) }
}
