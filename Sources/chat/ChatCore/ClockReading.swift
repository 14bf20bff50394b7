public import Bytes

/// A point in time: by a monotonic clock for deadlines, and by the wall clock for people.
///
/// Values never read a clock; their caller passes the time.
public struct ClockReading: Sendable, Equatable {
    /// Milliseconds of a clock that never goes back.
    public var monotonic: Int64
    public var wall: Timestamp

    public init(monotonic: Int64, wall: Timestamp) {
        self.monotonic = monotonic
        self.wall = wall
    }

    /// The monotonic millisecond at the end of this duration.
    public func after(_ duration: Duration) -> Int64 {
        self.monotonic + duration.wholeMilliseconds
    }
}

extension Duration {
    public var wholeMilliseconds: Int64 {
        let (seconds, attoseconds) = self.components
        return seconds * 1000 + attoseconds / 1_000_000_000_000_000
    }
}
