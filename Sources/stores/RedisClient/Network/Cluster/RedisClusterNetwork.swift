internal import Bytes
internal import EventLoop

/// The connections of a client of a Redis Cluster: one to each master, and the topology probe,
/// which queries the slot map.
///
/// `TopologyProbe` decides about queries, `SlotMap` knows the masters, and `RedisClusterHealth`
/// decides about reports. This type connects them with the links.
struct RedisClusterNetwork {
    let settings: RedisSettings
    let mode: RedisSession.SessionMode
    var links: RedisLinkFactory
    var servers: [RedisClusterServer] = []
    var probeLink: RedisLink
    var probe: TopologyProbe
    var slotMap = SlotMap()
    /// Maps a master's index in `slotMap` to the index of its server; nil without a link.
    var serverIndexes: [Int?] = []
    var retryQueue = RetryQueue()
    /// Commands that have failed and whose failure has not been reported.
    var unreportedFailures = Fifo<(error: RedisError, tag: CommandTag)>()
    var health = RedisClusterHealth()
    var subscriptions = ChannelSubscriptions()
    /// The index of the server whose reply was delivered last.
    private var replyingServer = 0
    /// The link whose events are consumed next: 0 is the probe, and the servers follow.
    private var pollIndex = 0
    /// A link that has already been polled may have another event.
    var needsAnotherPass = false

    /// A server whose oldest reply is overdue for this long may have been replaced.
    private static let suspectAfter = Duration.milliseconds(500)
    private static let probeMoved = RedisOutage.broken(
        reason: "the topology probe moved to another node")

    init(_ links: RedisLinkFactory) {
        var links = links
        self.settings = links.settings
        self.mode = links.mode
        let seeds = links.settings.url.endpoints
        self.probe = TopologyProbe(seeds: seeds)
        self.probeLink = links.makeProbeLink(to: seeds[0])
        self.links = links
    }

    /// The number of commands without a reply, queued or in flight.
    var commandCount: Int {
        self.servers.reduce(self.retryQueue.count + self.unreportedFailures.count) {
            $0 + $1.link.session.commandCount
        }
    }

    /// The connection whose reply was delivered last.
    var replyingConnection: RedisConnection {
        guard self.replyingServer < self.servers.count else {
            return RedisConnection(linkID: 0, epoch: 0)
        }
        return self.servers[self.replyingServer].connection
    }

    /// Called after all links have been closed.
    mutating func close() { self.health.close() }

    // MARK: The loop

    mutating func tick(now: MonotonicTime, into attempts: inout [RedisLink.ConnectAttempt]) {
        let directive = self.probe.tick(
            isReady: self.probeLink.session.isReady, isHealthy: self.isHealthy(now: now),
            map: self.slotMap, now: now)
        if let directive { self.execute(directive, now: now) }
        self.reconcileLinks(now: now)
        self.expireQueued(now: now)
        self.retryQueued(now: now)
        self.probeLink.tick(now: now, into: &attempts)
        for index in self.servers.indices {
            self.servers[index].link.tick(now: now, into: &attempts)
        }
    }

    private func isHealthy(now: MonotonicTime) -> Bool {
        self.health.isAvailable && self.slotMap.isComplete && self.retryQueue.isEmpty
            && !self.servers.contains {
                $0.link.session.pendingReplyAge(now: now) > Self.suspectAfter
            }
    }

    // MARK: Events

    /// The next event; nil when there are no more.
    mutating func next(now: MonotonicTime) -> RedisSession.Event? {
        while true {
            if self.pollIndex == 0 {
                if let event = self.probeLink.next(now: now) {
                    self.needsAnotherPass = true
                    self.handleProbe(event, now: now)
                    continue
                }
            } else if self.pollIndex <= self.servers.count {
                let server = self.pollIndex - 1
                if let event = self.servers[server].link.next(now: now) {
                    if let forwarded = self.handle(event, from: server, now: now) {
                        return forwarded
                    }
                    continue
                }
            } else {
                self.pollIndex = 0
                if let event = self.nextOwnEvent() { return event }
                guard self.needsAnotherPass else { return nil }
                self.needsAnotherPass = false
                continue
            }
            self.pollIndex += 1
        }
    }

    /// The next event after all links have delivered theirs.
    private mutating func nextOwnEvent() -> RedisSession.Event? {
        if self.health.isClosed { return nil }
        if let event = self.stateEvent() { return event }
        return self.unreportedFailures.popFirst().map { .failed($0.error, tag: $0.tag) }
    }

    private mutating func stateEvent() -> RedisSession.Event? {
        var areAllMastersReady = true
        var outage: RedisOutage?
        for (master, server) in self.serverIndexes.enumerated() where self.isNeeded(master) {
            guard let server, self.servers[server].link.session.isReady else {
                areAllMastersReady = false
                outage = outage ?? server.flatMap { self.servers[$0].outage }
                continue
            }
        }
        return self.health.nextEvent(
            map: self.slotMap, mapOutage: self.probe.outage,
            areAllMastersReady: areAllMastersReady, outage: outage)
    }

    /// Nil when the event concerns only the network itself.
    @inline(__always)
    private mutating func handle(
        _ event: RedisSession.Event, from index: Int, now: MonotonicTime
    ) -> RedisSession.Event? {
        if case .reply = event {
            self.replyingServer = index
            return event
        }
        return self.handleOther(event, from: index, now: now)
    }

    private mutating func handleOther(
        _ event: RedisSession.Event, from index: Int, now: MonotonicTime
    ) -> RedisSession.Event? {
        let linkID = self.servers[index].link.id
        switch event {
        case .ready:
            self.servers[index].outage = nil
            self.health.mastersChanged()
            self.needsAnotherPass = true
            self.subscribeAtSlotOwners()
            return nil
        case .unavailable(let outage):
            self.servers[index].outage = outage
            self.subscriptions.markUnsubscribed(link: linkID)
            self.probe.scheduleQuery(now: now)
            self.needsAnotherPass = true
            // Reported before the failures of the commands in flight.
            return self.stateEvent()
        case .notExecuted(let commands, let error):
            self.notExecuted(commands, error, by: index, now: now)
            return nil
        case .failed(let error, _):
            if error.contradictsSlotMap { self.probe.scheduleQuery(now: now) }
            return event
        case .push(let reply):
            if reply[0]?.isText("sunsubscribe") == true, let name = reply[1] {
                // When the client unsubscribes itself, the channel no longer has this link. So the
                // slot has moved here, and the map must be queried again.
                self.subscriptions.markUnsubscribed(name.bytes, on: linkID)
                self.probe.scheduleQuery(now: now)
                self.needsAnotherPass = true
                self.subscribeAtSlotOwners()
            }
            return event
        case .reply:
            return event
        }
    }

    // MARK: The topology probe

    private mutating func handleProbe(_ event: RedisSession.Event, now: MonotonicTime) {
        switch event {
        case .ready: self.execute(self.probe.connected(now: now), now: now)
        case .push(let reply):
            guard let endpoint = self.probeLink.endpoint,
                let map = SlotMap(reply, from: endpoint),
                self.probe.received(map, known: self.slotMap)
            else { return }
            self.apply(map, now: now)
        case .unavailable(let outage):
            // The probe closed this connection itself when it moved.
            guard outage != Self.probeMoved else { return }
            self.execute(
                self.probe.disconnected(outage, map: self.slotMap, now: now), now: now)
        case .reply, .failed, .notExecuted: break
        }
    }

    private mutating func execute(_ directive: TopologyProbe.ProbeDirective, now: MonotonicTime) {
        switch directive {
        case .query: self.probeLink.session.send("CLUSTER", ["SLOTS"])
        case .move(let endpoint, let immediately):
            self.needsAnotherPass = true
            self.probeLink.changeEndpoint(
                to: endpoint, because: Self.probeMoved, now: now, immediately: immediately)
        }
    }

    private mutating func apply(_ map: SlotMap, now: MonotonicTime) {
        if Set(map.masters) != Set(self.slotMap.masters) { self.health.mastersChanged() }
        self.slotMap = map
        self.reconcileLinks(now: now)
        self.retryQueued(now: now)
    }
}

extension RedisError {
    /// Whether the slots may have other masters than the slot map says.
    fileprivate var contradictsSlotMap: Bool {
        switch self {
        case .connectionLost, .clusterDown, .readOnly, .masterDown, .loading, .moved, .ask,
            .tryAgain:
            true
        default: false
        }
    }
}
