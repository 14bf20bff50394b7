internal import EventLoop

/// Follows the master that the sentinels name.
///
/// It is a value: it receives what the sentinels and the master's link report, and returns what
/// their links must do. It queries a sentinel when that connects, all sentinels twice a second
/// while the master is unavailable, and all of them at long intervals otherwise.
struct SentinelMonitor {
    enum State: Equatable {
        /// No sentinel has named a master, and at least one has not replied.
        case searching
        /// All sentinels have replied or failed, and none has named a master.
        case unknown(RedisOutage)
        /// The master's link connects to this server, which may still be unavailable.
        case following(RedisEndpoint)
    }

    enum SentinelDirective: Equatable {
        /// Query this sentinel for the master.
        case query(sentinel: Int)
        /// Connect to this sentinel again, with the URL's password.
        case authenticate(sentinel: Int)
        /// Connect to another master.
        case connect(to: RedisEndpoint)
        /// Report why there is no master.
        case report(RedisOutage)
    }

    private(set) var state = State.searching
    private var search: MasterSearch
    private var nextQueryAt = MonotonicTime(nanoseconds: .min)
    /// Whether the URL has a password. It is meant for the servers, so a sentinel gets it only
    /// after it has replied NOAUTH.
    private let hasPassword: Bool
    /// The sentinels that get the password.
    private var authenticatedSentinels: Set<Int> = []
    private let sentinelCount: Int

    private static let searchInterval = Duration.milliseconds(500)
    private static let watchInterval = Duration.seconds(10)

    init(master name: String, sentinelCount: Int, hasPassword: Bool) {
        self.search = MasterSearch(name: name, sentinelCount: sentinelCount)
        self.sentinelCount = sentinelCount
        self.hasPassword = hasPassword
    }

    var masterName: String { self.search.name }

    mutating func tick(isMasterReady: Bool, now: MonotonicTime) -> [SentinelDirective] {
        guard now >= self.nextQueryAt else { return [] }
        self.nextQueryAt = now.advanced(
            by: isMasterReady ? Self.watchInterval : Self.searchInterval)
        return (0..<self.sentinelCount).map { .query(sentinel: $0) }
    }

    mutating func masterUnavailable(now: MonotonicTime) { self.nextQueryAt = now }

    mutating func sentinelReady(_ sentinel: Int) -> [SentinelDirective] {
        [.query(sentinel: sentinel)] + self.followMaster()
    }

    mutating func received(_ reply: RedisReply, from sentinel: Int, now: MonotonicTime)
        -> [SentinelDirective]
    {
        switch self.search.message(in: reply) {
        case .answer(let endpoint):
            self.search.receivedAnswer(endpoint, from: sentinel, now: now)
        case .switched(let old, let new):
            self.search.receivedSwitch(from: old, to: new, by: sentinel, now: now)
        case nil: break
        }
        return self.followMaster()
    }

    mutating func sentinelUnavailable(_ sentinel: Int, _ outage: RedisOutage) -> [SentinelDirective]
    {
        if outage == .refused(.notAuthenticated), self.hasPassword,
            self.authenticatedSentinels.insert(sentinel).inserted
        {
            return [.authenticate(sentinel: sentinel)] + self.followMaster()
        }
        self.search.sentinelUnavailable(sentinel, outage)
        return self.followMaster()
    }

    private mutating func followMaster() -> [SentinelDirective] {
        if let master = self.search.master {
            guard self.state != .following(master) else { return [] }
            self.state = .following(master)
            return [.connect(to: master)]
        }
        guard let outage = self.search.outage else {
            self.state = .searching
            return []
        }
        self.state = .unknown(outage)
        return [.report(outage)]
    }
}
