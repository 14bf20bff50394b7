import ChatModel
internal import Glibc
import Synchronization

/// A database file that only this process serves.
///
/// The process holds a lock on a separate file, and the kernel releases the lock when the process
/// ends. SQLite's exclusive mode is not used, because it would also exclude Confab's own readers
/// and external read-only tools.
final class DatabaseFile: Sendable {
    let path: String
    private let lock: Int32
    /// Whether the database, and its lock file, existed before this process opened them.
    private let databaseExisted: Bool
    private let lockExisted: Bool
    /// The files as the writer last left them, and the loss that the writer has found since.
    private let state = Mutex<(left: DatabaseFileSnapshot?, loss: StoreFailure?)>((nil, nil))

    /// Takes the lock, or throws an error that names the conflict.
    init(path: String) throws(StoreFailure) {
        self.path = path
        _ = try Self.checkLocation(path)
        let lockPath = "\(path)-lock"
        self.lockExisted = access(lockPath, F_OK) == 0
        self.lock = open(lockPath, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard self.lock >= 0 else {
            throw StoreFailure("\(lockPath): it cannot be opened: \(Self.systemErrorText())")
        }
        guard flock(self.lock, LOCK_EX | LOCK_NB) == 0 else {
            let isLocked = errno == EWOULDBLOCK
            let reason = Self.systemErrorText()
            close(self.lock)
            throw StoreFailure(
                isLocked ? Self.inUseMessage(path) : "\(lockPath): it cannot be locked: \(reason)")
        }
        // After a failed start, the previous owner may have deleted the lock file. Then this
        // descriptor locks a deleted file that no other process can open.
        var (lockStatus, pathStatus) = (stat(), stat())
        guard fstat(self.lock, &lockStatus) == 0, stat(lockPath, &pathStatus) == 0,
            lockStatus.st_ino == pathStatus.st_ino, lockStatus.st_dev == pathStatus.st_dev
        else {
            close(self.lock)
            throw StoreFailure("\(path): another process has just released it: start again")
        }
        self.databaseExisted = access(path, F_OK) == 0
    }

    deinit {
        // A child process between fork and exec also has the descriptor, so close() does not
        // release the lock at once.
        flock(self.lock, LOCK_UN)
        close(self.lock)
    }

    var byteCount: Int {
        var status = stat()
        return stat(self.path, &status) == 0 ? Int(status.st_size) : 0
    }

    /// Checks, before and after a transaction, whether the files are still those that the writer
    /// left. Returns the reason if writes would be lost.
    func checkForLoss() -> StoreFailure? {
        let files = DatabaseFileSnapshot(at: self.path, readsLog: true)
        return self.state.withLock { state in
            state.loss = state.left.flatMap { files.loss(since: $0, allowedWriter: .none) }
            // The writer itself has appended to the log.
            if state.loss == nil { state.left = files }
            return state.loss
        }
    }

    /// As `checkForLoss()`, after a checkpoint has written the database file.
    func checkForLossAfterCheckpoint() -> StoreFailure? {
        let files = DatabaseFileSnapshot(at: self.path, readsLog: true)
        return self.state.withLock { state in
            state.loss = state.left.flatMap { files.loss(since: $0, allowedWriter: .store) }
            if state.loss == nil { state.left = files }
            return state.loss
        }
    }

    /// The reason why reads would use lost files; nil if the files are intact.
    ///
    /// Readers cannot tell which process wrote the database, so they also use the result of the
    /// writer's check. The writer checks at least once per store probe.
    func lossForReaders() -> StoreFailure? {
        let (left, loss) = self.state.withLock { $0 }
        return loss
            ?? left.flatMap {
                DatabaseFileSnapshot(at: self.path, readsLog: false).loss(
                    since: $0, allowedWriter: .store)
            }
    }

    /// Removes the files that opening created: the database with its log and index, and the lock
    /// file.
    func removeCreatedFiles() {
        if !self.databaseExisted {
            for suffix in ["", "-wal", "-shm"] { unlink(self.path + suffix) }
        }
        if !self.lockExisted { unlink("\(self.path)-lock") }
    }

    static func inUseMessage(_ path: String) -> String { "\(path) is in use by another process" }

    /// Checks that a database exists at the path or can be created there.
    ///
    /// - Returns: the folder.
    static func checkLocation(_ path: String) throws(StoreFailure) -> String {
        let folder =
            path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        var status = stat()
        if stat(folder, &status) != 0 || status.st_mode & S_IFMT != S_IFDIR {
            throw StoreFailure("\(path): the folder \(folder) does not exist")
        }
        if stat(path, &status) == 0 {
            guard status.st_mode & S_IFMT == S_IFREG else {
                throw StoreFailure("\(path): it is not a file")
            }
            guard access(path, R_OK | W_OK) == 0 else {
                throw StoreFailure("\(path): this user has no permission to write it")
            }
        }
        return folder
    }

    private static func systemErrorText() -> String { String(cString: strerror(errno)) }
}
