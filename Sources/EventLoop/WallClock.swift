public import Bytes
import Glibc

/// The time of day, which may jump: for what people read, never for timeouts.
public enum WallClock {
    /// The moment by CLOCK_REALTIME, in whole milliseconds.
    public static var now: Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }
}
