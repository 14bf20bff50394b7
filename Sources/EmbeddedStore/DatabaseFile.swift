import ChatModel
internal import Glibc

/// A database file that this process alone serves.
///
/// Whoever serves it holds a lock on a file beside it, which ends with the process however that ends. Not SQLite's
/// exclusive mode: that would keep out our own readers, and those who only look.
final class DatabaseFile: Sendable {
    let path: String
    private let lock: Int32

    /// Which file it is, whatever its path.
    struct Identity: Equatable {
        let device: UInt
        let inode: UInt
    }

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

    /// Nil while the path leads to the file that was opened: SQLite goes on writing into one that was deleted, and says nothing.
    func loss(of opened: Identity?) -> StoreFailure? {
        let isThere = self.identity == opened && access("\(self.path)-wal", F_OK) == 0
        return isThere ? nil : StoreFailure("\(self.path) was removed or replaced while it was in use: restart after putting it back")
    }

    /// The file that the path leads to; nil if it leads nowhere.
    var identity: Identity? {
        var status = stat()
        return stat(self.path, &status) == 0 ? Identity(device: UInt(status.st_dev), inode: UInt(status.st_ino)) : nil
    }

    private static func reason() -> String { String(cString: strerror(errno)) }
}
