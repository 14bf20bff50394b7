import ChatModel
import RedisClient

/// Looks for messages, newest first, in pages of the stream.
///
/// A value: it receives the replies and says what to request next. A page has only the texts. When
/// the search has enough messages, it reads those as a whole, and drops the ones that were changed
/// meanwhile and do not match any more.
struct MessageSearch {
    enum Query: Equatable {
        /// The texts of at most `count` messages below a number; nil for the newest ones.
        case texts(before: SequenceNumber?, count: Int)
        /// These messages.
        case messages([SequenceNumber])
    }

    /// The most messages in one reply, and the bytes that a reply should have: Redis does nothing
    /// else while it composes the reply.
    static let pageSize = 500
    private static let pageBytes = 256 << 10
    /// The size of the first page. Messages of the largest size make it 1 MiB.
    private static let firstPageSize = 64
    /// The most messages that one request examines; the client continues with `next`.
    static let messageLimit = 10_000

    let requester: PendingCommand.StoreRequester
    let permit: SearchPermit?
    let key: ConversationKey
    private(set) var next: Query
    private let words: SearchQuery
    private let limit: Int
    private var pageSize = Self.firstPageSize
    private var found: [SequenceNumber] = []
    /// The messages that are found after those: pinned ones that have left the history.
    private var pinned: [Message] = []
    private var examinedCount = 0
    /// The `before` of the client's next search, when no more texts are to be read.
    private var continuation: SequenceNumber?

    init(
        _ key: ConversationKey, _ query: SearchQuery, before: SequenceNumber?, limit: Int,
        permit: SearchPermit? = nil, for requester: PendingCommand.StoreRequester
    ) {
        self.key = key
        self.words = query
        self.permit = permit
        self.next = .texts(before: before, count: Self.firstPageSize)
        self.limit = StoreRequest.clampedSearchLimit(limit)
        self.requester = requester
    }

    /// Processes the reply to `next`.
    ///
    /// - Returns: the result; nil if more must be read.
    mutating func receive(_ reply: RedisReply) throws(DamagedValue) -> SearchPage? {
        if reply.isNull { return SearchPage() }
        switch self.next {
        case .texts: return try self.receiveTexts(reply)
        case .messages: return try self.receiveMessages(reply)
        }
    }

    /// The reply to `StoreScripts.search`.
    private mutating func receiveTexts(_ reply: RedisReply) throws(DamagedValue) -> SearchPage? {
        var parts = reply.elements
        guard let oldest = parts.next()?.integer, let first = parts.next()?.integer,
            let texts = parts.next(), var amended = parts.next()?.elements,
            let pins = parts.next()
        else { throw DamagedValue("the reply is truncated") }
        var (matches, bytes, count) = ([SequenceNumber](), 0, 0)
        var nextAmended = amended.next()?.integer
        for text in texts.elements {
            let number = Int(first) + count
            count += 1
            let isAmended = nextAmended == Int64(count)
            if isAmended { nextAmended = amended.next()?.integer }
            guard
                let (state, content) = isAmended
                    ? StoredAmendment.content(text.bytes) : StoredMessage.content(text.bytes)
            else { throw DamagedValue("message \(number) is not what was stored") }
            if state != .deleted, self.words.matches(utf8: content) { matches.append(number) }
            bytes += text.bytes.count
        }
        self.examinedCount += count
        // The oldest message is the first one. One more than the page has shows that there is a
        // next page.
        self.found += matches.reversed().prefix(self.limit + 1 - self.found.count)
        if self.found.count > self.limit {
            self.found.removeLast()
            self.continuation = self.found.last
        } else if count > 0, first > oldest {
            guard self.examinedCount >= Self.messageLimit else {
                let average = max(1, bytes / count)
                self.pageSize = max(16, min(Self.pageBytes / average, Self.pageSize))
                self.next = .texts(before: Int(first), count: self.pageSize)
                return nil
            }
            self.continuation = Int(first)
        } else {
            try self.receivePins(pins)
        }
        if self.found.isEmpty {
            return SearchPage(messages: self.pinned, next: self.continuation)
        }
        self.next = .messages(self.found)
        return nil
    }

    private mutating func receivePins(_ pins: RedisReply) throws(DamagedValue) {
        self.pinned = try ReplyDecoder.pinned(pins).filter {
            $0.state != .deleted && self.words.matches($0.body.content)
        }
        self.pinned.sort { $1.sequence < $0.sequence }
        let room = self.limit - self.found.count
        guard self.pinned.count > room else { return }
        self.pinned.removeLast(self.pinned.count - room)
        self.continuation = self.pinned.last?.sequence ?? self.found.last
    }

    /// The reply to `StoreScripts.messages`.
    private func receiveMessages(_ reply: RedisReply) throws(DamagedValue) -> SearchPage {
        guard let entries = reply[0], let amendments = reply[1] else {
            throw DamagedValue("the reply is truncated")
        }
        let changes = try ReplyDecoder.amendments(amendments)
        var page = SearchPage(next: self.continuation)
        for entry in entries.elements {
            let message = try ReplyDecoder.message(entry, changes)
            if message.state != .deleted, self.words.matches(message.body.content) {
                page.messages.append(message)
            }
        }
        page.messages += self.pinned
        return page
    }
}
