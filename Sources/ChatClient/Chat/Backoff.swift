/// How long to wait before each attempt to connect again: twice as long each time, up to half a minute, and less by chance, so that the
/// clients of a server that was restarted do not all come at once.
struct Backoff {
    private var attempt = 0

    private static let first = Duration.milliseconds(500)
    private static let longest = Duration.seconds(30)

    mutating func next(using chance: inout some RandomNumberGenerator) -> Duration {
        let whole = min(Self.first * (1 << min(self.attempt, 10)), Self.longest)
        self.attempt += 1
        return whole * Double.random(in: 0.5...1, using: &chance)
    }

    mutating func reset() {
        self.attempt = 0
    }
}
