internal import EventLoop

/// What a client of a cluster knows of it, beside its links.
struct ClusterRoutes {
    var map = SlotMap()
    /// By a master's place in the map its link's place among the servers; nil where there is none.
    var servers: [Int?] = []
    var waiting = WaitingRoom()
    /// Commands that are given up, and not yet told.
    var failures = Fifo<(error: RedisError, tag: UInt64)>()
    /// By link, why it has no connection.
    var outages: [Int: RedisOutage] = [:]
    /// Since when a link is no master's, or was last used by one that sends elsewhere.
    var unneededSince: [Int: MonotonicTime] = [:]
    var isClosed = false

    // The one that is asked where the slots are.
    var candidate = 0
    var scoutMovedAt = MonotonicTime(nanoseconds: .min)
    var askAt = MonotonicTime(nanoseconds: .min)
    /// When it was asked, if it has not answered.
    var askedAt: MonotonicTime?
    /// Why nobody could be asked, as long as there is no map.
    var mapOutage: RedisOutage?

    // What was told.
    var epoch = 0
    var isReady = false
    /// Another connection or another master since the last time that everything was ready.
    var isNews = true
    var toldOutage: RedisOutage?

    static let shortestAskPause = Duration.milliseconds(100)
    static let searchPause = Duration.milliseconds(250)
    static let watchPause = Duration.seconds(5)
    /// A server that answers nothing for so long may have been replaced.
    static let suspicion = Duration.milliseconds(500)
    static let scoutPatience = Duration.seconds(1)
    /// So long a server that is no master any more may still answer what it was given.
    static let farewell = Duration.seconds(2)

    /// The slots are asked for soon: something does not fit what is known.
    mutating func doubt(now: MonotonicTime) {
        self.askAt = min(self.askAt, now.advanced(by: Self.shortestAskPause))
    }

    mutating func fail(_ parcels: [Parcel], _ error: RedisError) {
        for parcel in parcels { self.failures.append((error, parcel.tag)) }
    }

    /// What is to be told of the whole, if that is another than last time.
    ///
    /// - Parameters:
    ///   - isEveryoneReady: every master that is needed has a connection.
    ///   - outage: why one of them has none.
    mutating func news(isEveryoneReady: Bool, outage: RedisOutage?) -> RedisSession.Event? {
        if let outage = self.map.isEmpty ? self.mapOutage : self.map.isWhole ? outage : .refused(.clusterDown) {
            self.isReady = false
            guard outage != self.toldOutage else { return nil }
            self.toldOutage = outage
            return .away(outage)
        }
        guard isEveryoneReady, !self.map.isEmpty, self.isNews || !self.isReady else { return nil }
        self.isReady = true
        self.isNews = false
        self.toldOutage = nil
        self.epoch += 1
        return .ready(epoch: self.epoch)
    }
}
