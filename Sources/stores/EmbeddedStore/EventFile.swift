public import ChatModel
internal import Synchronization

/// The newest events of a node without a cluster, in a SQLite file of their own next to the
/// database.
///
/// A file of its own, because the database has a single writer, which must not wait for events, and
/// because events are still recorded while the database cannot be written.
public final class EventFile: Sendable {
    /// One event: its id, which increases, and its text.
    public struct Entry: Sendable, Equatable {
        public let id: String
        public let text: String

        public init(id: String, text: String) {
            self.id = id
            self.text = text
        }
    }

    public static let entryLimit = 1000

    private let path: String
    // Unchecked because only the holder of the lock uses the connection.
    private nonisolated(unsafe) let connection: SQLiteConnection
    private let lock = Mutex(())

    /// Opens or creates the file.
    ///
    /// - Throws: a sentence that names the file.
    public init(path: String) throws(StoreFailure) {
        self.path = path
        do throws(SQLiteFailure) {
            self.connection = try SQLiteConnection(path: path, access: .readWrite)
            try self.connection.execute(
                """
                PRAGMA synchronous = NORMAL; PRAGMA trusted_schema = OFF;
                CREATE TABLE IF NOT EXISTS events (position INTEGER PRIMARY KEY, id TEXT NOT NULL,
                    text TEXT NOT NULL)
                """)
            PrivateFile.restrict(path)
        } catch {
            throw StoreFailure("\(path): \(error.summary)")
        }
    }

    /// The stored events, oldest first.
    public func entries() throws(StoreFailure) -> [Entry] {
        try self.locked { connection throws(SQLiteFailure) in
            let query = try connection.prepare("SELECT id, text FROM events ORDER BY position")
            var entries: [Entry] = []
            while try query.step() {
                entries.append(Entry(id: query.text(0) ?? "", text: query.text(1) ?? ""))
            }
            return entries
        }
    }

    /// Stores an event, and removes the oldest ones above the limit.
    public func append(_ entry: Entry) throws(StoreFailure) {
        try self.locked { connection throws(SQLiteFailure) in
            let insert = try connection.prepare("INSERT INTO events (id, text) VALUES (?, ?)")
            let (id, text) = (Array(entry.id.utf8), Array(entry.text.utf8))
            let result = id.withUnsafeBytes { id in
                text.withUnsafeBytes { text in
                    insert.bind(1, text: id)
                    insert.bind(2, text: text)
                    defer { insert.reset() }
                    return Result { () throws(SQLiteFailure) in _ = try insert.step() }
                }
            }
            try result.get()
            try connection.execute(
                """
                DELETE FROM events WHERE position <=
                    (SELECT max(position) FROM events) - \(Self.entryLimit)
                """)
        }
    }

    private func locked<Value: Sendable>(
        _ body: (SQLiteConnection) throws(SQLiteFailure) -> Value
    ) throws(StoreFailure) -> Value {
        let result: Result<Value, SQLiteFailure> = self.lock.withLock { _ in
            do throws(SQLiteFailure) {
                return .success(try body(self.connection))
            } catch {
                return .failure(error)
            }
        }
        do throws(SQLiteFailure) {
            return try result.get()
        } catch {
            throw StoreFailure("\(self.path): \(error.summary)")
        }
    }
}
