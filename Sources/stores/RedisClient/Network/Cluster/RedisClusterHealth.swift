/// The state of a Redis Cluster as it was reported to the client's user.
///
/// It is a value. The cluster is available when every needed master has a connection and every slot
/// has a master. Each report that it is available has a higher epoch.
struct RedisClusterHealth {
    enum State: Equatable {
        /// Nothing has been reported.
        case starting
        case unavailable(RedisOutage)
        case available
        /// Reported as available, but a master or its connection has changed since: state that was
        /// verified before must be verified again.
        case changed
        case closed
    }

    private(set) var state = State.starting
    private var epoch = 0

    var isClosed: Bool { if case .closed = self.state { true } else { false } }
    /// Whether the last report says that the cluster is available.
    var isAvailable: Bool {
        switch self.state {
        case .available, .changed: true
        case .starting, .unavailable, .closed: false
        }
    }

    /// Nothing is reported any more.
    mutating func close() { self.state = .closed }

    /// A master has another connection, or there is another set of masters.
    mutating func mastersChanged() {
        if case .available = self.state { self.state = .changed }
    }

    /// The event that reports the cluster's state, if it differs from the last report.
    ///
    /// - Parameters:
    ///   - mapOutage: why there is no map, if it is empty.
    ///   - areAllMastersReady: every needed master has a connection.
    ///   - outage: why one of them has none.
    mutating func nextEvent(
        map: SlotMap, mapOutage: RedisOutage?, areAllMastersReady: Bool, outage: RedisOutage?
    ) -> RedisSession.Event? {
        if self.isClosed { return nil }
        if let outage = map.isEmpty
            ? mapOutage : map.isComplete ? outage : .refused(.clusterDown)
        {
            guard self.state != .unavailable(outage) else { return nil }
            self.state = .unavailable(outage)
            return .unavailable(outage)
        }
        guard areAllMastersReady, !map.isEmpty, self.state != .available else { return nil }
        self.state = .available
        self.epoch += 1
        return .ready(epoch: self.epoch)
    }
}
