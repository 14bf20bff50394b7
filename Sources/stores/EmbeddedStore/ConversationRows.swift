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
        names: ["id", "tenant", "name"] + ConversationRecord.fieldNames + [
            "revision", "kept_from", "checksum",
        ])
    private let selection: SQLiteStatement
    private let insertion: SQLiteStatement
    private let replacement: SQLiteStatement
    private let connection: SQLiteConnection

    init(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        self.connection = connection
        self.selection = try connection.prepare(
            "SELECT \(Self.columns.list) FROM conversations WHERE tenant = ? AND name = ?")
        self.insertion = connection.statement(
            "INSERT INTO conversations VALUES (\(Self.columns.parameters))")
        self.replacement = connection.statement(
            "UPDATE conversations SET \(Self.columns.assignments(keyCount: 1)) WHERE id = ?1")
    }

    func conversation(_ key: ConversationKey) throws(StorageFault) -> StoredConversation? {
        self.selection.bind(1, copying: key.tenant)
        self.selection.bind(2, copying: key.id)
        defer { self.selection.reset() }
        guard try self.selection.next() else { return nil }
        var row = RowReader(self.selection)
        let id = row.number()
        let foundKey = ConversationKey(tenant: row.text() ?? "", id: row.text() ?? "")
        var record = ConversationRecord.blank
        let isValid = (try? record.visitFields(&row)) != nil
        let stored = StoredConversation(
            id: id, key: key, record: record, revision: row.number(), retainedFrom: row.number())
        guard isValid, foundKey == key, row.isIntact else {
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
