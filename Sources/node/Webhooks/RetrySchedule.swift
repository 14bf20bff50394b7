public import Bytes

/// The time, as the delivery of webhooks reads it.
public struct WebhookTime: Sendable {
    /// For the age of events, which other processes have queued.
    public let wall: Timestamp
    /// Milliseconds of a clock that never jumps, for pauses.
    public let monotonic: Int64

    public init(wall: Timestamp, monotonic: Int64) {
        self.wall = wall
        self.monotonic = monotonic
    }
}

/// When a failed event is tried again: after 5 seconds, then after twice as long each time, up to
/// an hour, for 24 hours since it was queued. A receiver that names a time decides it alone, from 1
/// second: its backlog grows if it waits longer than it asked for.
enum RetrySchedule {
    private static let firstPause = 5000.0
    private static let longestPause = 3_600_000.0
    /// In milliseconds.
    static let lifetime: Int64 = 24 * 3_600_000

    /// The pause before the next attempt in milliseconds; nil if the event is given up. The last
    /// attempt is at the end of its lifetime.
    ///
    /// - Parameters:
    ///   - attempts: that have failed, at least 1.
    ///   - age: of the event in milliseconds.
    ///   - retryAfter: the receiver's Retry-After in seconds. It replaces the schedule.
    ///   - random: from 0 to 1. It spreads the attempts of events that failed together.
    static func pause(attempts: Int, age: Int64, retryAfter: Int?, random: Double) -> Int64? {
        guard age < self.lifetime else { return nil }
        if let retryAfter {
            return min(Int64(max(1, min(retryAfter, 86_400))) * 1000, self.lifetime - age)
        }
        var pause = self.firstPause
        for _ in 1..<max(1, min(attempts, 30)) { pause = min(pause * 2, self.longestPause) }
        pause *= 1 + 0.25 * random
        return min(Int64(pause), self.lifetime - age)
    }
}
