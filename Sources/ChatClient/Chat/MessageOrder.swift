/// Lets every message of a conversation through once, in the order of their numbers.
///
/// On a new connection what is live may come before what was missed, and waits for it. The answer to a line that is sent once more may come
/// before what others said in front of it; since numbers have no holes, that shows, and the answer waits for them.
struct MessageOrder {
    /// The highest number that was let through or belongs to the past; nil while none is known.
    private(set) var lastID: Int?
    /// Whether messages are let through as they come.
    private(set) var isOpen = false
    private var held: [ChatMessage] = []
    private var early: [ChatMessage] = []

    /// How many live messages may wait for the history.
    static let heldLimit = 1000

    /// More has come than may wait, and letting it through would lose what was missed.
    var isOverfull: Bool { self.lastID != nil && self.held.count >= Self.heldLimit }
    /// Whether an answer waits for messages in front of it.
    var hasEarly: Bool { !self.early.isEmpty }

    /// On a new connection.
    ///
    /// - Parameter replays: whether what was missed comes of itself, in order, before what is live.
    mutating func begin(replays: Bool) {
        self.isOpen = replays && self.lastID != nil
        self.held = []
        self.early = []
    }

    /// A message was heard; answers with those that are to be shown.
    mutating func hear(_ message: ChatMessage) -> [ChatMessage] {
        if self.isOpen { return self.pass(message) }
        self.held.append(message)
        // Should the history not come at all, what is live is better than nothing.
        guard self.lastID == nil, self.held.count >= Self.heldLimit else { return [] }
        return self.release()
    }

    /// A line of one's own was answered, and this is the message that it has become.
    mutating func answer(_ message: ChatMessage) -> [ChatMessage] {
        guard self.isOpen, let lastID = self.lastID, message.id > lastID + 1 else { return self.hear(message) }
        self.early.append(message)
        return []
    }

    /// One is in.
    ///
    /// - Parameters:
    ///   - history: what was missed, or the newest messages before the first entrance, oldest first; nil where the protocol has none.
    ///   - isShown: whether the first entrance's history is to be seen.
    /// - Returns: what is to be shown, and the numbers of what was missed and can be read no more.
    mutating func enter(_ history: [ChatMessage]?, isShown: Bool) -> (messages: [ChatMessage], gone: ClosedRange<Int>?) {
        var messages: [ChatMessage] = []
        var gone: ClosedRange<Int>?
        if let lastID = self.lastID {
            if let first = history?.first, first.id > lastID + 1 { gone = lastID + 1...first.id - 1 }
            for message in history ?? [] { messages += self.pass(message) }
        } else if let history {
            if isShown { for message in history { messages += self.pass(message) } }
            // What came live is news, even if the history has it too.
            let newest = history.map(\.id).max() ?? 0
            let firstLive = self.held.map(\.id).min() ?? .max
            self.lastID = max(self.lastID ?? 0, min(newest, firstLive - 1))
        }
        return (messages + self.release(), gone)
    }

    /// The server has forgotten what is below this number.
    mutating func forget(below oldest: Int) {
        if let lastID = self.lastID { self.lastID = max(lastID, oldest - 1) }
    }

    /// Another history has begun, whose newest message is this one.
    mutating func reset(to head: Int) {
        guard self.lastID != nil else { return }
        self.lastID = head
        self.held = []
        self.early = []
    }

    /// What was waited for does not come.
    mutating func giveUpWaiting() -> [ChatMessage] {
        let early = self.early.sorted { $0.id < $1.id }
        self.early = []
        return early.flatMap { self.pass($0) }
    }

    private mutating func release() -> [ChatMessage] {
        self.isOpen = true
        let held = self.held
        self.held = []
        return held.flatMap { self.pass($0) }
    }

    private mutating func pass(_ message: ChatMessage) -> [ChatMessage] {
        var messages = self.takeEarly { $0 < message.id }
        if message.id > self.lastID ?? 0 {
            self.lastID = message.id
            messages.append(message)
        }
        while let lastID = self.lastID, self.early.contains(where: { $0.id <= lastID + 1 }) {
            messages += self.takeEarly { $0 <= lastID + 1 }
        }
        return messages
    }

    private mutating func takeEarly(_ isDue: (Int) -> Bool) -> [ChatMessage] {
        guard !self.early.isEmpty else { return [] }
        let due = self.early.filter { isDue($0.id) }.sorted { $0.id < $1.id }
        self.early.removeAll { isDue($0.id) }
        var messages: [ChatMessage] = []
        for message in due where message.id > self.lastID ?? 0 {
            self.lastID = message.id
            messages.append(message)
        }
        return messages
    }
}
