internal import CSQLite
internal import Glibc

/// The state of a database file and of its disk, for operators.
public struct DatabaseReport: Sendable, Equatable {
    /// The result of SQLite's check of all pages.
    public enum IntegrityResult: Sendable, Equatable {
        case intact
        /// The first problem, in SQLite's words.
        case damaged(String)
        /// The time limit was reached.
        case unfinished
    }

    public let path: String
    /// The size of the file, without its log.
    public let byteCount: Int
    /// The space that this user may fill, and the size of the file system, in bytes.
    public let freeBytes: Int
    public let totalBytes: Int
    /// The kind of file system, if it is not a disk of this machine: `tmpfs` or `nfs`.
    public let volatileFileSystem: String?
    /// The files of the database and of its events that other users can read.
    public let exposedFiles: [String]
    /// `wal` for a file that a store has opened.
    public let journalMode: String
    public let integrity: IntegrityResult
}

extension SQLiteStore {
    /// Inspects the database on a thread and a connection of their own, so that no request waits
    /// for it.
    ///
    /// - Parameter limit: the time limit of the check of all pages.
    public func inspect(within limit: Duration) async -> DatabaseReport {
        let path = self.path
        return await withCheckedContinuation { continuation in
            StoreThread(name: "store-check") {
                continuation.resume(returning: DatabaseReport(path: path, within: limit))
            }.detach()
        }
    }
}

extension DatabaseReport {
    /// https://man7.org/linux/man-pages/man2/statfs.2.html
    private static let fileSystems: [Int: String] = [0x0102_1994: "tmpfs", 0x6969: "nfs"]

    init(path: String, within limit: Duration) {
        self.path = path
        var status = stat()
        self.byteCount = stat(path, &status) == 0 ? Int(status.st_size) : 0
        var system = statfs()
        let isKnown = statfs(path, &system) == 0
        self.freeBytes = isKnown ? Int(system.f_bavail) * Int(system.f_bsize) : 0
        self.totalBytes = isKnown ? Int(system.f_blocks) * Int(system.f_bsize) : 0
        self.volatileFileSystem = isKnown ? Self.fileSystems[Int(system.f_type)] : nil
        self.exposedFiles = [path, "\(path).events"].flatMap(PrivateFile.readableByOthers)
        (self.journalMode, self.integrity) = Self.content(of: path, within: limit)
    }

    private static func content(of path: String, within limit: Duration) -> (
        journalMode: String, integrity: IntegrityResult
    ) {
        do throws(SQLiteFailure) {
            let connection = try SQLiteConnection(path: path, access: .readOnly)
            let mode = try connection.text("PRAGMA journal_mode")
            return (mode, try self.check(connection, within: limit))
        } catch {
            return ("unknown", .damaged(error.summary))
        }
    }

    private static func check(_ connection: SQLiteConnection, within limit: Duration)
        throws(SQLiteFailure) -> IntegrityResult
    {
        let deadline = UnsafeMutablePointer<ContinuousClock.Instant>.allocate(capacity: 1)
        deadline.initialize(to: .now + limit)
        defer {
            sqlite3_progress_handler(connection.handle, 0, nil, nil)
            deadline.deallocate()
        }
        sqlite3_progress_handler(
            connection.handle, 10_000,
            { deadline in
                guard let deadline else { return 0 }
                let end = deadline.assumingMemoryBound(to: ContinuousClock.Instant.self).pointee
                return ContinuousClock.now < end ? 0 : 1
            }, deadline)
        do throws(SQLiteFailure) {
            let result = try connection.text("PRAGMA quick_check(1)")
            return result == "ok" ? .intact : .damaged(result)
        } catch {
            guard error.primaryCode != SQLITE_INTERRUPT else { return .unfinished }
            guard !error.isCorruption else { return .damaged(error.summary) }
            throw error
        }
    }
}
