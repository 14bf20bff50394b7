import Bytes
public import ChatCore
import Synchronization

/// A clock that advances only when the test says so.
///
/// `reading` may be the `GatewaySettings.readClocks` of a node.
public final class StoppedClock: Sendable {
    private let now: Mutex<ClockReading>

    /// - Parameter monotonic: in milliseconds. The wall clock stops at the present time, so that
    ///   tokens are valid.
    public init(monotonic: Int64) {
        self.now = Mutex(ClockReading(monotonic: monotonic, wall: WallClock.now))
    }

    public var reading: ClockReading { self.now.withLock { $0 } }

    public func advance(milliseconds: Int64) {
        self.now.withLock {
            $0.monotonic += milliseconds
            $0.wall.milliseconds += milliseconds
        }
    }
}
