internal import EventLoop

/// A cluster client's knowledge of the cluster, apart from its links.
struct ClusterRoutes {
    var map = SlotMap()
    /// Maps a master's index in `map` to the index of its link among the servers; nil without a
    /// link.
    var serverIndexes: [Int?] = []
    var retryQueue = RetryQueue()
    /// Commands that have failed and whose failure has not been reported.
    var unreportedFailures = Fifo<(error: RedisError, tag: CommandTag)>()
    /// By link id, the reason why the link has no connection.
    var linkOutages: [Int: RedisOutage] = [:]
    /// By link id, when the link stopped belonging to a master or last received a redirected
    /// command.
    var unusedSince: [Int: MonotonicTime] = [:]
    var isClosed = false

    // The node that the topology probe queries for the slots.
    var probeEndpointIndex = 0
    var probeMovedAt = MonotonicTime(nanoseconds: .min)
    var nextQueryAt = MonotonicTime(nanoseconds: .min)
    /// When the unanswered query was sent; nil when there is none.
    var queriedAt: MonotonicTime?
    /// Why no node could be queried, while there is no map.
    var mapOutage: RedisOutage?

    // The state that was reported last.
    var epoch = 0
    var isReady = false
    /// A connection or a master has changed since `ready` was last reported.
    var mustReportReady = true
    var reportedOutage: RedisOutage?

    static let minimumQueryInterval = Duration.milliseconds(100)
    static let recoveryQueryInterval = Duration.milliseconds(250)
    static let routineQueryInterval = Duration.seconds(5)
    /// A server whose oldest reply is overdue for this long may have been replaced.
    static let suspectAfter = Duration.milliseconds(500)
    static let probeTimeout = Duration.seconds(1)
    /// How long a former master may still answer the commands that it received.
    static let formerMasterGrace = Duration.seconds(2)

    /// Queries the slots soon, because a reply contradicts the map.
    mutating func scheduleQuery(now: MonotonicTime) {
        self.nextQueryAt = min(self.nextQueryAt, now.advanced(by: Self.minimumQueryInterval))
    }

    mutating func fail(_ commands: [QueuedCommand], _ error: RedisError) {
        for command in commands { self.unreportedFailures.append((error, command.tag)) }
    }

    /// The event that reports the cluster's state, if the state has changed since the last report.
    ///
    /// - Parameters:
    ///   - areAllMastersReady: every needed master has a connection.
    ///   - outage: why one of them has none.
    mutating func nextStateEvent(areAllMastersReady: Bool, outage: RedisOutage?)
        -> RedisSession.Event?
    {
        if let outage = self.map.isEmpty
            ? self.mapOutage : self.map.isComplete ? outage : .refused(.clusterDown)
        {
            self.isReady = false
            guard outage != self.reportedOutage else { return nil }
            self.reportedOutage = outage
            return .unavailable(outage)
        }
        guard areAllMastersReady, !self.map.isEmpty, self.mustReportReady || !self.isReady else {
            return nil
        }
        self.isReady = true
        self.mustReportReady = false
        self.reportedOutage = nil
        self.epoch += 1
        return .ready(epoch: self.epoch)
    }
}
