/// The file's layout, and the steps that lead to it from every older one.
///
/// Messages lie in `messages` in the order in which they were stored, one behind the other, whatever their conversation; `places` says
/// where each is. Laid out by conversation, a thousand messages of a thousand conversations changed a thousand pages and cost
/// 25 µs each; one behind the other they change seventy, for 3 µs. `places` follows in the background (see UnindexedMessages), up to
/// the position in `settled`.
///
/// A message writes nothing but its own row: head, revision and last change of a conversation are those of its newest message,
/// unless `conversations` has a higher revision, which every other change writes there.
enum Schema {
    /// "Cnfb" in the file's header, so that `file` and we know our own.
    static let applicationID = 0x436E_6662
    static var version: Int { self.steps.count }

    /// The statements that lead from version n to n + 1.
    static let steps: [String] = [
        """
        CREATE TABLE settings (name TEXT PRIMARY KEY, value INTEGER NOT NULL, checksum INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE shards (
            shard INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, incarnation INTEGER NOT NULL, loop INTEGER NOT NULL,
            checksum INTEGER NOT NULL
        );
        CREATE TABLE conversations (
            id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, name TEXT NOT NULL,
            access INTEGER NOT NULL, title TEXT NOT NULL, creator TEXT, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
            ended_at INTEGER, revision INTEGER NOT NULL, kept_from INTEGER NOT NULL, checksum INTEGER NOT NULL,
            UNIQUE (tenant, name)
        );
        CREATE TABLE messages (
            position INTEGER PRIMARY KEY, conversation INTEGER NOT NULL, sequence INTEGER NOT NULL, revision INTEGER NOT NULL,
            sent_at INTEGER NOT NULL, state INTEGER NOT NULL, author TEXT NOT NULL, author_name TEXT NOT NULL, agent TEXT,
            client_id TEXT, content TEXT NOT NULL, metadata BLOB, checksum INTEGER NOT NULL
        );
        CREATE TABLE places (
            conversation INTEGER, sequence INTEGER, position INTEGER NOT NULL, author INTEGER NOT NULL,
            PRIMARY KEY (conversation, sequence)
        ) WITHOUT ROWID;
        CREATE TABLE amendments (
            conversation INTEGER, revision INTEGER, sequence INTEGER NOT NULL, PRIMARY KEY (conversation, revision)
        ) WITHOUT ROWID;
        CREATE TABLE members (
            conversation INTEGER, user TEXT, name TEXT NOT NULL, role INTEGER NOT NULL, joined_at INTEGER NOT NULL,
            read_cursor INTEGER NOT NULL, delivered_cursor INTEGER NOT NULL, checksum INTEGER NOT NULL,
            PRIMARY KEY (conversation, user)
        ) WITHOUT ROWID;
        """,
        // Rows of before keep their checksums: kind and details are summed up only where they are there.
        """
        ALTER TABLE conversations ADD COLUMN kind INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE conversations ADD COLUMN details TEXT NOT NULL DEFAULT '';
        CREATE INDEX catalog ON conversations (tenant, created_at, name) WHERE kind = 3 AND ended_at IS NULL;
        CREATE INDEX memberships ON members (user);
        CREATE TABLE numbers (
            tenant TEXT, user TEXT, number INTEGER NOT NULL, checksum INTEGER NOT NULL, PRIMARY KEY (tenant, user)
        ) WITHOUT ROWID;
        CREATE UNIQUE INDEX numbered ON numbers (tenant, number);
        CREATE TABLE counters (tenant TEXT PRIMARY KEY, value INTEGER NOT NULL, checksum INTEGER NOT NULL) WITHOUT ROWID;
        """,
        // Again an agent is summed up only where there is one.
        "ALTER TABLE members ADD COLUMN agent TEXT",
        // Deleted messages are found by their amendments, but for the newest ones, whose places are not written yet.
        """
        CREATE TABLE deletions (
            conversation INTEGER, sequence INTEGER, author TEXT NOT NULL, PRIMARY KEY (conversation, sequence)
        ) WITHOUT ROWID;
        INSERT OR IGNORE INTO deletions SELECT messages.conversation, messages.sequence, messages.author
            FROM amendments CROSS JOIN places USING (conversation, sequence) CROSS JOIN messages USING (position) WHERE messages.state = 2;
        INSERT OR IGNORE INTO deletions SELECT conversation, sequence, author FROM messages
            WHERE position > coalesce((SELECT value FROM settings WHERE name = 'settled'), 0) AND state = 2;
        """,
    ]

    /// Brings the file to our version, each step in a transaction of its own.
    static func migrate(_ connection: SQLiteConnection, from version: Int) throws(SQLiteFailure) {
        for step in version..<self.version {
            try connection.execute("BEGIN IMMEDIATE")
            do {
                try connection.execute(self.steps[step])
                try connection.execute(
                    "PRAGMA application_id = \(self.applicationID); PRAGMA user_version = \(step + 1); COMMIT"
                )
            } catch {
                if connection.isInTransaction { try? connection.execute("ROLLBACK") }
                throw error
            }
        }
    }
}
