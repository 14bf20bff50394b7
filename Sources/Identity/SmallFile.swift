internal import Glibc

/// Reads and creates small files: secrets, keys and key sets.
enum SmallFile {
    static let byteLimit = 1 << 20

    static func read(_ path: String) throws(KeyError) -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw Self.error(path) }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = Glibc.read(file, &chunk, chunk.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw Self.error(path)
            }
            if count == 0 { return bytes }
            bytes.append(contentsOf: chunk[..<count])
            guard bytes.count <= Self.byteLimit else {
                throw .unusable(path: path, reason: "is larger than \(Self.byteLimit) bytes")
            }
        }
    }

    /// Creates a file with mode 0600 that is either complete or missing, and that survives a power
    /// failure.
    ///
    /// Returns false and writes nothing if a file of this name exists. If two processes start at
    /// the same time, both use the file of the first one.
    static func create(_ path: String, _ bytes: [UInt8]) throws(KeyError) -> Bool {
        let draft = "\(path).\(getpid())"
        unlink(draft)  // A process with the same id may have crashed here.
        let file = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw Self.error(path) }
        defer { unlink(draft) }
        let isWritten = write(file, bytes, bytes.count) == bytes.count && fsync(file) == 0
        let failure = Self.error(path)
        close(file)
        guard isWritten else { throw failure }
        guard link(draft, path) == 0 else {
            if errno == EEXIST { return false }
            throw Self.error(path)
        }
        Self.syncFolder(of: path)
        return true
    }

    /// Some file systems cannot sync folders. The file itself is already synced.
    private static func syncFolder(of path: String) {
        let folder =
            path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        close(descriptor)
    }

    private static func error(_ path: String) -> KeyError {
        .file(path: path, reason: String(cString: strerror(errno)))
    }
}

/// Metadata that shows whether a file has changed, without reading it.
public struct FileFingerprint: Sendable, Equatable {
    private let device: UInt64
    private let inode: UInt64
    private let bytes: Int64
    private let modifiedSeconds: Int
    private let modifiedNanoseconds: Int

    /// Returns nil if the file does not exist. Follows symbolic links, so a link with a new target
    /// counts as a change.
    public init?(path: String) {
        var found = stat()
        guard stat(path, &found) == 0 else { return nil }
        self.device = UInt64(found.st_dev)
        self.inode = UInt64(found.st_ino)
        self.bytes = Int64(found.st_size)
        self.modifiedSeconds = found.st_mtim.tv_sec
        self.modifiedNanoseconds = found.st_mtim.tv_nsec
    }
}
