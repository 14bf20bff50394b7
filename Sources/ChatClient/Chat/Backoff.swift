/// The delay before each reconnect attempt.
///
/// It doubles with each attempt, up to 30 seconds. A random reduction of up to one half keeps the
/// clients of a restarted server from reconnecting all at once.
struct Backoff {
    private var attempt = 0

    private static let first = Duration.milliseconds(500)
    private static let longest = Duration.seconds(30)

    mutating func next(using random: inout some RandomNumberGenerator) -> Duration {
        let whole = min(Self.first * (1 << min(self.attempt, 10)), Self.longest)
        self.attempt += 1
        return whole * Double.random(in: 0.5...1, using: &random)
    }

    mutating func reset() {
        self.attempt = 0
    }
}
