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
    private static let columns = TableColumns(
        ["id", "tenant", "name"], ConversationRecord.blank, ["revision", "kept_from", "checksum"],
        renamed: [
            "pinning": "pin_policy", "created": "created_at", "updated": "updated_at",
            "ended": "ended_at",
        ])
    private let selection: SQLiteStatement
    private let insertion: SQLiteStatement
    private let replacement: SQLiteStatement
    private let connection: SQLiteConnection

    init(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        self.connection = connection
        self.selection = try connection.prepare(
            "SELECT \(Self.columns.list) FROM conversations WHERE tenant = ? AND name = ?")
        self.insertion = try connection.prepare(
            "INSERT INTO conversations \(Self.columns.values)")
        self.replacement = try connection.prepare(
            "UPDATE conversations SET \(Self.columns.assignments(keyCount: 1)) WHERE id = ?1")
    }

    func conversation(_ key: ConversationKey) throws(StorageFault) -> StoredConversation? {
        self.selection.bind(1, copying: key.tenant)
        self.selection.bind(2, copying: key.id)
        defer { self.selection.reset() }
        guard try self.selection.next() else { return nil }
        var row = RowReader(self.selection)
        let id = row.number()
        // In a damaged file, the search may end at another conversation's row.
        guard row.text() == key.tenant, row.text() == key.id,
            let record: ConversationRecord = row.record()
        else { throw Self.damage(key) }
        let stored = StoredConversation(
            id: id, key: key, record: record, revision: row.number(), retainedFrom: row.number())
        guard row.isIntact else { throw Self.damage(key) }
        return stored
    }

    private static func damage(_ key: ConversationKey) -> StorageFault {
        .damaged("the row of conversation \(key) is not what was stored")
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
        var row = RowWriter(statement)
        row.append(conversation.id)
        row.append(conversation.key.tenant)
        row.append(conversation.key.id)
        conversation.record.readFields(&row)
        row.append(conversation.revision)
        row.append(conversation.retainedFrom)
        try row.run()
    }
}
