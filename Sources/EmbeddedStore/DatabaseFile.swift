import ChatModel
internal import Glibc
import Synchronization

/// A database file that this process alone serves.
///
/// Whoever serves it holds a lock on a file beside it, which ends with the process however that ends. Not SQLite's
/// exclusive mode: that would keep out our own readers, and those who only look.
final class DatabaseFile: Sendable {
    let path: String
    private let lock: Int32
    /// Whether there was a file, of a database or a lock, before this one was opened.
    private let databaseExisted: Bool
    private let lockExisted: Bool
    /// What the writer has left, and what it has found wrong with that since.
    private let state = Mutex<(left: DatabaseFileSnapshot?, loss: StoreFailure?)>((nil, nil))

    /// Takes the lock, or says who is in the way.
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
            let isHeld = errno == EWOULDBLOCK
            let reason = Self.systemErrorText()
            close(self.lock)
            throw StoreFailure(
                isHeld ? Self.inUseMessage(path) : "\(lockPath): it cannot be locked: \(reason)")
        }
        // Whoever held it before may have taken it away, after a start that failed: then this one locks nothing.
        var (held, found) = (stat(), stat())
        guard fstat(self.lock, &held) == 0, stat(lockPath, &found) == 0,
            held.st_ino == found.st_ino, held.st_dev == found.st_dev
        else {
            close(self.lock)
            throw StoreFailure("\(path): another process has just given it up: start again")
        }
        self.databaseExisted = access(path, F_OK) == 0
    }

    deinit {
        // Closing alone leaves it locked for as long as a child process, between its fork and its exec, has the descriptor too.
        flock(self.lock, LOCK_UN)
        close(self.lock)
    }

    var byteCount: Int {
        var status = stat()
        return stat(self.path, &status) == 0 ? Int(status.st_size) : 0
    }

    /// For the writer, before and after a transaction: why what it writes would be lost; nil while the files are as it has left them.
    func checkForLoss() -> StoreFailure? {
        let files = DatabaseFileSnapshot(at: self.path, readsLog: true)
        return self.state.withLock { state in
            state.loss = state.left.flatMap { files.loss(since: $0, allowedWriter: .none) }
            // The log has grown.
            if state.loss == nil { state.left = files }
            return state.loss
        }
    }

    /// For the writer, after it has written the database itself.
    func checkForLossAfterCheckpoint() -> StoreFailure? {
        let files = DatabaseFileSnapshot(at: self.path, readsLog: true)
        return self.state.withLock { state in
            state.loss = state.left.flatMap { files.loss(since: $0, allowedWriter: .store) }
            if state.loss == nil { state.left = files }
            return state.loss
        }
    }

    /// For readers: why what they read would be out of files that are lost.
    ///
    /// They cannot tell who has written, so that they also believe what the writer has found; it looks at least as often as the store is
    /// probed.
    func lossForReaders() -> StoreFailure? {
        let (left, loss) = self.state.withLock { $0 }
        return loss
            ?? left.flatMap {
                DatabaseFileSnapshot(at: self.path, readsLog: false).loss(
                    since: $0, allowedWriter: .store)
            }
    }

    /// Removes what opening has made: a database, with all that belongs to it, and a lock, where there were none before.
    func removeCreatedFiles() {
        if !self.databaseExisted {
            for suffix in ["", "-wal", "-shm"] { unlink(self.path + suffix) }
        }
        if !self.lockExisted { unlink("\(self.path)-lock") }
    }

    static func inUseMessage(_ path: String) -> String { "\(path) is in use by another process" }

    /// Whether a database may be at the path, or be made there.
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
                throw StoreFailure("\(path): this user may not write it")
            }
        }
        return folder
    }

    private static func systemErrorText() -> String { String(cString: strerror(errno)) }
}
