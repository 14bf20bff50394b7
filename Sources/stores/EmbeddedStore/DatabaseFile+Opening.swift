import ChatModel

extension DatabaseFile {
    /// Opens the connection that writes. Creates the file if needed, checks that it is a Confab
    /// database, and migrates it to the current layout.
    func openForWriting(_ options: SQLiteOptions) throws(StoreFailure) -> SQLiteConnection {
        do {
            let isNew = self.byteCount == 0
            let connection = try SQLiteConnection(path: self.path, access: .readWrite)
            try self.checkFormat(connection, isNew: isNew)
            // Not earlier: the file could be that of another program.
            PrivateFile.restrict(self.path)
            if !isNew { try self.checkIntegrity(connection, options) }
            // FULL: an answered write has been through fsync. secure_delete overwrites deleted text
            // with zeros.
            try connection.execute(
                """
                PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
                PRAGMA journal_size_limit = \(DatabaseFileSnapshot.logLimit);
                PRAGMA secure_delete = ON; PRAGMA cell_size_check = ON;
                PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;
                PRAGMA cache_size = -\(options.cacheKiB)
                """)
            guard try connection.text("PRAGMA journal_mode") == "wal" else {
                throw SQLiteFailure(
                    code: 10, message: "this file system has no shared memory for a write-ahead log"
                )
            }
            try Schema.migrate(connection, from: try connection.number("PRAGMA user_version") ?? 0)
            // This write creates the write-ahead log, and fails at once on a read-only disk.
            try connection.execute(
                "BEGIN IMMEDIATE; PRAGMA user_version = \(Schema.version); COMMIT")
            return connection
        } catch let failure as SQLiteFailure {
            throw StoreFailure("\(self.path): \(failure.summary)")
        } catch {
            throw error as? StoreFailure ?? StoreFailure("\(self.path): \(error)")
        }
    }

    /// Opens a read-only connection.
    func openForReading(_ options: SQLiteOptions) throws(SQLiteFailure) -> SQLiteConnection {
        let connection = try SQLiteConnection(path: self.path, access: .readOnly)
        try connection.execute(
            "PRAGMA cache_size = -\(options.cacheKiB / 2); "
                + "PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF"
        )
        return connection
    }

    private func checkFormat(_ connection: SQLiteConnection, isNew: Bool) throws {
        let application = try connection.number("PRAGMA application_id") ?? 0
        let version = try connection.number("PRAGMA user_version") ?? 0
        // A crash during creation can leave an empty database.
        let isEmpty = try connection.number("SELECT count(*) FROM sqlite_schema") == 0
        if isNew || (isEmpty && application == 0 && version == 0) { return }
        guard application == Schema.applicationID else {
            throw StoreFailure("\(self.path): it is not a Confab database")
        }
        guard version <= Schema.version else {
            throw StoreFailure(
                "\(self.path): it was written by a newer Confab (layout \(version)); this version "
                    + "supports layouts up to \(Schema.version)"
            )
        }
    }

    /// Checks the page structure of a file up to the size limit.
    private func checkIntegrity(_ connection: SQLiteConnection, _ options: SQLiteOptions) throws {
        guard self.byteCount <= options.integrityCheckByteLimit else { return }
        let result = try connection.text("PRAGMA quick_check(1)")
        guard result == "ok" else { throw StoreFailure("\(self.path): it is damaged: \(result)") }
    }
}
