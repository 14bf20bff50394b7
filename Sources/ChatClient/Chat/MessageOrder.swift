/// Lets every message of a conversation through once, in the order of their numbers.
///
/// On a new connection what is live may come before what was missed, and waits for it. The answer to a line that is sent once more may come
/// before what others said in front of it; since numbers have no holes, that shows, and the answer waits for them.
struct MessageOrder {
    /// The highest number that was let through or belongs to the past; nil while none is known.
    private(set) var lastID: Int?
    /// Whether messages are let through as they come.
    private(set) var isLive = false
    private var queuedLive: [ChatMessage] = []
    private var earlyAnswers: [ChatMessage] = []

    /// How many live messages may wait for the history.
    static let queueLimit = 1000

    /// More has come than may wait, and letting it through would lose what was missed.
    var isQueueFull: Bool { self.lastID != nil && self.queuedLive.count >= Self.queueLimit }
    /// Whether an answer waits for messages in front of it.
    var hasEarlyAnswers: Bool { !self.earlyAnswers.isEmpty }

    /// On a new connection.
    ///
    /// - Parameter replays: whether what was missed comes of itself, in order, before what is live.
    mutating func connectionOpened(replays: Bool) {
        self.isLive = replays && self.lastID != nil
        self.queuedLive = []
        self.earlyAnswers = []
    }

    /// A message was heard; answers with those that are to be shown.
    mutating func receive(_ message: ChatMessage) -> [ChatMessage] {
        if self.isLive { return self.deliver(message) }
        self.queuedLive.append(message)
        // Should the history not come at all, what is live is better than nothing.
        guard self.lastID == nil, self.queuedLive.count >= Self.queueLimit else { return [] }
        return self.deliverQueued()
    }

    /// A line of one's own was answered, and this is the message that it has become.
    mutating func receiveAnswer(_ message: ChatMessage) -> [ChatMessage] {
        guard self.isLive, let lastID = self.lastID, message.id > lastID + 1 else {
            return self.receive(message)
        }
        self.earlyAnswers.append(message)
        return []
    }

    /// One is in.
    ///
    /// - Parameters:
    ///   - history: what was missed, or the newest messages before the first entrance, oldest first; nil where the protocol has none.
    ///   - isShown: whether the first entrance's history is to be seen.
    /// - Returns: what is to be shown, and the numbers of what was missed and can be read no more.
    mutating func joined(_ history: [ChatMessage]?, isShown: Bool) -> (
        messages: [ChatMessage], gone: ClosedRange<Int>?
    ) {
        var messages: [ChatMessage] = []
        var gone: ClosedRange<Int>?
        if let lastID = self.lastID {
            if let first = history?.first, first.id > lastID + 1 {
                gone = lastID + 1...first.id - 1
            }
            for message in history ?? [] { messages += self.deliver(message) }
        } else if let history {
            if isShown { for message in history { messages += self.deliver(message) } }
            // What came live is news, even if the history has it too.
            let newest = history.map(\.id).max() ?? 0
            let firstLive = self.queuedLive.map(\.id).min() ?? .max
            self.lastID = max(self.lastID ?? 0, min(newest, firstLive - 1))
        }
        return (messages + self.deliverQueued(), gone)
    }

    /// The server has forgotten what is below this number.
    mutating func skip(below oldest: Int) {
        if let lastID = self.lastID { self.lastID = max(lastID, oldest - 1) }
    }

    /// Another history has begun, whose newest message is this one.
    mutating func reset(to head: Int) {
        guard self.lastID != nil else { return }
        self.lastID = head
        self.queuedLive = []
        self.earlyAnswers = []
    }

    /// What was waited for does not come.
    mutating func deliverEarlyAnswers() -> [ChatMessage] {
        let early = self.earlyAnswers.sorted { $0.id < $1.id }
        self.earlyAnswers = []
        return early.flatMap { self.deliver($0) }
    }

    private mutating func deliverQueued() -> [ChatMessage] {
        self.isLive = true
        let held = self.queuedLive
        self.queuedLive = []
        return held.flatMap { self.deliver($0) }
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
