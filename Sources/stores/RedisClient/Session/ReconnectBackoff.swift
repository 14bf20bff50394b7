internal import Bytes
internal import EventLoop

/// The delay before each reconnection attempt. It doubles each time and is then shortened by a
/// random amount, so that the clients of a restarted server do not reconnect at once.
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
        // At least half of the delay.
        return whole / 2
            + .nanoseconds(Int64(self.nextRandom() % UInt64(whole.wholeNanoseconds / 2 + 1)))
    }

    /// To be called after a connection has lasted.
    mutating func reset() {
        self.attempt = 0
    }

    private mutating func nextRandom() -> UInt64 {
        self.randomState &+= 0x9E37_79B9_7F4A_7C15
        return StableHash.mix(self.randomState)
    }
}
