import JSON

/// A requested page of messages, which the server sends in parts if it is long.
struct PartialPage: Equatable {
    private let query: PageQuery
    /// The root, for the messages of a thread.
    let thread: Int?
    /// Oldest first.
    private(set) var messages: [ChatMessage] = []

    init(_ query: PageQuery, thread: Int? = nil) {
        self.query = query
        self.thread = thread
    }

    private var isForward: Bool { if case .after = self.query { true } else { false } }

    private var limit: Int {
        switch self.query {
        case .newest(let limit), .before(_, let limit), .after(_, let limit): limit
        }
    }

    /// Adds a part.
    ///
    /// - Parameter part: oldest message first.
    /// - Returns: the query for the next part; nil once the page is complete.
    mutating func add(_ part: [ChatMessage], of answer: JSONTree) -> PageQuery? {
        self.messages = self.isForward ? self.messages + part : part + self.messages
        let rest = self.limit - self.messages.count
        let next = answer[self.isForward ? "next_after_id" : "next_before_id"]?.messageID
        guard let next, rest > 0, !part.isEmpty else { return nil }
        return self.isForward ? .after(next, rest) : .before(next, rest)
    }
}
