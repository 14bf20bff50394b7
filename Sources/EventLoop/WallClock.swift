public import Bytes
import Glibc

/// The time of day. It may jump, so use it for display and never for timeouts.
public enum WallClock {
    /// The current time of CLOCK_REALTIME, in whole milliseconds.
    public static var now: Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }
}
