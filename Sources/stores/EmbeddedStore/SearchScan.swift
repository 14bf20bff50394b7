import ChatModel

/// A search in progress: collects the messages that match a query. It is shown messages newest
/// first, in slices of bounded size, between which the thread rests and continues other searches.
///
/// It stops after a bounded number of messages. The client continues with `next`.
struct SearchScan {
    /// The most messages that one request examines.
    static let messageLimit = 10_000
    /// The most messages and bytes of text in a slice, about a millisecond.
    static let sliceMessages = 256
    private static let sliceBytes = 512 << 10

    let key: ConversationKey
    let query: SearchQuery
    let permit: SearchPermit?
    /// The number below which the next slice begins.
    private(set) var before: SequenceNumber
    /// Whether the search uses the index, if there is one.
    var usesIndex = true
    private let limit: Int
    private var matches: [Message] = []
    private var examinedCount = 0
    private var slice = (messages: 0, bytes: 0)

    /// Nil if the request is no search.
    init?(_ request: StoreRequest) {
        guard case .search(let key, let query, let before, let limit, let permit) = request else {
            return nil
        }
        self.key = key
        self.query = query
        self.permit = permit
        self.before = before ?? .max
        self.limit = StoreRequest.clampedSearchLimit(limit)
    }

    mutating func beginSlice() { self.slice = (0, 0) }

    var isSliceFull: Bool {
        self.slice.messages >= Self.sliceMessages || self.slice.bytes >= Self.sliceBytes
    }

    /// Whether the result is complete. It takes one match more than the page to know that there is
    /// a next page.
    var isComplete: Bool {
        self.matches.count > self.limit || self.examinedCount >= Self.messageLimit
    }

    mutating func examine(_ message: Message) {
        self.examinedCount += 1
        self.slice.messages += 1
        self.slice.bytes += message.body.content.utf8.count
        self.before = message.sequence
        if message.state != .deleted, self.query.matches(message.body.content) {
            self.matches.append(message)
        }
    }

    /// The result, after all retained messages were examined or it was complete. The pinned
    /// messages that have left the history are examined last.
    ///
    /// - Parameter oldest: the oldest message of the history.
    mutating func finish(oldest: SequenceNumber, pinned: [Message]) -> SearchPage {
        let pinned = pinned.filter { $0.sequence < oldest }.sorted { $1.sequence < $0.sequence }
        for message in pinned where message.sequence < self.before && !self.isComplete {
            self.examine(message)
        }
        return self.page(oldest: pinned.last?.sequence ?? oldest)
    }

    /// - Parameter oldest: the last message that could be examined.
    private func page(oldest: SequenceNumber) -> SearchPage {
        if self.matches.count > self.limit {
            let messages = Array(self.matches.prefix(self.limit))
            return SearchPage(messages: messages, next: messages.last?.sequence)
        }
        let isExhausted = !self.isComplete || self.before <= oldest
        return SearchPage(messages: self.matches, next: isExhausted ? nil : self.before)
    }
}
