import Bytes
import ChatModel

/// The table `messages`: the log of all messages.
struct MessageRows {
    private let select: SQLiteStatement
    private let insertion: SQLiteStatement?
    private let update: SQLiteStatement?
    private let deletion: SQLiteStatement?
    private let text = RowTextBuffer()

    init(_ connection: SQLiteConnection, access: SQLiteConnection.AccessMode) throws(SQLiteFailure)
    {
        self.select = try connection.prepare(
            """
            SELECT conversation, sequence, revision, sent_at, state, author, author_name, agent,
                client_id, content, metadata, checksum
            FROM messages WHERE position = ?
            """)
        guard access == .readWrite else {
            self.insertion = nil
            self.update = nil
            self.deletion = nil
            return
        }
        self.insertion = try connection.prepare(
            "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        self.update = try connection.prepare(
            """
            UPDATE messages SET conversation = ?2, sequence = ?3, revision = ?4, sent_at = ?5,
                state = ?6, author = ?7, author_name = ?8, agent = ?9, client_id = ?10,
                content = ?11, metadata = ?12, checksum = ?13
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
        let fields = MessageFields(
            conversation: row.int(0), sequence: row.int(1), revision: row.int(2),
            sentAt: row.int(3), state: row.int(4),
            author: row.bytes(5), authorName: row.bytes(6), agent: row.bytes(7),
            clientID: row.bytes(8), content: row.bytes(9),
            metadata: row.bytes(10))
        guard fields.checksum == row.int(11) else {
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
        guard let deletion = self.deletion else {
            preconditionFailure("a reader's connection deleted a message")
        }
        deletion.bind(1, position)
        try deletion.run()
    }

    private func write(
        _ message: Message, of conversation: Int, at position: Int, with statement: SQLiteStatement?
    ) throws(StorageFault) {
        guard let statement else { preconditionFailure("a reader's connection wrote a message") }
        let body = message.body
        let author = body.author
        self.text.begin(
            byteCount: author.id.storageKey.byteCount + author.name.byteCount
                + (author.agent?.byteCount ?? 0)
                + (body.clientMessageID?.text.byteCount ?? 0)
                + body.content.utf8.count + (body.metadata?.count ?? 0))
        let fields = MessageFields(
            conversation: conversation, sequence: message.sequence, revision: message.revision,
            sentAt: Int(message.sentAt.milliseconds),
            state: Int(message.state.rawValue), author: self.text.copy(author.id.storageKey.string),
            authorName: self.text.copy(author.name.string),
            agent: author.agent.map { self.text.copy($0.string) },
            clientID: body.clientMessageID.map { self.text.copy($0.text.string) },
            content: self.text.copy(body.content),
            metadata: body.metadata.map { self.text.copy($0) })
        statement.bind(1, position)
        statement.bind(2, fields.conversation)
        statement.bind(3, fields.sequence)
        statement.bind(4, fields.revision)
        statement.bind(5, fields.sentAt)
        statement.bind(6, fields.state)
        statement.bind(7, text: fields.author)
        statement.bind(8, text: fields.authorName)
        statement.bind(9, text: fields.agent)
        statement.bind(10, text: fields.clientID)
        statement.bind(11, text: fields.content)
        statement.bind(12, blob: fields.metadata)
        statement.bind(13, fields.checksum)
        try statement.run()
    }
}

/// The columns of a message's row, for reading and writing.
private struct MessageFields {
    let conversation: Int
    let sequence: SequenceNumber
    let revision: Revision
    let sentAt: Int
    let state: Int
    let author: UnsafeRawBufferPointer?
    let authorName: UnsafeRawBufferPointer?
    let agent: UnsafeRawBufferPointer?
    let clientID: UnsafeRawBufferPointer?
    let content: UnsafeRawBufferPointer?
    let metadata: UnsafeRawBufferPointer?

    var checksum: Int {
        var sum = RowChecksum()
        sum.fold(self.conversation)
        sum.fold(self.sequence)
        sum.fold(self.revision)
        sum.fold(self.sentAt)
        sum.fold(self.state)
        sum.fold(self.author)
        sum.fold(self.authorName)
        sum.fold(self.agent)
        sum.fold(self.clientID)
        sum.fold(self.content)
        sum.fold(self.metadata)
        return sum.value
    }

    /// Nil if a column has a value that Confab never writes.
    var message: Message? {
        guard let author, let authorName, let content,
            let state = UInt8(exactly: self.state).flatMap(Message.State.init(rawValue:))
        else {
            return nil
        }
        let person = Person(
            id: UserID(storageKey: Self.text(author)), name: Self.text(authorName),
            agent: self.agent.map(Self.text))
        let body = MessageBody(
            author: person,
            clientMessageID: self.clientID.map { ClientMessageID(stored: Self.text($0)) },
            content: Self.text(content).string,
            metadata: self.metadata.map { [UInt8]($0) })
        return Message(
            sequence: self.sequence, revision: self.revision,
            sentAt: Timestamp(milliseconds: Int64(self.sentAt)), state: state, body: body)
    }

    private static func text(_ bytes: UnsafeRawBufferPointer) -> ByteString {
        ByteString(String(decoding: bytes, as: UTF8.self))
    }
}
