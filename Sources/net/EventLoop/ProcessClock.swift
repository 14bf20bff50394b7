import Glibc

/// The CPU time that the process has used.
public enum ProcessClock {
    /// User and system time of all threads, in nanoseconds. Reading it costs a microsecond.
    public static var nanoseconds: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }
}
