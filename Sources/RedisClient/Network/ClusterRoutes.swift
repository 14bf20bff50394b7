internal import EventLoop

/// What a client of a cluster knows of it, beside its links.
struct ClusterRoutes {
    var map = SlotMap()
    /// By a master's place in the map its link's place among the servers; nil where there is none.
    var serverIndexes: [Int?] = []
    var retryQueue = RetryQueue()
    /// Commands that are given up, and not yet told.
    var unreportedFailures = Fifo<(error: RedisError, tag: UInt64)>()
    /// By link, why it has no connection.
    var linkOutages: [Int: RedisOutage] = [:]
    /// Since when a link is no master's, or was last used by one that sends elsewhere.
    var unusedSince: [Int: MonotonicTime] = [:]
    var isClosed = false

    // The one that is asked where the slots are.
    var probeEndpointIndex = 0
    var probeMovedAt = MonotonicTime(nanoseconds: .min)
    var nextQueryAt = MonotonicTime(nanoseconds: .min)
    /// When it was asked, if it has not answered.
    var queriedAt: MonotonicTime?
    /// Why nobody could be asked, as long as there is no map.
    var mapOutage: RedisOutage?

    // What was told.
    var epoch = 0
    var isReady = false
    /// Another connection or another master since the last time that everything was ready.
    var mustReportReady = true
    var reportedOutage: RedisOutage?

    static let minimumQueryInterval = Duration.milliseconds(100)
    static let recoveryQueryInterval = Duration.milliseconds(250)
    static let routineQueryInterval = Duration.seconds(5)
    /// A server that answers nothing for so long may have been replaced.
    static let suspectAfter = Duration.milliseconds(500)
    static let probeTimeout = Duration.seconds(1)
    /// So long a server that is no master any more may still answer what it was given.
    static let formerMasterGrace = Duration.seconds(2)

    /// The slots are asked for soon: something does not fit what is known.
    mutating func scheduleQuery(now: MonotonicTime) {
        self.nextQueryAt = min(self.nextQueryAt, now.advanced(by: Self.minimumQueryInterval))
    }

    mutating func fail(_ parcels: [QueuedCommand], _ error: RedisError) {
        for parcel in parcels { self.unreportedFailures.append((error, parcel.tag)) }
    }

    /// What is to be told of the whole, if that is another than last time.
    ///
    /// - Parameters:
    ///   - isEveryoneReady: every master that is needed has a connection.
    ///   - outage: why one of them has none.
    mutating func nextStateEvent(areAllMastersReady isEveryoneReady: Bool, outage: RedisOutage?)
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
        guard isEveryoneReady, !self.map.isEmpty, self.mustReportReady || !self.isReady else {
            return nil
        }
        self.isReady = true
        self.mustReportReady = false
        self.reportedOutage = nil
        self.epoch += 1
        return .ready(epoch: self.epoch)
    }
}
