import Bytes
import ChatModel

/// The columns of a whole message, in a row of `messages` or `pins`. The texts are valid as long as
/// their row or their buffer.
struct MessageFields {
    static let columns = """
        conversation, sequence, revision, sent_at, state, author, author_name, agent, client_id, \
        content, metadata, annotations, checksum
        """
    /// The placeholders of the columns.
    static let parameters = "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?"

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
    let annotations: UnsafeRawBufferPointer?

    /// Reads the columns of a row. Nil if they do not have their checksum.
    init?(_ row: SQLiteStatement) {
        self.conversation = row.int(0)
        self.sequence = row.int(1)
        self.revision = row.int(2)
        self.sentAt = row.int(3)
        self.state = row.int(4)
        self.author = row.bytes(5)
        self.authorName = row.bytes(6)
        self.agent = row.bytes(7)
        self.clientID = row.bytes(8)
        self.content = row.bytes(9)
        self.metadata = row.bytes(10)
        self.annotations = row.bytes(11)
        guard self.checksum == row.int(12) else { return nil }
    }

    init(_ message: Message, of conversation: Int, in text: RowTextBuffer) {
        let body = message.body
        let author = body.author
        let annotations = body.annotations?.bytes
        text.begin(
            byteCount: author.id.storageKey.byteCount + author.name.byteCount
                + (author.agent?.byteCount ?? 0)
                + (body.clientMessageID?.text.byteCount ?? 0)
                + body.content.utf8.count + (body.metadata?.count ?? 0) + (annotations?.count ?? 0))
        self.conversation = conversation
        self.sequence = message.sequence
        self.revision = message.revision
        self.sentAt = Int(message.sentAt.milliseconds)
        self.state = Int(message.state.rawValue)
        self.author = text.copy(author.id.storageKey.string)
        self.authorName = text.copy(author.name.string)
        self.agent = author.agent.map { text.copy($0.string) }
        self.clientID = body.clientMessageID.map { text.copy($0.text.string) }
        self.content = text.copy(body.content)
        self.metadata = body.metadata.map { text.copy($0) }
        self.annotations = annotations.map { text.copy($0) }
    }

    /// Binds the columns to consecutive parameters.
    func bind(to statement: SQLiteStatement, from first: Int32) {
        statement.bind(first, self.conversation)
        statement.bind(first + 1, self.sequence)
        statement.bind(first + 2, self.revision)
        statement.bind(first + 3, self.sentAt)
        statement.bind(first + 4, self.state)
        statement.bind(first + 5, text: self.author)
        statement.bind(first + 6, text: self.authorName)
        statement.bind(first + 7, text: self.agent)
        statement.bind(first + 8, text: self.clientID)
        statement.bind(first + 9, text: self.content)
        statement.bind(first + 10, blob: self.metadata)
        statement.bind(first + 11, blob: self.annotations)
        statement.bind(first + 12, self.checksum)
    }

    private var checksum: Int {
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
        sum.fold(self.annotations)
        return sum.value
    }

    /// Nil if a column has a value that Confab never writes.
    var message: Message? {
        guard let author, let authorName, let content,
            let state = UInt8(exactly: self.state).flatMap(Message.State.init(rawValue:))
        else {
            return nil
        }
        var annotations: MessageAnnotations?
        if let bytes = self.annotations {
            annotations = MessageAnnotations(stored: bytes)
            if annotations == nil { return nil }
        }
        let person = Person(
            id: UserID(storageKey: Self.text(author)), name: Self.text(authorName),
            agent: self.agent.map(Self.text))
        let body = MessageBody(
            author: person,
            clientMessageID: self.clientID.map { ClientMessageID(stored: Self.text($0)) },
            content: Self.text(content).string,
            metadata: self.metadata.map { [UInt8]($0) }, annotations: annotations)
        return Message(
            sequence: self.sequence, revision: self.revision,
            sentAt: Timestamp(milliseconds: Int64(self.sentAt)), state: state, body: body)
    }

    private static func text(_ bytes: UnsafeRawBufferPointer) -> ByteString {
        ByteString(String(decoding: bytes, as: UTF8.self))
    }
}
