import ChatModel

/// Collects the messages that match a query. It is shown messages newest first.
///
/// It stops after a bounded number of messages, so that a search for a rare word in a long history
/// holds up no other reader. The client continues with `next`.
struct SearchScan {
    /// The most messages that one request examines.
    static let messageLimit = 10_000

    private let query: SearchQuery
    private let limit: Int
    private var matches: [Message] = []
    private var examinedCount = 0
    private(set) var lastExamined: SequenceNumber?

    init(_ query: SearchQuery, limit: Int) {
        self.query = query
        self.limit = StoreRequest.clampedSearchLimit(limit)
    }

    /// Whether the result is complete. It takes one match more than the page to know that there is
    /// a next page.
    var isComplete: Bool {
        self.matches.count > self.limit || self.examinedCount >= Self.messageLimit
    }

    mutating func examine(_ message: Message) {
        self.examinedCount += 1
        self.lastExamined = message.sequence
        if message.state != .deleted, self.query.matches(message.body.content) {
            self.matches.append(message)
        }
    }

    /// - Parameter oldest: the last message that could be examined.
    func page(oldest: SequenceNumber) -> SearchPage {
        if self.matches.count > self.limit {
            let messages = Array(self.matches.prefix(self.limit))
            return SearchPage(messages: messages, next: messages.last?.sequence)
        }
        let isExhausted = !self.isComplete || self.lastExamined ?? oldest <= oldest
        return SearchPage(messages: self.matches, next: isExhausted ? nil : self.lastExamined)
    }
}
