internal import Glibc

/// Writes a new secret to a file.
enum NewSecretFile {
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
