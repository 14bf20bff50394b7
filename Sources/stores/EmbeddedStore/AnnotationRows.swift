import Bytes
import ChatModel

/// The table `replies`: the messages of each thread, without its root.
struct ReplyRows {
    private let summaries: SQLiteStatement
    private let newest: SQLiteStatement
    private let oldest: SQLiteStatement
    private let insertion: SQLiteStatement
    private let trim: SQLiteStatement

    init(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        self.summaries = try connection.prepare(
            """
            SELECT thread, count(*), max(sequence) FROM replies
            WHERE conversation = ? AND thread >= ? AND thread <= ? GROUP BY thread
            """)
        let selection = "SELECT sequence FROM replies WHERE conversation = ? AND thread = ?"
        self.newest = try connection.prepare(
            "\(selection) AND sequence < ? ORDER BY sequence DESC LIMIT ?")
        self.oldest = try connection.prepare(
            "\(selection) AND sequence > ? ORDER BY sequence LIMIT ?")
        self.insertion = try connection.prepare("INSERT OR IGNORE INTO replies VALUES (?, ?, ?)")
        // A reply has a higher number than its root.
        self.trim = try connection.prepare(
            "DELETE FROM replies WHERE conversation = ?1 AND thread < ?2 AND sequence < ?2")
    }

    /// The threads whose roots are in a range.
    func summaries(of conversation: Int, in roots: ClosedRange<SequenceNumber>)
        throws(StorageFault) -> [SequenceNumber: ThreadSummary]
    {
        let row = self.summaries
        row.bind(1, conversation)
        row.bind(2, roots.lowerBound)
        row.bind(3, roots.upperBound)
        defer { row.reset() }
        var threads: [SequenceNumber: ThreadSummary] = [:]
        while try row.next() {
            threads[row.int(0)] = ThreadSummary(replyCount: row.int(1), lastReply: row.int(2))
        }
        return threads
    }

    /// A page of a thread's numbers: its root and its replies, oldest first. It has more than the
    /// limit if the range has more.
    ///
    /// - Parameter oldest: the oldest retained message.
    func page(
        of root: SequenceNumber, in conversation: Int, from oldest: SequenceNumber,
        _ range: PageRange, limit: Int
    ) throws(StorageFault) -> ArraySlice<SequenceNumber> {
        let count = limit < .max ? limit + 1 : limit
        let replies: [SequenceNumber] =
            switch range {
            case .newest: try self.replies(self.newest, root, conversation, .max, count).reversed()
            case .before(let number):
                try self.replies(self.newest, root, conversation, number, count).reversed()
            case .after(let number):
                try self.replies(
                    self.oldest, root, conversation, max(number, oldest - 1), count)
            }
        return range.numbers(of: ([root] + replies).filter { $0 >= oldest })
    }

    private func replies(
        _ row: SQLiteStatement, _ root: SequenceNumber, _ conversation: Int, _ bound: Int,
        _ limit: Int
    ) throws(StorageFault) -> [SequenceNumber] {
        row.bind(1, conversation)
        row.bind(2, root)
        row.bind(3, bound)
        row.bind(4, max(0, limit))
        defer { row.reset() }
        var sequences: [SequenceNumber] = []
        while try row.next() { sequences.append(row.int(0)) }
        return sequences
    }

    func insert(_ sequence: SequenceNumber, in thread: SequenceNumber, of conversation: Int)
        throws(StorageFault)
    {
        self.insertion.bind(1, conversation)
        self.insertion.bind(2, thread)
        self.insertion.bind(3, sequence)
        try self.insertion.run()
    }

    /// Forgets the replies below a number.
    func delete(of conversation: Int, below sequence: SequenceNumber) throws(StorageFault) {
        self.trim.bind(1, conversation)
        self.trim.bind(2, sequence)
        try self.trim.run()
    }
}

/// The table `mentions`: which messages count as mentions of a user. It allows counting unread
/// mentions without reading messages.
struct MentionRows {
    private let selection: SQLiteStatement
    private let insertion: SQLiteStatement
    private let deletion: SQLiteStatement
    private let trim: SQLiteStatement

    /// The user of a row that concerns everyone except the author.
    private static let everyone: ByteString = ""

    init(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        self.selection = try connection.prepare(
            """
            SELECT sequence FROM mentions
            WHERE conversation = ? AND user = ? AND sequence >= ? AND sequence < ? AND author <> ?
            ORDER BY sequence LIMIT ?
            """)
        self.insertion = try connection.prepare(
            "INSERT OR IGNORE INTO mentions VALUES (?, ?, ?, ?)")
        self.deletion = try connection.prepare(
            "DELETE FROM mentions WHERE conversation = ? AND sequence = ?")
        self.trim = try connection.prepare(
            "DELETE FROM mentions WHERE conversation = ? AND sequence < ?")
    }

    /// The messages in a window that mention a user, in ascending order, at most `limit`.
    func sequences(
        of conversation: Int, in window: Range<SequenceNumber>, mentioning user: UserID, limit: Int
    ) throws(StorageFault) -> [SequenceNumber] {
        var sequences: [SequenceNumber] = []
        for name in [user.storageKey, Self.everyone] {
            self.selection.bind(1, conversation)
            self.selection.bind(2, copying: name)
            self.selection.bind(3, window.lowerBound)
            self.selection.bind(4, window.upperBound)
            self.selection.bind(5, copying: user.storageKey)
            self.selection.bind(6, limit)
            defer { self.selection.reset() }
            while try self.selection.next() { sequences.append(self.selection.int(0)) }
        }
        return Array(sequences.sorted().prefix(limit))
    }

    /// Records the mentions of a message. A message that mentions everyone has one row.
    func insert(_ mentions: Mentions, of message: Message, in conversation: Int)
        throws(StorageFault)
    {
        let author = message.body.author.id.storageKey
        let names = mentions.includesEveryone ? [Self.everyone] : mentions.users.map(\.storageKey)
        for name in names {
            self.insertion.bind(1, conversation)
            self.insertion.bind(2, copying: name)
            self.insertion.bind(3, message.sequence)
            self.insertion.bind(4, copying: author)
            try self.insertion.run()
        }
    }

    func delete(_ sequence: SequenceNumber, of conversation: Int) throws(StorageFault) {
        self.deletion.bind(1, conversation)
        self.deletion.bind(2, sequence)
        try self.deletion.run()
    }

    func delete(of conversation: Int, below sequence: SequenceNumber) throws(StorageFault) {
        self.trim.bind(1, conversation)
        self.trim.bind(2, sequence)
        try self.trim.run()
    }
}

/// The table `pins`: copies of the pinned messages in their present state.
struct PinRows {
    private let all: SQLiteStatement
    private let one: SQLiteStatement
    private let replacement: SQLiteStatement
    private let deletion: SQLiteStatement
    private let text = RowTextBuffer()

    init(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        let selection = "SELECT \(MessageFields.columns) FROM pins WHERE conversation = ?"
        self.all = try connection.prepare(selection)
        self.one = try connection.prepare("\(selection) AND sequence = ?")
        self.replacement = try connection.prepare(
            "REPLACE INTO pins VALUES (\(MessageFields.parameters))")
        self.deletion = try connection.prepare(
            "DELETE FROM pins WHERE conversation = ? AND sequence = ?")
    }

    /// Oldest pin first.
    func messages(of conversation: Int) throws(StorageFault) -> [Message] {
        self.all.bind(1, conversation)
        defer { self.all.reset() }
        var messages: [Message] = []
        while try self.all.next() {
            messages.append(try self.message(self.all, of: conversation))
        }
        return messages.sortedByPin()
    }

    func message(_ sequence: SequenceNumber, of conversation: Int) throws(StorageFault) -> Message?
    {
        self.one.bind(1, conversation)
        self.one.bind(2, sequence)
        defer { self.one.reset() }
        return try self.one.next() ? try self.message(self.one, of: conversation) : nil
    }

    private func message(_ row: SQLiteStatement, of conversation: Int) throws(StorageFault)
        -> Message
    {
        guard let fields = MessageFields(row), fields.conversation == conversation,
            let message = fields.message, message.isPinned
        else {
            throw .damaged(
                "a pinned message of conversation \(conversation) is not what was stored")
        }
        return message
    }

    /// Stores the copy of a pinned message, or removes that of another one.
    func update(_ message: Message, of conversation: Int) throws(StorageFault) {
        if message.isPinned {
            MessageFields(message, of: conversation, in: self.text).bind(
                to: self.replacement, from: 1)
            try self.replacement.run()
        } else {
            self.deletion.bind(1, conversation)
            self.deletion.bind(2, message.sequence)
            try self.deletion.run()
        }
    }
}
