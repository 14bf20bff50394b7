internal import Bytes
internal import ChatModel

/// An event that waits for one endpoint, without its body unless nothing stores it.
struct QueuedEvent {
    let conversation: ConversationKey
    let partition: Int
    /// Nil for an event that is not stored.
    let position: OutboxPosition?
    let id: ByteString
    let queuedAt: Timestamp
    /// Only of an event that is not stored.
    let unstored: OutboxEvent?

    init(_ entry: OutboxEntry, partition: Int) {
        self.conversation = entry.conversation
        self.partition = partition
        self.position = entry.position
        self.id = entry.id
        self.queuedAt = entry.queuedAt
        self.unstored = nil
    }

    init(unstored event: OutboxEvent) {
        self.conversation = event.conversation
        self.partition = -1
        self.position = nil
        self.id = event.id
        self.queuedAt = event.queuedAt
        self.unstored = event
    }
}

/// The events that wait for one endpoint, in one line for each conversation. At most one event of
/// a line is being sent; a failed one pauses its own line only.
struct EndpointQueue {
    private enum Phase { case ready, sending, paused }

    private struct Line {
        var events = FirstInFirstOut<QueuedEvent>()
        var phase = Phase.ready
        /// The failed attempts of the first event.
        var attempts = 0
        /// The partition of its stored events; -1 if there was none.
        var partition = -1
    }

    private var lines: [ConversationKey: Line] = [:]
    /// Lines that may send, the one that has waited longest first.
    private var ready = FirstInFirstOut<ConversationKey>()
    private var paused: [(until: Int64, conversation: ConversationKey)] = []
    /// Stored events in the order of their arrival. Some may be gone.
    private var arrivals = FirstInFirstOut<(conversation: ConversationKey, id: ByteString)>()
    private(set) var count = 0
    private(set) var sendingCount = 0

    mutating func append(_ event: QueuedEvent) {
        let isNew = self.lines[event.conversation] == nil
        self.lines[event.conversation, default: Line()].events.append(event)
        self.count += 1
        if event.partition >= 0 { self.lines[event.conversation]?.partition = event.partition }
        if event.unstored == nil { self.arrivals.append((event.conversation, event.id)) }
        if isNew { self.ready.append(event.conversation) }
    }

    /// Starts an attempt of the next event; nil if no line is ready.
    mutating func start() -> (event: QueuedEvent, attempts: Int)? {
        while let conversation = self.ready.popFirst() {
            guard let line = self.lines[conversation], line.phase == .ready,
                let first = line.events.first
            else { continue }
            self.lines[conversation]?.phase = .sending
            self.sendingCount += 1
            return (first, line.attempts)
        }
        return nil
    }

    /// Ends an attempt, and removes its event.
    mutating func finish(_ conversation: ConversationKey) {
        guard self.lines[conversation]?.phase == .sending else { return }
        self.sendingCount -= 1
        self.removeFirst(of: conversation)
    }

    /// Ends an attempt; the line waits.
    mutating func pause(_ conversation: ConversationKey, until time: Int64, isAttempt: Bool) {
        guard self.lines[conversation]?.phase == .sending else { return }
        self.sendingCount -= 1
        self.lines[conversation]?.phase = .paused
        if isAttempt { self.lines[conversation]?.attempts += 1 }
        self.paused.append((time, conversation))
        var child = self.paused.count - 1
        while child > 0, self.paused[child].until < self.paused[(child - 1) / 2].until {
            self.paused.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    /// Makes the lines ready whose pause is over.
    mutating func resume(now: Int64) {
        while let first = self.paused.first, first.until <= now {
            self.removeFirstPause()
            guard self.lines[first.conversation]?.phase == .paused else { continue }
            self.lines[first.conversation]?.phase = .ready
            self.ready.append(first.conversation)
        }
    }

    /// The event of a conversation that is being sent, and its failed attempts.
    func sending(in conversation: ConversationKey) -> (event: QueuedEvent, attempts: Int)? {
        guard let line = self.lines[conversation], line.phase == .sending,
            let event = line.events.first
        else { return nil }
        return (event, line.attempts)
    }

    /// The oldest stored event.
    mutating func oldest() -> QueuedEvent? {
        while let first = self.arrivals.first {
            if let event = self.lines[first.conversation]?.events.first,
                event.id == first.id || event.unstored != nil
            {
                return event
            }
            _ = self.arrivals.popFirst()
        }
        return nil
    }

    /// Removes the oldest stored event that is not being sent, and returns it with its failed
    /// attempts.
    mutating func removeOldest() -> (event: QueuedEvent, attempts: Int)? {
        var skipped: [(conversation: ConversationKey, id: ByteString)] = []
        defer { for arrival in skipped.reversed() { self.arrivals.prepend(arrival) } }
        while let arrival = self.arrivals.popFirst() {
            guard let line = self.lines[arrival.conversation], let first = line.events.first
            else { continue }
            let isSending = line.phase == .sending
            let candidate = isSending ? line.events.second : first
            if candidate?.id == arrival.id, let candidate {
                if isSending {
                    self.count -= 1
                    self.lines[arrival.conversation]?.events.removeSecond()
                } else {
                    self.removeFirst(of: arrival.conversation)
                }
                return (candidate, isSending ? 0 : line.attempts)
            }
            // It is being sent, or behind an event that is not stored. Otherwise it is gone.
            let isWaiting = isSending && first.id == arrival.id || candidate?.unstored != nil
            if isWaiting { skipped.append(arrival) }
        }
        return nil
    }

    /// Forgets the stored events of partitions that this node does not own any more, except those
    /// that are being sent.
    ///
    /// - Returns: the number of forgotten events in each partition.
    mutating func forget(where isForeign: (Int) -> Bool) -> [Int: Int] {
        var forgotten: [Int: Int] = [:]
        for (conversation, line) in self.lines {
            guard line.partition >= 0, isForeign(line.partition) else { continue }
            var kept = line
            var events = line.events
            kept.events = FirstInFirstOut()
            if line.phase == .sending {
                if let first = events.popFirst() { kept.events.append(first) }
            } else {
                kept.attempts = 0
            }
            while let event = events.popFirst() {
                if event.unstored == nil {
                    self.count -= 1
                    forgotten[line.partition, default: 0] += 1
                } else {
                    kept.events.append(event)
                }
            }
            // Only stored events are paused.
            if line.phase == .paused {
                kept.phase = .ready
                self.ready.append(conversation)
            }
            self.lines[conversation] = kept.events.first == nil ? nil : kept
        }
        return forgotten
    }

    private mutating func removeFirst(of conversation: ConversationKey) {
        self.count -= 1
        _ = self.lines[conversation]?.events.popFirst()
        if self.lines[conversation]?.events.first == nil {
            self.lines[conversation] = nil
        } else {
            // A ready line is already in the queue.
            if self.lines[conversation]?.phase != .ready { self.ready.append(conversation) }
            self.lines[conversation]?.phase = .ready
            self.lines[conversation]?.attempts = 0
        }
    }

    private mutating func removeFirstPause() {
        let last = self.paused.removeLast()
        guard !self.paused.isEmpty else { return }
        self.paused[0] = last
        var parent = 0
        while true {
            var child = 2 * parent + 1
            guard child < self.paused.count else { return }
            if child + 1 < self.paused.count,
                self.paused[child + 1].until < self.paused[child].until
            {
                child += 1
            }
            guard self.paused[child].until < self.paused[parent].until else { return }
            self.paused.swapAt(child, parent)
            parent = child
        }
    }
}

/// A queue in an array, whose removed front is released now and then.
struct FirstInFirstOut<Element> {
    private var elements: [Element?] = []
    private var start = 0

    var count: Int { self.elements.count - self.start }
    var first: Element? { self.start < self.elements.count ? self.elements[self.start] : nil }
    var second: Element? {
        self.start + 1 < self.elements.count ? self.elements[self.start + 1] : nil
    }

    mutating func append(_ element: Element) { self.elements.append(element) }

    mutating func prepend(_ element: Element) {
        if self.start > 0 {
            self.start -= 1
            self.elements[self.start] = element
        } else {
            self.elements.insert(element, at: 0)
        }
    }

    mutating func removeSecond() {
        guard let first = self.popFirst() else { return }
        _ = self.popFirst()
        self.prepend(first)
    }

    mutating func popFirst() -> Element? {
        guard let first = self.first else { return nil }
        self.elements[self.start] = nil
        self.start += 1
        if self.start == self.elements.count {
            self.elements.removeAll()
            self.start = 0
        } else if self.start >= 64, self.start > self.elements.count / 2 {
            self.elements.removeFirst(self.start)
            self.start = 0
        }
        return first
    }
}
