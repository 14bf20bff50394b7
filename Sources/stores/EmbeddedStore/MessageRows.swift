import Bytes
import ChatModel

/// The table `messages`: the log of all messages.
struct MessageRows {
    private let select: SQLiteStatement
    private let insertion: SQLiteStatement
    private let update: SQLiteStatement
    private let deletion: SQLiteStatement
    private let text = RowTextBuffer()

    init(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        self.select = try connection.prepare(
            "SELECT \(MessageFields.columns) FROM messages WHERE position = ?")
        self.insertion = try connection.prepare(
            "INSERT INTO messages VALUES (?, \(MessageFields.parameters))")
        self.update = try connection.prepare(
            """
            UPDATE messages SET conversation = ?2, sequence = ?3, revision = ?4, sent_at = ?5,
                state = ?6, author = ?7, author_name = ?8, agent = ?9, client_id = ?10,
                content = ?11, metadata = ?12, annotations = ?13, checksum = ?14
            WHERE position = ?1
            """)
        self.deletion = try connection.prepare("DELETE FROM messages WHERE position = ?")
    }

    /// A 48-bit hash that identifies an author in `places`.
    static func authorHash(of author: UserID) -> Int {
        Int(StableHash.of(author.storageKey) >> 16)
    }

    /// Reads the message at a position, and checks that it is the expected one.
    func message(at position: Int, of conversation: Int, sequence: SequenceNumber)
        throws(StorageFault) -> Message
    {
        defer { self.select.reset() }
        guard let fields = try self.fields(at: position) else {
            throw .damaged("message \(sequence) of conversation \(conversation) is missing")
        }
        guard fields.conversation == conversation, fields.sequence == sequence,
            let message = fields.message
        else {
            throw .damaged(
                "message \(sequence) of conversation \(conversation) is not what was stored")
        }
        return message
    }

    /// Reads the message at a position, and its conversation; nil if there is none.
    func stored(at position: Int) throws(StorageFault) -> (conversation: Int, message: Message)? {
        defer { self.select.reset() }
        guard let fields = try self.fields(at: position) else { return nil }
        guard let message = fields.message else {
            throw .damaged("the message at position \(position) is not what was stored")
        }
        return (fields.conversation, message)
    }

    /// Reads the index entry for the message at a position.
    func indexEntry(at position: Int) throws(StorageFault) -> MessageIndexEntry {
        defer { self.select.reset() }
        guard let fields = try self.fields(at: position), let message = fields.message else {
            throw .damaged("the message at position \(position) is not what was stored")
        }
        return MessageIndexEntry(
            conversation: fields.conversation, sequence: fields.sequence, position: position,
            authorHash: Self.authorHash(of: message.body.author.id))
    }

    /// Reads the row at a position and verifies its checksum. Its texts are valid until `select` is
    /// reset.
    private func fields(at position: Int) throws(StorageFault) -> MessageFields? {
        let row = self.select
        row.bind(1, position)
        guard try row.next() else { return nil }
        guard let fields = MessageFields(row) else {
            throw .damaged("the message at position \(position) is not what was stored")
        }
        return fields
    }

    func insert(_ message: Message, of conversation: Int, at position: Int) throws(StorageFault) {
        try self.write(message, of: conversation, at: position, with: self.insertion)
    }

    /// Overwrites a message's row.
    func replace(_ message: Message, of conversation: Int, at position: Int) throws(StorageFault) {
        try self.write(message, of: conversation, at: position, with: self.update)
    }

    func delete(at position: Int) throws(StorageFault) {
        let deletion = self.deletion
        deletion.bind(1, position)
        try deletion.run()
    }

    private func write(
        _ message: Message, of conversation: Int, at position: Int, with statement: SQLiteStatement
    ) throws(StorageFault) {
        statement.bind(1, position)
        MessageFields(message, of: conversation, in: self.text).bind(to: statement, from: 2)
        try statement.run()
    }
}
