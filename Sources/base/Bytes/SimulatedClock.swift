internal import Glibc
internal import Synchronization

/// The clocks of a simulated machine. While a thread runs it, `WallClock` and `MonotonicTime`
/// return these times instead of the kernel's.
///
/// In a process without a simulation this costs each clock read one load of a flag.
public final class SimulatedClock {
    /// Nanoseconds since an arbitrary time (`MonotonicTime`). They never decrease.
    public var monotonicNanoseconds: Int64
    /// Nanoseconds since 1970 (`WallClock`). They may jump.
    public var wallNanoseconds: Int64

    /// Creates stopped clocks. The simulation advances them.
    public init(monotonicNanoseconds: Int64, wallNanoseconds: Int64) {
        self.monotonicNanoseconds = monotonicNanoseconds
        self.wallNanoseconds = wallNanoseconds
    }

    private static let isUsed = Atomic(false)

    // Called for every clock read of a simulation, so not a task-local value.
    private static let currentKey: pthread_key_t = {
        var key = pthread_key_t()
        precondition(pthread_key_create(&key, nil) == 0, "No key for thread values is left.")
        return key
    }()

    /// The clock that the current thread runs; nil outside a simulation.
    public static var current: SimulatedClock? {
        guard self.isUsed.load(ordering: .relaxed) else { return nil }
        return pthread_getspecific(self.currentKey).map {
            Unmanaged<SimulatedClock>.fromOpaque($0).takeUnretainedValue()
        }
    }

    /// Runs `body` with this clock on the current thread.
    public func run<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure)
        -> Result
    {
        Self.isUsed.store(true, ordering: .relaxed)
        let outer = pthread_getspecific(Self.currentKey)
        pthread_setspecific(Self.currentKey, Unmanaged.passUnretained(self).toOpaque())
        defer { pthread_setspecific(Self.currentKey, outer) }
        return try body()
    }
}
