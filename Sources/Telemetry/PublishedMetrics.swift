internal import Synchronization

/// Where every loop leaves its newest snapshot, for whoever asks: `/metrics`, `status`.
public final class PublishedMetrics: Sendable {
    private let snapshots: Mutex<[MetricsSnapshot]>

    public init(loopCount: Int) {
        self.snapshots = Mutex(Array(repeating: MetricsSnapshot(), count: loopCount))
    }

    /// Replaces what the loop has published before.
    public func publish(_ snapshot: MetricsSnapshot, from loop: Int) {
        self.snapshots.withLock { $0[loop] = snapshot }
    }

    /// What one loop published last.
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
