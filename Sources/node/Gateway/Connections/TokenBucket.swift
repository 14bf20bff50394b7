/// Limits the messages and requests of a user.
///
/// Refusals are free up to a number, because a client that waits as it is told is refused now and
/// then. Beyond that number a client is not read for a while, and pays with that time for what it
/// sent and for the next frames. So it is read at its limit, and half of what is read is admitted.
struct TokenBucket {
    /// Below zero while clients that are not read pay for their next frames.
    private var tokens: Float
    /// The recent refusals, less one for each `admissionsPerRefusal` admissions.
    private var refusals: Float = 0
    private var filledAt: Int64

    private static let admissionsPerRefusal: Float = 16
    /// The least number of free refusals, so that a client with a small burst learns of some.
    private static let leastFreeRefusals: Float = 20

    init(limits: UserLimits, at now: Int64) {
        self.tokens = Float(limits.messageBurst)
        self.filledAt = now
    }

    /// Consumes tokens. If there are too few, returns the seconds after which the client should try
    /// again. Then there are enough for a quarter of the burst, so that a client that obeys is
    /// rarely refused.
    ///
    /// - Parameter cost: more than the burst counts as the burst.
    mutating func consume(limits: UserLimits, at now: Int64, cost: Float = 1) -> Double? {
        self.fill(limits, at: now)
        let (rate, burst) = (Float(limits.messagesPerSecond), Float(limits.messageBurst))
        let cost = min(cost, burst)
        guard self.tokens < cost else {
            self.tokens -= cost
            self.refusals = max(0, self.refusals - cost / Self.admissionsPerRefusal)
            return nil
        }
        self.refusals = min(self.refusals + cost, Self.freeRefusals(limits) + 1)
        return Double((max(cost, burst / 4) - self.tokens) / rate)
    }

    /// Consumes tokens even if there are too few, at most a burst below zero.
    mutating func charge(limits: UserLimits, at now: Int64, cost: Float) {
        self.fill(limits, at: now)
        self.tokens = max(-Float(limits.messageBurst), self.tokens - cost)
    }

    private mutating func fill(_ limits: UserLimits, at now: Int64) {
        self.tokens = self.available(limits, at: now)
        self.filledAt = now
        if self.tokens >= Float(limits.messageBurst) { self.refusals = 0 }
    }

    private func available(_ limits: UserLimits, at now: Int64) -> Float {
        min(
            Float(limits.messageBurst),
            self.tokens + Float(now - self.filledAt) * Float(limits.messagesPerSecond) / 1000)
    }

    private static func freeRefusals(_ limits: UserLimits) -> Float {
        max(Float(limits.messageBurst), self.leastFreeRefusals)
    }

    /// Whether the client has used up its free refusals.
    func isOverdrawn(limits: UserLimits) -> Bool { self.refusals > Self.freeRefusals(limits) }

    /// A time without reading, after which frames are admitted that it has paid for.
    struct Pause: Equatable {
        let milliseconds: Int64
        let frames: Float
    }

    /// Pays for a refused frame and for the next ones with a pause.
    ///
    /// - Returns: nil if the client is read on, because its refusals are still free. The pause has
    ///   no frames if it would be longer than `longest`; then nothing is paid.
    mutating func pause(limits: UserLimits, cost: Float, longest: Int64) -> Pause? {
        guard self.isOverdrawn(limits: limits) else { return nil }
        let rate = Float(limits.messagesPerSecond)
        let cost = min(cost, Float(limits.messageBurst))
        // A tenth of a second's, because timers have ticks of that length.
        let frames = max(1, (rate / 10).rounded(.down))
        let milliseconds = Int64(max(1, (cost + frames - self.tokens) / rate * 1000))
        guard milliseconds <= longest else { return Pause(milliseconds: longest, frames: 0) }
        self.tokens -= cost + frames
        return Pause(milliseconds: milliseconds, frames: frames)
    }

    /// Whether the bucket is as a new one would be.
    func isFull(limits: UserLimits, at now: Int64) -> Bool {
        self.available(limits, at: now) >= Float(limits.messageBurst)
    }
}
