/// The delay before each attempt to connect.
///
/// The first attempt after a lost connection comes at once, later ones after a random part of a
/// growing time, up to 15 seconds: the clients of a restarted server must not return all at once.
struct Backoff {
    private var attempt = 0

    private static let shortest = 0.25
    private static let longest = 15.0
    private static let healthyAfter = Duration.seconds(10)

    /// The delay after a connection that was online for some time and ended with this error.
    mutating func next(
        after error: ClientError, online: Duration, using random: inout some RandomNumberGenerator
    ) -> Duration {
        if online >= Self.healthyAfter { self.attempt = 0 }
        let attempt = self.attempt
        self.attempt += 1
        if let wait = error.retryAfterSeconds {
            let wait = min(wait, 3600)
            return .seconds(
                wait + Double.random(in: 0...max(wait, Self.ceiling(attempt)), using: &random))
        }
        if error.code == 1012, attempt == 0 {
            return .seconds(Double.random(in: 0...2, using: &random))
        }
        return attempt == 0 ? .zero : Self.jitter(attempt, using: &random)
    }

    /// A random delay for the n-th attempt.
    static func jitter(_ attempt: Int, using random: inout some RandomNumberGenerator) -> Duration {
        .seconds(Double.random(in: Self.shortest...Self.ceiling(attempt), using: &random))
    }

    private static func ceiling(_ attempt: Int) -> Double {
        min(Self.longest, Self.shortest * Double(1 << min(attempt + 1, 10)))
    }
}
