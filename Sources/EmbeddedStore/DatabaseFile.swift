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
    /// What the writer has left, and what it has found wrong with that since.
    private let state = Mutex<(left: DatabaseFiles?, loss: StoreFailure?)>((nil, nil))

    /// Takes the lock, or says who is in the way.
    init(path: String) throws(StoreFailure) {
        self.path = path
        let folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        var status = stat()
        if stat(folder.isEmpty ? "/" : folder, &status) != 0 || status.st_mode & S_IFMT != S_IFDIR {
            throw StoreFailure("\(path): the folder \(folder) does not exist")
        }
        if stat(path, &status) == 0 {
            guard status.st_mode & S_IFMT == S_IFREG else { throw StoreFailure("\(path): it is not a file") }
            guard access(path, R_OK | W_OK) == 0 else { throw StoreFailure("\(path): this user may not write it") }
        }
        let lockPath = "\(path)-lock"
        self.lock = open(lockPath, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard self.lock >= 0 else { throw StoreFailure("\(lockPath): it cannot be opened: \(Self.reason())") }
        guard flock(self.lock, LOCK_EX | LOCK_NB) == 0 else {
            let isHeld = errno == EWOULDBLOCK
            let reason = Self.reason()
            close(self.lock)
            throw StoreFailure(isHeld ? "\(path) is in use by another process" : "\(lockPath): it cannot be locked: \(reason)")
        }
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
    func check() -> StoreFailure? {
        let files = DatabaseFiles(at: self.path, readsLog: true)
        return self.state.withLock { state in
            state.loss = state.left.flatMap { files.loss(since: $0, writtenBy: .nobody) }
            // The log has grown.
            if state.loss == nil { state.left = files }
            return state.loss
        }
    }

    /// For the writer, after it has written the database itself.
    func checkWritten() -> StoreFailure? {
        let files = DatabaseFiles(at: self.path, readsLog: true)
        return self.state.withLock { state in
            state.loss = state.left.flatMap { files.loss(since: $0, writtenBy: .store) }
            if state.loss == nil { state.left = files }
            return state.loss
        }
    }

    /// For readers: why what they read would be out of files that are lost.
    ///
    /// They cannot tell who has written, so that they also believe what the writer has found; it looks at least as often as the store is
    /// probed.
    func readingLoss() -> StoreFailure? {
        let (left, loss) = self.state.withLock { $0 }
        return loss ?? left.flatMap { DatabaseFiles(at: self.path, readsLog: false).loss(since: $0, writtenBy: .store) }
    }

    private static func reason() -> String { String(cString: strerror(errno)) }
}
