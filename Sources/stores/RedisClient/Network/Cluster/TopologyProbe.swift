internal import EventLoop

/// Decides which cluster node to query for the slot map, and when.
///
/// A value that receives the events of the probe's link and returns directives. It moves the link
/// to another node when one does not answer, and while the cluster is unhealthy, because a node may
/// be cut off from the others without noticing it.
struct TopologyProbe {
    enum State: Equatable {
        case idle
        case querying(since: MonotonicTime)
    }

    enum ProbeDirective: Equatable {
        /// Send CLUSTER SLOTS.
        case query
        /// Connect to this node instead; at once, or after the retry delay.
        case move(to: RedisEndpoint, immediately: Bool)
    }

    private(set) var state = State.idle
    /// Why no node could be queried, while there is no slot map.
    private(set) var outage: RedisOutage?
    /// The nodes in the URL.
    private let seeds: [RedisEndpoint]
    private var endpointIndex = 0
    private var movedAt = MonotonicTime(nanoseconds: .min)
    private var nextQueryAt = MonotonicTime(nanoseconds: .min)

    /// How long a node may take to answer.
    static let timeout = Duration.seconds(1)
    private static let minimumQueryInterval = Duration.milliseconds(100)
    private static let recoveryQueryInterval = Duration.milliseconds(250)
    private static let routineQueryInterval = Duration.seconds(5)

    init(seeds: [RedisEndpoint]) {
        self.seeds = seeds
    }

    /// - Parameters:
    ///   - isReady: whether the link has a connection.
    ///   - isHealthy: whether the cluster works. Otherwise the map is queried more often.
    mutating func tick(isReady: Bool, isHealthy: Bool, map: SlotMap, now: MonotonicTime)
        -> ProbeDirective?
    {
        if !isHealthy {
            self.nextQueryAt = min(
                self.nextQueryAt, now.advanced(by: Self.recoveryQueryInterval))
        }
        guard isReady else { return nil }
        switch self.state {
        case .querying(let start):
            return now.since(start) > Self.timeout ? self.move(map: map, now: now) : nil
        case .idle where now < self.nextQueryAt:
            return nil
        case .idle where !isHealthy && now.since(self.movedAt) > Self.timeout:
            return self.move(map: map, now: now)
        case .idle:
            return self.query(now: now)
        }
    }

    /// Queries the slots soon, because a reply contradicts the map.
    mutating func scheduleQuery(now: MonotonicTime) {
        self.nextQueryAt = min(self.nextQueryAt, now.advanced(by: Self.minimumQueryInterval))
    }

    /// The link has a connection.
    mutating func connected(now: MonotonicTime) -> ProbeDirective {
        self.movedAt = now
        return self.query(now: now)
    }

    /// The link has lost its connection, or found none.
    mutating func disconnected(_ outage: RedisOutage, map: SlotMap, now: MonotonicTime)
        -> ProbeDirective
    {
        let directive = self.move(map: map, now: now)
        if self.endpointIndex == 0, map.isEmpty {
            self.outage = .noRedisClusterNode(reason: outage.description)
        }
        return directive
    }

    /// The node has answered with its map.
    ///
    /// - Returns: whether the map replaces the known one. An empty map does not, because a node
    ///   that has just been reset knows no slots.
    mutating func received(_ map: SlotMap, known: SlotMap) -> Bool {
        guard case .querying = self.state else { return false }
        self.state = .idle
        guard !map.isEmpty else {
            if known.isEmpty { self.outage = .refused(.clusterDown) }
            return false
        }
        self.outage = nil
        return true
    }

    private mutating func query(now: MonotonicTime) -> ProbeDirective {
        self.state = .querying(since: now)
        self.nextQueryAt = now.advanced(by: Self.routineQueryInterval)
        return .query
    }

    /// Moves to the next node: those of the URL, then masters, then replicas. After the last one it
    /// starts again, with the retry delay.
    private mutating func move(map: SlotMap, now: MonotonicTime) -> ProbeDirective {
        var endpoints = self.seeds
        for endpoint in map.masters + map.replicas where !endpoints.contains(endpoint) {
            endpoints.append(endpoint)
        }
        self.endpointIndex = (self.endpointIndex + 1) % endpoints.count
        self.movedAt = now
        self.state = .idle
        return .move(
            to: endpoints[self.endpointIndex], immediately: self.endpointIndex != 0)
    }
}
