import Bytes
import ChatModel

/// The table `places`: the log positions of the indexed messages.
struct MessageIndexRows {
    private let newest: SQLiteStatement
    private let window: SQLiteStatement
    private let unread: SQLiteStatement
    private let replacement: SQLiteStatement
    private let deletion: SQLiteStatement

    init(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        self.newest = try connection.prepare(
            "SELECT sequence, position, author FROM places WHERE conversation = ? "
                + "ORDER BY sequence DESC LIMIT 1"
        )
        self.window = try connection.prepare(
            """
            SELECT sequence, position, author FROM places
            WHERE conversation = ? AND sequence >= ? AND sequence < ? ORDER BY sequence LIMIT ?
            """)
        self.unread = try connection.prepare(
            """
            SELECT count(*) FROM (
                SELECT 1 FROM places
                WHERE conversation = ? AND sequence >= ? AND sequence < ? AND author <> ? LIMIT ?
            )
            """)
        // REPLACE, because after a crash a partial flush is written again.
        self.replacement = try connection.prepare("REPLACE INTO places VALUES (?, ?, ?, ?)")
        self.deletion = try connection.prepare(
            "DELETE FROM places WHERE conversation = ? AND sequence < ?")
    }

    func newest(of conversation: Int) throws(StorageFault) -> MessageIndexEntry? {
        self.newest.bind(1, conversation)
        defer { self.newest.reset() }
        return try self.newest.next() ? self.entry(self.newest, of: conversation) : nil
    }

    /// The entries of the messages in a window, oldest first, at most `limit`.
    func entries(of conversation: Int, in window: Range<SequenceNumber>, limit: Int = -1)
        throws(StorageFault) -> [MessageIndexEntry]
    {
        self.window.bind(1, conversation)
        self.window.bind(2, window.lowerBound)
        self.window.bind(3, window.upperBound)
        self.window.bind(4, limit)
        defer { self.window.reset() }
        var entries: [MessageIndexEntry] = []
        while try self.window.next() { entries.append(self.entry(self.window, of: conversation)) }
        return entries
    }

    /// The number of messages in a window, without those of this author. Counting stops at `limit`.
    func count(
        of conversation: Int, in window: Range<SequenceNumber>, notBy author: Int, limit: Int
    ) throws(StorageFault) -> Int {
        self.unread.bind(1, conversation)
        self.unread.bind(2, window.lowerBound)
        self.unread.bind(3, window.upperBound)
        self.unread.bind(4, author)
        self.unread.bind(5, limit)
        defer { self.unread.reset() }
        return try self.unread.next() ? self.unread.int(0) : 0
    }

    @inline(__always)
    func put(_ entry: MessageIndexEntry) throws(StorageFault) {
        let statement = self.replacement
        statement.bind(1, entry.conversation)
        statement.bind(2, entry.sequence)
        statement.bind(3, entry.position)
        statement.bind(4, entry.authorHash)
        try statement.run()
    }

    func delete(of conversation: Int, below sequence: SequenceNumber) throws(StorageFault) {
        let statement = self.deletion
        statement.bind(1, conversation)
        statement.bind(2, sequence)
        try statement.run()
    }

    private func entry(_ row: SQLiteStatement, of conversation: Int) -> MessageIndexEntry {
        MessageIndexEntry(
            conversation: conversation, sequence: row.int(0), position: row.int(1),
            authorHash: row.int(2))
    }
}

/// The table `amendments`: the last amendment of each amended message.
struct AmendmentRows {
    private let since: SQLiteStatement
    private let insertion: SQLiteStatement
    private let deletion: SQLiteStatement
    private let trim: SQLiteStatement

    init(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        self.since = try connection.prepare(
            "SELECT sequence FROM amendments WHERE conversation = ? AND revision > ? "
                + "ORDER BY revision"
        )
        self.insertion = try connection.prepare("REPLACE INTO amendments VALUES (?, ?, ?)")
        self.deletion = try connection.prepare(
            "DELETE FROM amendments WHERE conversation = ? AND revision = ?")
        self.trim = try connection.prepare(
            "DELETE FROM amendments WHERE conversation = ? AND sequence < ?")
    }

    /// The sequence numbers of the messages amended since a revision, in the order of their last
    /// amendments.
    func sequences(of conversation: Int, since revision: Revision) throws(StorageFault)
        -> [SequenceNumber]
    {
        self.since.bind(1, conversation)
        self.since.bind(2, revision)
        defer { self.since.reset() }
        var sequences: [SequenceNumber] = []
        while try self.since.next() { sequences.append(self.since.int(0)) }
        return sequences
    }

    /// Records an amendment, and deletes the message's previous one.
    ///
    /// - Parameter old: the revision of the message, which need not be an amendment: a revision
    ///   changes one message only.
    func put(
        _ revision: Revision, of sequence: SequenceNumber, in conversation: Int,
        insteadOf old: Revision
    ) throws(StorageFault) {
        self.deletion.bind(1, conversation)
        self.deletion.bind(2, old)
        try self.deletion.run()
        self.insertion.bind(1, conversation)
        self.insertion.bind(2, revision)
        self.insertion.bind(3, sequence)
        try self.insertion.run()
    }

    func delete(of conversation: Int, below sequence: SequenceNumber) throws(StorageFault) {
        self.trim.bind(1, conversation)
        self.trim.bind(2, sequence)
        try self.trim.run()
    }
}
