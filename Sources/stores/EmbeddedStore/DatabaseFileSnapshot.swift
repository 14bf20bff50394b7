import ChatModel
internal import Glibc

/// The files of an open database at one point in time, as found by path: the database, its
/// write-ahead log and the log's index.
///
/// Without these checks, loss goes unnoticed: SQLite silently keeps writing to a deleted file or
/// over a truncated one.
struct DatabaseFileSnapshot: Sendable, Equatable {
    struct FileIdentity: Sendable, Equatable {
        let device: UInt
        let inode: UInt
        let byteCount: Int
        /// The modification time, in nanoseconds.
        let writtenAt: Int

        func isSameFile(as other: FileIdentity) -> Bool {
            self.device == other.device && self.inode == other.inode
        }
    }

    let path: String
    let database: FileIdentity?
    let log: FileIdentity?
    let index: FileIdentity?
    /// Whether the log starts with a log header; true if the log was not read.
    let hasValidLogHeader: Bool

    /// - Parameter readsLog: whether to check the log's header. SQLite extends a truncated log to
    ///   its old size, so the size does not show the truncation.
    init(at path: String, readsLog: Bool) {
        self.path = path
        self.database = Self.identity(at: path)
        self.log = Self.identity(at: "\(path)-wal")
        self.index = Self.identity(at: "\(path)-shm")
        self.hasValidLogHeader =
            !readsLog || self.log?.byteCount == 0 || Self.hasLogMagic("\(path)-wal")
    }

    /// Checks the magic number (https://www.sqlite.org/fileformat2.html#the_write_ahead_log).
    /// Closing this descriptor releases no lock of SQLite, because SQLite has no locks on the log.
    private static func hasLogMagic(_ path: String) -> Bool {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var number: UInt32 = 0
        return read(descriptor, &number, 4) == 4 && UInt32(bigEndian: number) | 1 == 0x377F_0683
    }

    private static func identity(at path: String) -> FileIdentity? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        return FileIdentity(
            device: UInt(status.st_dev), inode: UInt(status.st_ino), byteCount: Int(status.st_size),
            writtenAt: status.st_mtim.tv_sec * 1_000_000_000 + status.st_mtim.tv_nsec)
    }

    /// The process that may have written the database file since the earlier snapshot.
    enum AllowedWriter {
        /// No process: the store has run no checkpoint, so any change is another program's.
        case none
        case store
    }

    /// The damage that other programs have done since an earlier snapshot; nil if there is none.
    ///
    /// The database never shrinks, and the log never shrinks below its limit.
    func loss(since earlier: DatabaseFileSnapshot, allowedWriter writer: AllowedWriter)
        -> StoreFailure?
    {
        for (now, before, suffix) in [
            (self.database, earlier.database, ""), (self.log, earlier.log, "-wal"),
            (self.index, earlier.index, "-shm"),
        ] {
            guard let now, let before, now.isSameFile(as: before) else {
                return self.loss("removed or replaced", suffix)
            }
        }
        guard let database, let log, let databaseBefore = earlier.database,
            let logBefore = earlier.log
        else { return nil }
        if database.byteCount < databaseBefore.byteCount { return self.loss("truncated", "") }
        if log.byteCount < min(logBefore.byteCount, Self.logLimit) || !self.hasValidLogHeader {
            return self.loss("truncated", "-wal")
        }
        if writer == .none, database != databaseBefore {
            return self.loss("written by another program", "")
        }
        return nil
    }

    /// SQLite truncates a longer log to this many bytes (`journal_size_limit`).
    static let logLimit = 16 << 20

    private func loss(_ change: String, _ suffix: String) -> StoreFailure {
        StoreFailure(
            "\(self.path)\(suffix) was \(change) while it was in use: put it back as it was, or "
                + "restore a backup and restart",
            effect: .rejected)
    }
}
