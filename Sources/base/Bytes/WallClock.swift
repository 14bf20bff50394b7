internal import Glibc

/// The time of day. It may jump, so use it for display and never for timeouts.
///
/// It stands next to `Timestamp`, because logs and loops both read it. Values get the time as an
/// argument instead.
public enum WallClock {
    /// The current time of the system clock (CLOCK_REALTIME), in whole milliseconds.
    public static var now: Timestamp { Timestamp(milliseconds: self.nanoseconds / 1_000_000) }

    /// The same time in nanoseconds since 1970-01-01T00:00:00Z.
    public static var nanoseconds: Int64 {
        if let clock = SimulatedClock.current { return clock.wallNanoseconds }
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
