import Configuration

/// Limits the messages of a connection.
struct TokenBucket {
    private var tokens: Float
    private var filledAt: Int64

    init(limits: Limits, at now: Int64) {
        self.tokens = Float(limits.messageBurst)
        self.filledAt = now
    }

    /// Consumes a token. If there is none, returns the seconds until there is one.
    mutating func consume(limits: Limits, at now: Int64) -> Double? {
        let rate = Float(limits.messagesPerSecond)
        self.tokens = min(
            Float(limits.messageBurst), self.tokens + Float(now - self.filledAt) * rate / 1000)
        self.filledAt = now
        guard self.tokens < 1 else {
            self.tokens -= 1
            return nil
        }
        return Double((1 - self.tokens) / rate)
    }
}
