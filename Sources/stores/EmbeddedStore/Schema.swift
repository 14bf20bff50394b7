/// The layout of the file, and the migration steps from every older layout.
///
/// The table `messages` is a log: messages of all conversations, in the order in which they were
/// stored. The table `places` is its index by conversation.
///
/// If the messages were clustered by conversation, 1,000 messages of 1,000 conversations would
/// change 1,000 pages and cost 25 µs each. In a log they change 70 pages and cost 3 µs each.
/// `places` is updated in the background (see UnindexedMessages), up to the position in the setting
/// `settled`.
///
/// A message writes only its own row. The head, revision and last change of a conversation are
/// those of its newest message, unless its row in `conversations` has a higher revision. All other
/// changes write that row.
///
/// The full-text index `search` is no part of the layout: it is built from the messages whenever it
/// is missing (see SearchIndex).
enum Schema {
    /// "Cnfb" in the file's header, which identifies a Confab database.
    static let applicationID = 0x436E_6662
    static var version: Int { self.steps.count }

    /// The statements that migrate from version n to n + 1. A released step never changes.
    static let steps: [String] = [
        // `bans.conversation` is empty for a ban from the whole tenant, and `mentions.user` for a
        // message that mentions everyone; no conversation and no user has that id. A pinned message
        // has a copy in `pins`, which stays when the history is trimmed. Deleted messages are found
        // by `deletions`. AUTOINCREMENT, because readers remember the highest position that they
        // have read.
        """
        CREATE TABLE settings (name TEXT PRIMARY KEY, value INTEGER NOT NULL,
            checksum INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE shards (
            shard INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, incarnation INTEGER NOT NULL,
            loop INTEGER NOT NULL, checksum INTEGER NOT NULL
        );
        CREATE TABLE conversations (
            id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, name TEXT NOT NULL,
            origin TEXT NOT NULL, access INTEGER NOT NULL, listed INTEGER NOT NULL,
            pinning INTEGER NOT NULL, title TEXT NOT NULL, details TEXT NOT NULL, creator TEXT,
            created INTEGER NOT NULL, updated INTEGER NOT NULL, ended INTEGER,
            revision INTEGER NOT NULL, kept_from INTEGER NOT NULL, checksum INTEGER NOT NULL,
            UNIQUE (tenant, name)
        );
        CREATE INDEX catalog ON conversations (tenant, created, name)
            WHERE listed AND ended IS NULL;
        CREATE TABLE messages (position INTEGER PRIMARY KEY, \(Self.messageColumns));
        CREATE TABLE pins (
            \(Self.messageColumns), PRIMARY KEY (conversation, sequence)
        ) WITHOUT ROWID;
        CREATE TABLE places (
            conversation INTEGER, sequence INTEGER, position INTEGER NOT NULL,
            author INTEGER NOT NULL, PRIMARY KEY (conversation, sequence)
        ) WITHOUT ROWID;
        CREATE TABLE trimmed (position INTEGER PRIMARY KEY);
        CREATE TABLE amendments (
            conversation INTEGER, revision INTEGER, sequence INTEGER NOT NULL,
            PRIMARY KEY (conversation, revision)
        ) WITHOUT ROWID;
        CREATE TABLE deletions (
            conversation INTEGER, sequence INTEGER, author TEXT NOT NULL,
            PRIMARY KEY (conversation, sequence)
        ) WITHOUT ROWID;
        CREATE TABLE replies (
            conversation INTEGER, thread INTEGER, sequence INTEGER,
            PRIMARY KEY (conversation, thread, sequence)
        ) WITHOUT ROWID;
        CREATE TABLE mentions (
            conversation INTEGER, user TEXT, sequence INTEGER, author TEXT NOT NULL,
            PRIMARY KEY (conversation, user, sequence)
        ) WITHOUT ROWID;
        CREATE INDEX mentioned ON mentions (conversation, sequence);
        CREATE TABLE members (
            conversation INTEGER, user TEXT, name TEXT NOT NULL, role INTEGER NOT NULL,
            joined INTEGER NOT NULL, read INTEGER NOT NULL, delivered INTEGER NOT NULL, agent TEXT,
            name_given INTEGER NOT NULL, checksum INTEGER NOT NULL,
            PRIMARY KEY (conversation, user)
        ) WITHOUT ROWID;
        CREATE INDEX memberships ON members (user);
        CREATE TABLE numbers (
            tenant TEXT, user TEXT, number INTEGER NOT NULL, checksum INTEGER NOT NULL,
            PRIMARY KEY (tenant, user)
        ) WITHOUT ROWID;
        CREATE UNIQUE INDEX numbered ON numbers (tenant, number);
        CREATE TABLE counters (tenant TEXT PRIMARY KEY, value INTEGER NOT NULL,
            checksum INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE bans (
            tenant TEXT, user TEXT, conversation TEXT, until INTEGER, reason TEXT NOT NULL,
            operator TEXT NOT NULL, since INTEGER NOT NULL, checksum INTEGER NOT NULL,
            PRIMARY KEY (tenant, user, conversation)
        ) WITHOUT ROWID;
        CREATE TABLE outbox (
            position INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL,
            conversation TEXT NOT NULL, id TEXT NOT NULL, type TEXT NOT NULL,
            queued_at INTEGER NOT NULL, target TEXT, body BLOB NOT NULL
        );
        CREATE TABLE outbox_done (
            position INTEGER, receiver TEXT, PRIMARY KEY (position, receiver)
        ) WITHOUT ROWID;
        CREATE TABLE dead_letters (
            position INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL,
            conversation TEXT NOT NULL, id TEXT NOT NULL, type TEXT NOT NULL, body BLOB NOT NULL,
            receiver TEXT NOT NULL, attempts INTEGER NOT NULL, reason TEXT NOT NULL,
            died_at INTEGER NOT NULL
        );
        CREATE INDEX dead_letters_by_time ON dead_letters (died_at);
        """
    ]

    private static let messageColumns = """
        conversation INTEGER NOT NULL, sequence INTEGER NOT NULL, revision INTEGER NOT NULL,
        sent_at INTEGER NOT NULL, state INTEGER NOT NULL, author TEXT NOT NULL,
        author_name TEXT NOT NULL, agent TEXT, client_id TEXT, content TEXT NOT NULL,
        metadata BLOB, annotations BLOB, checksum INTEGER NOT NULL
        """

    /// Migrates the file to the version after the last step, each step in a transaction of its own.
    static func migrate(
        _ connection: SQLiteConnection, from version: Int, by steps: [String] = Self.steps
    ) throws(SQLiteFailure) {
        for step in version..<steps.count {
            try connection.execute("BEGIN IMMEDIATE")
            do {
                try connection.execute(steps[step])
                try connection.execute(
                    "PRAGMA application_id = \(self.applicationID); "
                        + "PRAGMA user_version = \(step + 1); COMMIT"
                )
            } catch {
                if connection.isInTransaction { try? connection.execute("ROLLBACK") }
                throw error
            }
        }
    }
}
