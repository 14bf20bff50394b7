internal import Bytes
internal import EventLoop

/// How long to wait before each attempt to connect again: twice as long each time, and less by chance, so that the clients of a server
/// that was restarted do not all come at once.
struct ReconnectBackoff {
    private let first: Duration
    private let longest: Duration
    private var attempt = 0
    private var randomState: UInt64

    init(first: Duration, longest: Duration, seed: UInt64) {
        self.first = first
        self.longest = longest
        self.randomState = seed
    }

    mutating func next() -> Duration {
        let whole = min(self.first * (1 << min(self.attempt, 16)), self.longest)
        self.attempt += 1
        // Half of it or more.
        return whole / 2
            + .nanoseconds(Int64(self.nextRandom() % UInt64(whole.wholeNanoseconds / 2 + 1)))
    }

    /// A connection has lasted.
    mutating func reset() {
        self.attempt = 0
    }

    private mutating func nextRandom() -> UInt64 {
        self.randomState &+= 0x9E37_79B9_7F4A_7C15
        return StableHash.mix(self.randomState)
    }
}
