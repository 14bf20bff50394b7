internal import Synchronization

/// The newest metrics snapshot of each loop, for `/metrics` and `status`.
public final class PublishedMetrics: Sendable {
    private let snapshots: Mutex<[MetricsSnapshot]>

    public init(loopCount: Int) {
        self.snapshots = Mutex(Array(repeating: MetricsSnapshot(), count: loopCount))
    }

    /// Replaces the previous snapshot of the loop.
    public func publish(_ snapshot: MetricsSnapshot, from loop: Int) {
        self.snapshots.withLock { $0[loop] = snapshot }
    }

    /// The newest snapshot of one loop.
    public func snapshot(of loop: Int) -> MetricsSnapshot {
        self.snapshots.withLock { $0[loop] }
    }

    /// The sum over all loops.
    public func total() -> MetricsSnapshot {
        let snapshots = self.snapshots.withLock { $0 }
        var total = MetricsSnapshot()
        for snapshot in snapshots { total.add(snapshot) }
        return total
    }
}
