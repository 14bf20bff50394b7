import Glibc

/// What the process has used of the processors.
public enum ProcessClock {
    /// User and system time of all its threads, in nanoseconds; costs a microsecond.
    public static var nanoseconds: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }
}
