import EventLoop

/// Detects connections whose other end is gone, by the time since the last bytes.
///
/// After a suspended machine or a stalled process it always probes first: the silence was its own.
struct Watchdog {
    enum Verdict: Equatable {
        case alive
        /// Send a ping.
        case probe
        case dead
    }

    private var receivedAt: MonotonicTime
    private var checkedAt: MonotonicTime
    private var probedAt: MonotonicTime?

    private static let silence = Duration.seconds(35)
    private static let answerTimeout = Duration.seconds(5)
    private static let jump = Duration.seconds(10)

    init(at now: MonotonicTime) {
        self.receivedAt = now
        self.checkedAt = now
    }

    mutating func received(at now: MonotonicTime) {
        self.receivedAt = now
        self.probedAt = nil
    }

    func silence(at now: MonotonicTime) -> Duration { now.since(self.receivedAt) }

    /// Must be called more often than every ten seconds.
    mutating func check(at now: MonotonicTime) -> Verdict {
        let hasJumped = now.since(self.checkedAt) > Self.jump
        self.checkedAt = now
        if let probedAt = self.probedAt, !hasJumped {
            return now.since(probedAt) >= Self.answerTimeout ? .dead : .alive
        }
        guard hasJumped || now.since(self.receivedAt) >= Self.silence else { return .alive }
        self.probedAt = now
        return .probe
    }
}
