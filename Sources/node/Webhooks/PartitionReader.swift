internal import ChatModel

/// How far one endpoint has read one partition of the outbox.
struct PartitionReader {
    private var after: OutboxPosition?
    /// Whether the store may have events that an earlier state of this reader had taken.
    private var recovers = true
    private var isTaking = false
    /// Whether events may have arrived since the last request was sent.
    private var isWanted = false
    /// The time of the next request after a busy or failed one.
    private var notBefore: Int64 = 0
    /// Events in memory.
    var eventCount = 0
    /// Delivered events that the store does not know yet.
    private var completed: [OutboxPosition] = []
    private var completing: [OutboxPosition] = []
    private var completeNotBefore: Int64 = 0

    mutating func want() { self.isWanted = true }

    /// The next request, if it is due.
    mutating func take(now: Int64) -> (after: OutboxPosition?, recovers: Bool)? {
        guard self.isWanted, !self.isTaking, now >= self.notBefore else { return nil }
        self.isWanted = false
        self.isTaking = true
        return (self.after, self.recovers)
    }

    mutating func taken(_ entries: [OutboxEntry], _ progress: OutboxProgress, now: Int64) {
        self.isTaking = false
        if let last = entries.map(\.position).max() { self.after = max(self.after ?? last, last) }
        self.recovers = self.recovers && progress == .more
        switch progress {
        case .atEnd: break
        case .more: self.isWanted = true
        case .busy: self.retry(at: now + 1000)
        }
    }

    mutating func retry(at time: Int64) {
        self.isTaking = false
        self.isWanted = true
        self.notBefore = time
    }

    mutating func complete(_ position: OutboxPosition) { self.completed.append(position) }

    /// The delivered events to report, if no report is under way.
    mutating func report(now: Int64) -> [OutboxPosition]? {
        guard self.completing.isEmpty, !self.completed.isEmpty, now >= self.completeNotBefore
        else { return nil }
        // One command, whatever has collected during the last one.
        self.completing = Array(self.completed.prefix(256))
        self.completed.removeFirst(self.completing.count)
        return self.completing
    }

    mutating func reported(succeeded: Bool, now: Int64) {
        if !succeeded {
            self.completed.append(contentsOf: self.completing)
            self.completeNotBefore = now + 1000
        }
        self.completing = []
    }

    /// Another node has the partition. If it returns, everything is read again.
    mutating func abandon() {
        self.after = nil
        self.recovers = true
        self.isWanted = false
    }

    /// Whether nothing is lost if the reader is forgotten. The next one takes everything that the
    /// store still has.
    var isIdle: Bool {
        self.eventCount == 0 && !self.isTaking && !self.isWanted && self.completed.isEmpty
            && self.completing.isEmpty
    }
}
