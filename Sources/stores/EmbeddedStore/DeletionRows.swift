import Bytes
import ChatModel

/// The table `deletions`: the deleted messages and their authors. It allows counting unread
/// messages without reading messages.
struct DeletionRows {
    private let counting: SQLiteStatement
    private let insertion: SQLiteStatement
    private let trim: SQLiteStatement

    init(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        self.counting = try connection.prepare(
            "SELECT count(*) FROM deletions "
                + "WHERE conversation = ? AND sequence >= ? AND sequence < ? AND author <> ?"
        )
        self.insertion = try connection.prepare("INSERT OR IGNORE INTO deletions VALUES (?, ?, ?)")
        self.trim = try connection.prepare(
            "DELETE FROM deletions WHERE conversation = ? AND sequence < ?")
    }

    /// The number of deleted messages in a window, without those of this author.
    func count(of conversation: Int, in window: Range<SequenceNumber>, notBy author: UserID)
        throws(StorageFault) -> Int
    {
        self.counting.bind(1, conversation)
        self.counting.bind(2, window.lowerBound)
        self.counting.bind(3, window.upperBound)
        self.counting.bind(4, copying: author.storageKey)
        defer { self.counting.reset() }
        return try self.counting.next() ? self.counting.int(0) : 0
    }

    /// Records that a message is deleted.
    func insert(_ sequence: SequenceNumber, of conversation: Int, by author: UserID)
        throws(StorageFault)
    {
        self.insertion.bind(1, conversation)
        self.insertion.bind(2, sequence)
        self.insertion.bind(3, copying: author.storageKey)
        try self.insertion.run()
    }

    func delete(of conversation: Int, below sequence: SequenceNumber) throws(StorageFault) {
        self.trim.bind(1, conversation)
        self.trim.bind(2, sequence)
        try self.trim.run()
    }
}
