public import Bytes

/// When something happens: by a clock that never jumps, for deadlines, and by the wall's, for what people read.
///
/// Values never read a clock; whoever drives them says what time it is.
public struct ClockReading: Sendable, Equatable {
    /// Milliseconds of a clock that only goes forward.
    public var monotonic: Int64
    public var wall: Timestamp

    public init(monotonic: Int64, wall: Timestamp) {
        self.monotonic = monotonic
        self.wall = wall
    }

    /// The monotonic millisecond that lies this far ahead.
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
