import Bytes
import ChatModel

/// A conversation's row.
struct StoredConversation {
    let id: Int
    let key: ConversationKey
    var record: ConversationRecord
    /// The revision of the last change other than a message. The newest message can have a higher
    /// one.
    var revision: Revision
    /// The first message that is still in the file.
    var retainedFrom: SequenceNumber
}

/// The table `conversations`.
struct ConversationRows {
    private let selection: SQLiteStatement
    private let insertion: SQLiteStatement
    private let replacement: SQLiteStatement
    private let connection: SQLiteConnection
    private let text = RowTextBuffer()

    init(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        self.connection = connection
        self.selection = try connection.prepare(
            """
            SELECT id, origin, access, listed, pin_policy, title, details, creator, created_at,
                updated_at, ended_at, revision, kept_from, checksum
            FROM conversations WHERE tenant = ? AND name = ?
            """)
        self.insertion = try connection.prepare(
            "INSERT INTO conversations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        self.replacement = try connection.prepare(
            """
            UPDATE conversations SET tenant = ?2, name = ?3, origin = ?4, access = ?5,
                listed = ?6, pin_policy = ?7, title = ?8, details = ?9, creator = ?10,
                created_at = ?11, updated_at = ?12, ended_at = ?13, revision = ?14,
                kept_from = ?15, checksum = ?16
            WHERE id = ?1
            """)
    }

    func conversation(_ key: ConversationKey) throws(StorageFault) -> StoredConversation? {
        let row = self.selection
        self.text.begin(byteCount: key.tenant.byteCount + key.id.byteCount)
        row.bind(1, text: self.text.copy(key.tenant.string))
        row.bind(2, text: self.text.copy(key.id.string))
        defer { row.reset() }
        guard try row.next() else { return nil }
        let template = ConversationTemplate(
            origin: ByteString(row.text(1) ?? ""),
            joinPolicy: ConversationRecord.JoinPolicy(
                rawValue: UInt8(truncatingIfNeeded: row.int(2))) ?? .closed,
            isListed: row.int(3) != 0)
        var record = ConversationRecord(
            template, title: row.text(5) ?? "",
            dialectData: ByteString(row.text(6) ?? ""),
            pinPolicy: ConversationRecord.PinPolicy(
                rawValue: UInt8(truncatingIfNeeded: row.int(4))) ?? .members,
            creator: row.text(7).map { UserID(storageKey: ByteString($0)) },
            createdAt: Timestamp(milliseconds: Int64(row.int(8))))
        record.updatedAt = Timestamp(milliseconds: Int64(row.int(9)))
        record.endedAt = row.optionalInt(10).map { Timestamp(milliseconds: Int64($0)) }
        let stored = StoredConversation(
            id: row.int(0), key: key, record: record, revision: row.int(11),
            retainedFrom: row.int(12))
        guard self.checksum(of: stored) == row.int(13) else {
            throw .damaged("the row of conversation \(key) is not what was stored")
        }
        return stored
    }

    func insert(_ conversation: StoredConversation) throws(StorageFault) {
        try self.write(conversation, with: self.insertion)
    }

    func replace(_ conversation: StoredConversation) throws(StorageFault) {
        try self.write(conversation, with: self.replacement)
    }

    /// The row id for a new conversation.
    func nextID() throws(SQLiteFailure) -> Int {
        (try self.connection.number("SELECT max(id) FROM conversations") ?? 0) + 1
    }

    private func write(_ conversation: StoredConversation, with statement: SQLiteStatement)
        throws(StorageFault)
    {
        let record = conversation.record
        let sum = self.checksum(of: conversation)
        self.text.begin(byteCount: Self.byteCount(of: conversation))
        statement.bind(1, conversation.id)
        statement.bind(2, text: self.text.copy(conversation.key.tenant.string))
        statement.bind(3, text: self.text.copy(conversation.key.id.string))
        statement.bind(4, text: self.text.copy(record.origin.string))
        statement.bind(5, Int(record.joinPolicy.rawValue))
        statement.bind(6, record.isListed ? 1 : 0)
        statement.bind(7, Int(record.pinPolicy.rawValue))
        statement.bind(8, text: self.text.copy(record.title))
        statement.bind(9, text: self.text.copy(record.dialectData.string))
        statement.bind(10, text: record.creator.map { self.text.copy($0.storageKey.string) })
        statement.bind(11, Int(record.createdAt.milliseconds))
        statement.bind(12, Int(record.updatedAt.milliseconds))
        statement.bind(13, record.endedAt.map { Int($0.milliseconds) })
        statement.bind(14, conversation.revision)
        statement.bind(15, conversation.retainedFrom)
        statement.bind(16, sum)
        try statement.run()
    }

    private static func byteCount(of conversation: StoredConversation) -> Int {
        conversation.key.tenant.byteCount + conversation.key.id.byteCount
            + conversation.record.title.utf8.count
            + conversation.record.dialectData.byteCount + conversation.record.origin.byteCount
            + (conversation.record.creator?.storageKey.byteCount ?? 0)
    }

    private func checksum(of conversation: StoredConversation) -> Int {
        let record = conversation.record
        self.text.begin(byteCount: Self.byteCount(of: conversation))
        var sum = RowChecksum()
        sum.fold(conversation.id)
        sum.fold(self.text.copy(conversation.key.tenant.string))
        sum.fold(self.text.copy(conversation.key.id.string))
        sum.fold(self.text.copy(record.origin.string))
        sum.fold(Int(record.joinPolicy.rawValue))
        sum.fold(record.isListed ? 1 : 0)
        sum.fold(Int(record.pinPolicy.rawValue))
        sum.fold(self.text.copy(record.title))
        sum.fold(self.text.copy(record.dialectData.string))
        sum.fold(record.creator.map { self.text.copy($0.storageKey.string) })
        sum.fold(Int(record.createdAt.milliseconds))
        sum.fold(Int(record.updatedAt.milliseconds))
        sum.fold(record.endedAt.map { Int($0.milliseconds) })
        sum.fold(conversation.revision)
        sum.fold(conversation.retainedFrom)
        return sum.value
    }
}
