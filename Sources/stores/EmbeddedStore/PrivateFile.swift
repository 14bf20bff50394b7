internal import Glibc

/// Files with messages, which only their owner may read: mode 0600.
enum PrivateFile {
    /// Creates an empty file if there is none. SQLite gives its log and index the mode of the
    /// database, and would itself create the database for all to read.
    static func create(_ path: String) {
        // Never opens an existing file: closing a second descriptor would release SQLite's locks.
        let file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        if file >= 0 { close(file) }
    }

    /// Takes the rights of others away from a database with its log and index. Files of another
    /// owner stay as they are; `confab doctor` names them.
    static func restrict(_ path: String) {
        for file in self.readableByOthers(path) { chmod(file, 0o600) }
    }

    /// The files of a database that others may read.
    static func readableByOthers(_ path: String) -> [String] {
        ["", "-wal", "-shm"].map { path + $0 }.filter { file in
            var status = stat()
            return stat(file, &status) == 0 && status.st_mode & 0o077 != 0
        }
    }
}
