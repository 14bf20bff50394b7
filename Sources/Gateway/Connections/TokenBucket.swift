import Configuration

/// Limits the messages and requests of a user.
struct TokenBucket {
    private var tokens: Float
    private var filledAt: Int64

    init(limits: Limits, at now: Int64) {
        self.tokens = Float(limits.messageBurst)
        self.filledAt = now
    }

    /// Consumes tokens. If there are too few, returns the seconds until there are enough.
    ///
    /// - Parameter cost: at least 1; more than the burst counts as the burst.
    mutating func consume(limits: Limits, at now: Int64, cost: Float = 1) -> Double? {
        let rate = Float(limits.messagesPerSecond)
        let burst = Float(limits.messageBurst)
        let cost = min(cost, burst)
        self.tokens = min(burst, self.tokens + Float(now - self.filledAt) * rate / 1000)
        self.filledAt = now
        guard self.tokens < cost else {
            self.tokens -= cost
            return nil
        }
        return Double((cost - self.tokens) / rate)
    }

    /// Charges a refused message. A client that goes on sending gets into debt, up to a burst.
    ///
    /// - Returns: the seconds for which the client should not be read, because it is in debt; nil
    ///   if it may be read.
    mutating func chargeRefusal(limits: Limits) -> Double? {
        // Some refusals are free even with a small burst, so that a client learns of each.
        let debtLimit = max(Float(limits.messageBurst), 20)
        self.tokens -= 1
        guard self.tokens < -debtLimit else { return nil }
        return Double((-debtLimit - self.tokens) / Float(limits.messagesPerSecond))
    }

    /// Whether the bucket is as a new one would be.
    func isFull(limits: Limits, at now: Int64) -> Bool {
        self.tokens + Float(now - self.filledAt) * Float(limits.messagesPerSecond) / 1000
            >= Float(limits.messageBurst)
    }
}
