import EventLoop

/// Whether a master has replicas, as far as its writes may rely on that.
///
/// A master that is being replaced loses its replicas some moments before it says that it is a replica itself: what it takes in these moments is
/// lost. So one that had replicas is not believed at once to have none.
struct ReplicaMonitor {
    private var count: Int?
    private var lastHadReplicasAt: MonotonicTime?

    /// - Parameter count: as the server says; nil where it is no master.
    mutating func record(_ count: Int?, now: MonotonicTime) {
        self.count = count
        if let count, count > 0 { self.lastHadReplicasAt = now }
    }

    /// How many replicas must have a write before it counts: one, where there are any or nobody knows.
    func requiredReplicas(now: MonotonicTime, gracePeriod patience: Duration) -> Int {
        guard self.count == 0 else { return 1 }
        return self.lastHadReplicasAt.map { now.since($0) < patience } == true ? 1 : 0
    }
}
