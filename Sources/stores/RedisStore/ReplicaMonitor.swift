import EventLoop

/// Tracks whether a master has replicas, so that writes wait for one.
///
/// A master that is being replaced loses its replicas shortly before it becomes a replica itself,
/// and the writes of that time are lost. So a master that had replicas counts as having some for a
/// grace period.
struct ReplicaMonitor {
    private var count: Int?
    private var lastHadReplicasAt: MonotonicTime?

    /// - Parameter count: as the server reports it; nil if it is not a master.
    mutating func record(_ count: Int?, now: MonotonicTime) {
        self.count = count
        if let count, count > 0 { self.lastHadReplicasAt = now }
    }

    /// How many replicas must have a write: one if there are any or the number is unknown,
    /// otherwise zero.
    func requiredReplicas(now: MonotonicTime, gracePeriod: Duration) -> Int {
        guard self.count == 0 else { return 1 }
        return self.lastHadReplicasAt.map { now.since($0) < gracePeriod } == true ? 1 : 0
    }
}
