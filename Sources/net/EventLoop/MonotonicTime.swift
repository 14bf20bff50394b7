import Bytes
import Glibc

/// A point in time on a clock that never goes back. It is valid only on this machine until its next
/// restart.
public struct MonotonicTime: Sendable, Hashable, Comparable {
    /// Nanoseconds since an arbitrary time that the kernel chose.
    public var nanoseconds: Int64

    public init(nanoseconds: Int64) {
        self.nanoseconds = nanoseconds
    }

    /// The time of the kernel's last tick (CLOCK_MONOTONIC_COARSE), up to 10 ms old. Reading it
    /// costs a few nanoseconds. For timeouts and idle times.
    public static var now: MonotonicTime { MonotonicTime(clock: CLOCK_MONOTONIC_COARSE) }

    /// The time with nanosecond precision (CLOCK_MONOTONIC). Reading it costs ten times as much as
    /// `now`. For histograms.
    ///
    /// It is never earlier than a `now` that was read before: both read the same clock, and `now`
    /// is rounded down.
    public static var exact: MonotonicTime { MonotonicTime(clock: CLOCK_MONOTONIC) }

    /// The time since the machine started, including the time while it was suspended
    /// (CLOCK_BOOTTIME). For clients, whose machines sleep. It must not be mixed with `now`.
    public static var sinceBoot: MonotonicTime { MonotonicTime(clock: CLOCK_BOOTTIME) }

    private init(clock: clockid_t) {
        if let simulated = SimulatedClock.current {
            self.nanoseconds = simulated.monotonicNanoseconds
            return
        }
        var time = timespec()
        clock_gettime(clock, &time)
        self.nanoseconds = Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }

    public static func < (left: MonotonicTime, right: MonotonicTime) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    /// The time that is `duration` later.
    public func advanced(by duration: Duration) -> MonotonicTime {
        MonotonicTime(nanoseconds: self.nanoseconds &+ duration.wholeNanoseconds)
    }

    /// The duration from `earlier` to this time. Negative if `earlier` is later.
    public func since(_ earlier: MonotonicTime) -> Duration {
        .nanoseconds(self.nanoseconds &- earlier.nanoseconds)
    }
}

extension Duration {
    /// The whole nanoseconds; smaller fractions are cut off. Covers 292 years.
    public var wholeNanoseconds: Int64 {
        let parts = self.components
        return parts.seconds &* 1_000_000_000 &+ parts.attoseconds / 1_000_000_000
    }
}
