import Bytes
import ChatModel

/// The table `search`: a full-text index of the messages' words, for one conversation at a time.
///
/// It has no copies of the texts, so a change must give it the old text. Each word begins with its
/// conversation, so that a search reads what that conversation has, and no more. The words are
/// folded already (`SearchText`), and the tokenizer changes none of them: letters beyond ASCII are
/// always part of a word.
struct SearchIndexRows {
    static let creation = """
        CREATE VIRTUAL TABLE search USING fts5(words, content = '', columnsize = 0, detail = none,
            tokenize = "ascii tokenchars ':'")
        """
    /// A word that no message has. An index without it has lost its content, which a check of its
    /// structure does not notice.
    static let mark = "INSERT INTO search (rowid, words) VALUES (0, '0:0')"
    static let markQuery = "SELECT count(*) FROM search WHERE search MATCH '\"0:0\"'"
    /// The number of the words' format. An index with other words is built again.
    static let format = 1

    private let insertion: SQLiteStatement
    private let deletion: SQLiteStatement
    private let text = RowTextBuffer()

    init(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        self.insertion = try connection.prepare("INSERT INTO search (rowid, words) VALUES (?, ?)")
        self.deletion = try connection.prepare(
            "INSERT INTO search (search, rowid, words) VALUES ('delete', ?, ?)")
    }

    func insert(_ content: String, of conversation: Int, at position: Int) throws(StorageFault) {
        try self.run(self.insertion, content, conversation, position)
    }

    /// - Parameter content: the text that was inserted.
    func delete(_ content: String, of conversation: Int, at position: Int) throws(StorageFault) {
        try self.run(self.deletion, content, conversation, position)
    }

    private func run(
        _ statement: SQLiteStatement, _ content: String, _ conversation: Int, _ position: Int
    ) throws(StorageFault) {
        var words = ""
        let prefix = "\(conversation):"
        for word in SearchText.words(of: content) {
            words += prefix
            words += word
            words += " "
        }
        guard !words.isEmpty else { return }
        self.text.begin(byteCount: words.utf8.count)
        statement.bind(1, position)
        statement.bind(2, text: self.text.copy(words))
        try statement.run()
    }
}

/// The query of `search`.
struct SearchRows {
    private let selection: SQLiteStatement
    private let text = RowTextBuffer()

    init(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        self.selection = try connection.prepare(
            """
            SELECT rowid FROM search WHERE search MATCH ? AND rowid >= ? AND rowid <= ?
            ORDER BY rowid DESC
            """)
    }

    /// Starts to read the positions in a range that have the words, highest first.
    ///
    /// Every word is quoted, so that none is an operator. Words have no quotation marks.
    func begin(_ query: SearchQuery, of conversation: Int, in positions: ClosedRange<Int>) {
        let words =
            query.words.map { "\"\(conversation):\($0)\"" }.joined(separator: " AND ") + " *"
        self.text.begin(byteCount: words.utf8.count)
        self.selection.bind(1, text: self.text.copy(words))
        self.selection.bind(2, positions.lowerBound)
        self.selection.bind(3, positions.upperBound)
    }

    func next() throws(SQLiteFailure) -> Int? {
        try self.selection.step() ? self.selection.int(0) : nil
    }

    func reset() { self.selection.reset() }
}

/// The table `trimmed`: messages that are no longer retained, and whose words `search` still has.
struct TrimmedRows {
    private let selection: SQLiteStatement
    private let insertion: SQLiteStatement
    private let deletion: SQLiteStatement

    init(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        self.selection = try connection.prepare(
            "SELECT position FROM trimmed ORDER BY position LIMIT ?")
        self.insertion = try connection.prepare("INSERT OR IGNORE INTO trimmed VALUES (?)")
        self.deletion = try connection.prepare("DELETE FROM trimmed WHERE position = ?")
    }

    func first(_ count: Int) throws(StorageFault) -> [Int] {
        self.selection.bind(1, count)
        defer { self.selection.reset() }
        var positions: [Int] = []
        while try self.selection.next() { positions.append(self.selection.int(0)) }
        return positions
    }

    func insert(_ position: Int) throws(StorageFault) {
        self.insertion.bind(1, position)
        try self.insertion.run()
    }

    func delete(_ position: Int) throws(StorageFault) {
        self.deletion.bind(1, position)
        try self.deletion.run()
    }
}
