import Glibc

/// A moment on a clock that never goes back and that means nothing outside this machine's uptime.
public struct MonotonicTime: Sendable, Hashable, Comparable {
    /// Nanoseconds since a moment that the kernel chose.
    public var nanoseconds: Int64

    public init(nanoseconds: Int64) {
        self.nanoseconds = nanoseconds
    }

    /// As of the kernel's last tick, so up to 10 ms old (CLOCK_MONOTONIC_COARSE), for a few nanoseconds: for timeouts and idle times.
    public static var now: MonotonicTime { MonotonicTime(clock: CLOCK_MONOTONIC_COARSE) }

    /// To the nanosecond (CLOCK_MONOTONIC), for ten times the price: for histograms.
    ///
    /// Never less than a `now` that was read before it: both are the same clock, one of them rounded down.
    public static var exact: MonotonicTime { MonotonicTime(clock: CLOCK_MONOTONIC) }

    private init(clock: clockid_t) {
        var time = timespec()
        clock_gettime(clock, &time)
        self.nanoseconds = Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }

    public static func < (left: MonotonicTime, right: MonotonicTime) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    /// The moment `duration` later.
    public func advanced(by duration: Duration) -> MonotonicTime {
        MonotonicTime(nanoseconds: self.nanoseconds &+ duration.wholeNanoseconds)
    }

    /// How long it is from `snapshots` until here; negative when `snapshots` is the later one.
    public func since(_ earlier: MonotonicTime) -> Duration {
        .nanoseconds(self.nanoseconds &- earlier.nanoseconds)
    }
}

extension Duration {
    /// In nanoseconds, what is less cut off; bounds are 292 years.
    public var wholeNanoseconds: Int64 {
        let parts = self.components
        return parts.seconds &* 1_000_000_000 &+ parts.attoseconds / 1_000_000_000
    }
}
