import ChatModel

extension DatabaseFile {
    /// The connection that writes: makes the file if there is none, checks that it is one of ours, brings it to our version.
    func openForWriting(_ options: SQLiteOptions) throws(StoreFailure) -> SQLiteConnection {
        do {
            let isNew = self.byteCount == 0
            let connection = try SQLiteConnection(path: self.path, access: .readWrite)
            try self.checkFormat(connection, isNew: isNew)
            if !isNew { try self.checkIntegrity(connection, options) }
            // FULL: what is answered as stored has been through fsync. Deleted words are overwritten with zeros (secure_delete).
            try connection.execute(
                """
                PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
                PRAGMA journal_size_limit = \(DatabaseFileSnapshot.logLimit);
                PRAGMA secure_delete = ON; PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;
                PRAGMA cache_size = -\(options.cacheKiB)
                """)
            guard try connection.text("PRAGMA journal_mode") == "wal" else {
                throw SQLiteFailure(
                    code: 10, message: "this file system has no shared memory for a write-ahead log"
                )
            }
            try Schema.migrate(connection, from: try connection.number("PRAGMA user_version") ?? 0)
            // A write, so that the write-ahead log is there and a read-only disk shows at once.
            try connection.execute(
                "BEGIN IMMEDIATE; PRAGMA user_version = \(Schema.version); COMMIT")
            return connection
        } catch let failure as SQLiteFailure {
            throw StoreFailure("\(self.path): \(failure.summary)")
        } catch {
            throw error as? StoreFailure ?? StoreFailure("\(self.path): \(error)")
        }
    }

    /// A connection that only reads.
    func openForReading(_ options: SQLiteOptions) throws(SQLiteFailure) -> SQLiteConnection {
        let connection = try SQLiteConnection(path: self.path, access: .readOnly)
        try connection.execute(
            "PRAGMA cache_size = -\(options.cacheKiB / 2); PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF"
        )
        return connection
    }

    private func checkFormat(_ connection: SQLiteConnection, isNew: Bool) throws {
        let application = try connection.number("PRAGMA application_id") ?? 0
        let version = try connection.number("PRAGMA user_version") ?? 0
        // A crash while the file was made leaves one with nothing in it.
        let isEmpty = try connection.number("SELECT count(*) FROM sqlite_schema") == 0
        if isNew || (isEmpty && application == 0 && version == 0) { return }
        guard application == Schema.applicationID else {
            throw StoreFailure("\(self.path): it is not a Confab database")
        }
        guard version <= Schema.version else {
            throw StoreFailure(
                "\(self.path): it was written by a newer Confab (layout \(version)); this one knows layouts up to \(Schema.version)"
            )
        }
    }

    /// Looks whether the pages of a file that is not too large fit together.
    private func checkIntegrity(_ connection: SQLiteConnection, _ options: SQLiteOptions) throws {
        guard self.byteCount <= options.integrityCheckByteLimit else { return }
        let verdict = try connection.text("PRAGMA quick_check(1)")
        guard verdict == "ok" else { throw StoreFailure("\(self.path): it is damaged: \(verdict)") }
    }
}
