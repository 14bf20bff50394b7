internal import Glibc

/// The time of day. It may jump, so use it for display and never for timeouts.
///
/// It stands next to `Timestamp`, because logs and loops both read it. Values get the time as an
/// argument instead.
public enum WallClock {
    /// The current time of the system clock (CLOCK_REALTIME), in whole milliseconds.
    public static var now: Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }
}
