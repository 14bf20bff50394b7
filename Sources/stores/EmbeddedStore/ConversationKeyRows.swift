import Bytes
import ChatModel

/// The ids of all conversations, in the order of their rows.
struct ConversationKeyRows {
    private let selection: SQLiteStatement

    init(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        self.selection = try connection.prepare(
            "SELECT id, tenant, name FROM conversations WHERE id > ? ORDER BY id LIMIT ?")
    }

    /// - Parameter after: the row id of the last conversation of the previous page.
    func page(after: ByteString?, limit: Int) throws(StorageFault) -> StoreAnswer {
        guard let last = Int(after?.string ?? "0") else { return .failed(.invalidCursor) }
        let limit = StoreRequest.clampedListLimit(limit)
        self.selection.bind(1, last)
        self.selection.bind(2, limit)
        defer { self.selection.reset() }
        var page = ConversationKeyPage()
        while try self.selection.next() {
            page.keys.append(
                ConversationKey(
                    tenant: ByteString(self.selection.text(1) ?? ""),
                    id: ByteString(self.selection.text(2) ?? "")))
            page.next = ByteString(String(self.selection.int(0)))
        }
        if page.keys.count < limit { page.next = nil }
        return .conversations(page)
    }
}

/// The messages of a conversation in the log, found without the index. The search reads the whole
/// log.
struct ConversationLogRows {
    private let selection: SQLiteStatement
    private let messages: MessageRows

    init(_ connection: SQLiteConnection, _ messages: MessageRows) throws(SQLiteFailure) {
        self.messages = messages
        self.selection = try connection.prepare(
            """
            SELECT position, sequence FROM messages
            WHERE conversation = ? AND sequence >= ? AND sequence < ? ORDER BY sequence
            """)
    }

    /// The entries that the index lacks. Damaged messages are left out.
    ///
    /// - Parameter known: the messages that the index has.
    func entries(
        of conversation: Int, _ window: Range<SequenceNumber>, lackedBy known: Set<SequenceNumber>
    ) throws(StorageFault) -> [MessageIndexEntry] {
        self.selection.bind(1, conversation)
        self.selection.bind(2, window.lowerBound)
        self.selection.bind(3, window.upperBound)
        defer { self.selection.reset() }
        var entries: [MessageIndexEntry] = []
        while try self.selection.next() {
            guard !known.contains(self.selection.int(1)) else { continue }
            do {
                let entry = try self.messages.indexEntry(at: self.selection.int(0))
                if entry.conversation == conversation { entries.append(entry) }
            } catch .damaged {
                continue
            }
        }
        return entries
    }
}
