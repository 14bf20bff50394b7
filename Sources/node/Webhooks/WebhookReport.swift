/// The state and the counters of one endpoint, since the start of the node.
public struct WebhookReport: Sendable {
    public internal(set) var pending = 0
    public internal(set) var sending = 0
    /// In milliseconds, of the oldest waiting event.
    public internal(set) var oldestAge: Int64?
    public internal(set) var deliveredCount = 0
    /// Failed attempts.
    public internal(set) var failedCount = 0
    /// Events that became dead letters.
    public internal(set) var dead = 0
    /// Events that are lost: dropped dead letters, and failed events that no store
    /// keeps.
    public internal(set) var dropped = 0
    /// The reason of the last failure; nil after a success.
    public internal(set) var lastError: String?
    /// The endpoint has answered 410 and gets nothing more until the next start.
    public internal(set) var isGone = false

    public var state: String {
        if self.isGone { return "gone" }
        return self.lastError == nil ? "ok" : "failing"
    }

    mutating func delivered() {
        self.deliveredCount += 1
        self.lastError = nil
    }

    mutating func failed(_ reason: String) {
        self.failedCount += 1
        self.lastError = reason
    }
}
