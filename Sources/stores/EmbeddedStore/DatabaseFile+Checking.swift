import ChatModel
internal import Glibc

extension DatabaseFile {
    /// Checks whether the file can be opened, and changes nothing. SQLite is not used, because it
    /// would create a log and an index.
    static func check(_ path: String) throws(StoreFailure) {
        let folder = try self.checkLocation(path)
        guard access(folder, W_OK | X_OK) == 0 else {
            throw StoreFailure("\(path): this user has no permission to write the folder \(folder)")
        }
        try self.checkLock(path)
        let file = open(path, O_RDONLY | O_CLOEXEC)
        if file < 0, errno == ENOENT { return }
        guard file >= 0 else {
            throw StoreFailure("\(path): it cannot be opened: \(String(cString: strerror(errno)))")
        }
        defer { close(file) }
        var header = [UInt8](repeating: 0, count: 100)
        let count = read(file, &header, header.count)
        // If the write-ahead log has content, the log can hold what the database header lacks.
        var log = stat()
        let hasLog = stat("\(path)-wal", &log) == 0 && log.st_size > 0
        guard count > 0 else { return }
        if let problem = self.formatProblem(ofHeader: header.prefix(max(0, count)), hasLog: hasLog)
        {
            throw StoreFailure("\(path): \(problem)")
        }
    }

    private static func checkLock(_ path: String) throws(StoreFailure) {
        let lock = open("\(path)-lock", O_RDWR | O_CLOEXEC)
        guard lock >= 0 else { return }
        defer { close(lock) }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            if errno == EWOULDBLOCK { throw StoreFailure(self.inUseMessage(path)) }
            return
        }
        flock(lock, LOCK_UN)
    }

    /// The problem with the first 100 bytes of a file (https://www.sqlite.org/fileformat.html,
    /// 1.3); nil if there is none.
    static func formatProblem(ofHeader header: ArraySlice<UInt8>, hasLog: Bool) -> String? {
        guard header.count == 100, header.starts(with: "SQLite format 3\0".utf8) else {
            return "it is not a SQLite database, or its header is damaged"
        }
        func number(at offset: Int) -> Int {
            header[offset..<offset + 4].reduce(0) { $0 << 8 | Int($1) }
        }
        let (pages, version, application) = (number(at: 28), number(at: 60), number(at: 68))
        if application == 0, version == 0, hasLog || pages <= 1 { return nil }
        guard application == Schema.applicationID else { return "it is not a Confab database" }
        guard version <= Schema.version else {
            return
                "it was written by a newer Confab (layout \(version)); this version supports "
                + "layouts up to \(Schema.version)"
        }
        return nil
    }
}
