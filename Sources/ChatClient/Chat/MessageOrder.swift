/// Delivers every message of a conversation once, in the order of their numbers.
///
/// On a new connection live messages may arrive before the missed ones; they wait in a queue. The
/// answer to a resent line may arrive before earlier messages of other users. A gap in the numbers
/// reveals this, and the answer waits for those messages.
struct MessageOrder {
    /// The highest number that was delivered or skipped; nil while none is known.
    private(set) var lastID: Int?
    /// Whether messages are delivered as they arrive.
    private(set) var isLive = false
    private var queuedLive: [ChatMessage] = []
    private var earlyAnswers: [ChatMessage] = []

    /// How many live messages may wait for the history.
    static let queueLimit = 1000

    /// Whether the queue has reached its limit; delivering it now would lose the missed messages.
    var isQueueFull: Bool { self.lastID != nil && self.queuedLive.count >= Self.queueLimit }
    /// Whether an answer waits for messages with lower numbers.
    var hasEarlyAnswers: Bool { !self.earlyAnswers.isEmpty }

    /// Starts over on a new connection.
    ///
    /// - Parameter replays: whether the server sends the missed messages unasked, in order, before
    ///   live ones.
    mutating func connectionOpened(replays: Bool) {
        self.isLive = replays && self.lastID != nil
        self.queuedLive = []
        self.earlyAnswers = []
    }

    /// Accepts a message. Returns the messages to display.
    mutating func receive(_ message: ChatMessage) -> [ChatMessage] {
        if self.isLive { return self.deliver(message) }
        self.queuedLive.append(message)
        // Without a history, live messages are better than none.
        guard self.lastID == nil, self.queuedLive.count >= Self.queueLimit else { return [] }
        return self.deliverQueued()
    }

    /// Accepts one of the user's own messages, built from the answer to a send.
    mutating func receiveAnswer(_ message: ChatMessage) -> [ChatMessage] {
        guard self.isLive, let lastID = self.lastID, message.id > lastID + 1 else {
            return self.receive(message)
        }
        self.earlyAnswers.append(message)
        return []
    }

    /// The client has joined.
    ///
    /// - Parameters:
    ///   - history: the missed messages, or the newest messages on the first join, oldest first;
    ///     nil where the protocol has no history.
    ///   - isShown: whether to display the history of the first join.
    /// - Returns: the messages to display, and the numbers of missed messages that are no longer
    ///   available.
    mutating func joined(_ history: [ChatMessage]?, isShown: Bool) -> (
        messages: [ChatMessage], missing: ClosedRange<Int>?
    ) {
        var messages: [ChatMessage] = []
        var missing: ClosedRange<Int>?
        if let lastID = self.lastID {
            if let first = history?.first, first.id > lastID + 1 {
                missing = lastID + 1...first.id - 1
            }
            for message in history ?? [] { messages += self.deliver(message) }
        } else if let history {
            if isShown { for message in history { messages += self.deliver(message) } }
            // Live messages count as new, even if the history contains them too.
            let newest = history.map(\.id).max() ?? 0
            let firstLive = self.queuedLive.map(\.id).min() ?? .max
            self.lastID = max(self.lastID ?? 0, min(newest, firstLive - 1))
        }
        return (messages + self.deliverQueued(), missing)
    }

    /// The server no longer has the messages below this number.
    mutating func skip(below oldest: Int) {
        if let lastID = self.lastID { self.lastID = max(lastID, oldest - 1) }
    }

    /// The server has another history, and this is its newest message.
    mutating func reset(to head: Int) {
        guard self.lastID != nil else { return }
        self.lastID = head
        self.queuedLive = []
        self.earlyAnswers = []
    }

    /// Delivers early answers without the messages they waited for.
    mutating func deliverEarlyAnswers() -> [ChatMessage] {
        let answers = self.earlyAnswers.sorted { $0.id < $1.id }
        self.earlyAnswers = []
        return answers.flatMap { self.deliver($0) }
    }

    private mutating func deliverQueued() -> [ChatMessage] {
        self.isLive = true
        let queued = self.queuedLive
        self.queuedLive = []
        return queued.flatMap { self.deliver($0) }
    }

    private mutating func deliver(_ message: ChatMessage) -> [ChatMessage] {
        var messages = self.removeDueAnswers { $0 < message.id }
        if message.id > self.lastID ?? 0 {
            self.lastID = message.id
            messages.append(message)
        }
        while let lastID = self.lastID, self.earlyAnswers.contains(where: { $0.id <= lastID + 1 }) {
            messages += self.removeDueAnswers { $0 <= lastID + 1 }
        }
        return messages
    }

    private mutating func removeDueAnswers(_ isDue: (Int) -> Bool) -> [ChatMessage] {
        guard !self.earlyAnswers.isEmpty else { return [] }
        let due = self.earlyAnswers.filter { isDue($0.id) }.sorted { $0.id < $1.id }
        self.earlyAnswers.removeAll { isDue($0.id) }
        var messages: [ChatMessage] = []
        for message in due where message.id > self.lastID ?? 0 {
            self.lastID = message.id
            messages.append(message)
        }
        return messages
    }
}
