import EventLoop
import Synchronization

/// The number of a node's open client connections, which all loops change.
///
/// A drain waits until it is zero.
final class ConnectionCount: Sendable {
    private let count = Atomic<Int>(0)
    private let isEmpty = TaskCondition()

    var value: Int { self.count.load(ordering: .relaxed) }

    /// Counts a connection.
    ///
    /// - Returns: the number of connections including this one.
    @discardableResult
    func add() -> Int { self.count.add(1, ordering: .relaxed).newValue }

    func subtract() {
        if self.count.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 {
            self.isEmpty.notify()
        }
    }

    /// Waits until no connection is open, but not longer than `limit`.
    func waitUntilEmpty(within limit: Duration) async {
        await self.isEmpty.wait(within: limit) { self.count.load(ordering: .acquiring) == 0 }
    }
}
