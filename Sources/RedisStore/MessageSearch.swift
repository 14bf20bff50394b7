import ChatModel
import RedisClient

/// Identifies a search in progress.
struct MessageSearchID: Hashable, Sendable {
    let rawValue: UInt64
}

/// Looks for messages, newest first, in pages of the stream.
///
/// A value: it receives the replies and says what to request next. It compares the texts where the
/// reply has them, and decodes only the messages that it finds.
struct MessageSearch {
    /// Messages in one reply. The loop does other work between two replies.
    static let pageSize = 500
    /// The most messages that one request examines; the client continues with `next`.
    static let messageLimit = 10_000

    let requester: PendingCommand.StoreRequester
    let key: ConversationKey
    private let query: SearchQuery
    private let limit: Int
    /// The number below which the next page begins; nil for the newest messages.
    private(set) var before: SequenceNumber?
    private var found: [Message] = []
    private var examinedCount = 0

    init(
        _ key: ConversationKey, _ query: SearchQuery, before: SequenceNumber?, limit: Int,
        for requester: PendingCommand.StoreRequester
    ) {
        self.key = key
        self.query = query
        self.before = before
        self.limit = StoreRequest.clampedSearchLimit(limit)
        self.requester = requester
    }

    /// Searches the messages of a reply to `StoreScripts.search`.
    ///
    /// - Returns: the result; nil if more messages must be read.
    mutating func search(_ reply: RedisReply) throws(DamagedValue) -> SearchPage? {
        if reply.isNull { return SearchPage() }
        var parts = reply.elements
        guard let oldest = parts.next()?.integer, let entries = parts.next(),
            let overlays = parts.next(), let marks = parts.next()
        else { throw DamagedValue("the reply is truncated") }
        var amendments: [Int64: RedisReply] = [:]
        var pairs = overlays.elements
        while let sequence = pairs.next(), let amendment = pairs.next() {
            if let number = sequence.integer { amendments[number] = amendment }
        }
        // The reply has the oldest message first.
        var matching: [RedisReply] = []
        var first: Int64?
        for entry in entries.elements {
            guard let id = entry[0], let number = FieldReader(id.bytes).leadingNumber else {
                throw DamagedValue("an entry of the stream is not what was stored")
            }
            first = first ?? number
            if try self.matches(entry, number, amendments[number]) { matching.append(entry) }
        }
        if !matching.isEmpty {
            let changes = try ReplyDecoder.changes(overlays, marks)
            // One more than the page has shows that there is a next page.
            for entry in matching.suffix(self.limit + 1 - self.found.count).reversed() {
                self.found.append(try ReplyDecoder.message(entry, changes))
            }
        }
        if self.found.count > self.limit {
            self.found.removeLast()
            return SearchPage(messages: self.found, next: self.found.last?.sequence)
        }
        guard let first, first > oldest else { return SearchPage(messages: self.found) }
        self.examinedCount += entries.count
        if self.examinedCount >= Self.messageLimit {
            return SearchPage(messages: self.found, next: Int(first))
        }
        self.before = Int(first)
        return nil
    }

    private func matches(_ entry: RedisReply, _ sequence: Int64, _ amendment: RedisReply?)
        throws(DamagedValue) -> Bool
    {
        let stored =
            if let amendment {
                StoredAmendment.content(amendment.bytes)
            } else {
                entry[1]?[1].flatMap { StoredMessage.content($0.bytes) }
            }
        guard let (state, content) = stored else {
            throw DamagedValue("message \(sequence) is not what was stored")
        }
        return state != .deleted && self.query.matches(utf8: content)
    }
}
