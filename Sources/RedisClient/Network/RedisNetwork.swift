internal import Bytes
internal import EventLoop

/// All connections of one guest of the loop: to the servers that it speaks with, and to those that know where these are.
///
/// A value in the guest's state. Nothing here calls anybody: what happened comes out of `next(now:)`, in the words of a session.
struct RedisNetwork {
    /// Somebody is to look up a place and call `connect`.
    struct ConnectAttempt {
        let linkID: Int
        let number: Int
        let endpoint: RedisEndpoint
    }

    let settings: RedisSettings
    let scripts: [RedisScript]
    let mode: RedisSession.SessionMode
    let loop: EventLoop
    /// To tell links apart, and their waits.
    private var linkCount = 0
    private let seed: UInt64
    /// The one server, the master that sentinels name, or nodes of a cluster.
    var servers: [RedisLink] = []
    /// The sentinels, or the one node of a cluster that is asked for the slots.
    var discoveryLinks: [RedisLink] = []
    var masterSearch: MasterSearch?
    /// When the sentinels are asked again.
    var nextSentinelQueryAt = MonotonicTime(nanoseconds: .min)
    var routes = ClusterRoutes()
    var subscriptions = ChannelSubscriptions()
    /// One server and nobody to ask: the way of every command and reply is short.
    private let isSingle: Bool
    let isCluster: Bool
    /// The place of the server whose reply was told last.
    private var replyingServer = 0
    /// Whose events are taken next, informants first.
    private var pollIndex = 0
    /// Something happened that may have given somebody an event who has had his turn.
    var needsAnotherPass = false

    init(
        _ settings: RedisSettings, scripts: [RedisScript] = [],
        for purpose: RedisSession.SessionMode, seed: UInt64, on loop: EventLoop
    ) {
        self.settings = settings
        self.scripts = scripts
        self.mode = purpose
        self.seed = seed
        self.loop = loop
        let url = settings.url
        self.isSingle = url.kind == .standalone
        self.isCluster = url.kind == .cluster
        switch url.kind {
        case .standalone:
            self.servers = [self.makeLink(to: url.endpoints[0], as: .standalone)]
        case .sentinel(let name):
            self.servers = [self.makeLink(to: nil, as: .master)]
            self.discoveryLinks = url.endpoints.map {
                self.makeLink(to: $0, as: .sentinel(authenticates: false))
            }
            self.masterSearch = MasterSearch(name: name, sentinelCount: url.endpoints.count)
        case .cluster:
            self.discoveryLinks = [self.makeTopologyProbe()]
        }
    }

    private mutating func makeLink(
        to place: RedisEndpoint?, as counterpart: RedisSession.ServerRole
    ) -> RedisLink {
        if counterpart.isSentinel {
            return self.makeLink(
                to: place, as: counterpart, self.settings, for: .subscription,
                readByteCount: 4 << 10)
        }
        return self.makeLink(
            to: place, as: counterpart, self.settings, for: self.mode, readByteCount: 64 << 10)
    }

    /// Who asks for the slots. Others can be asked too, so it has little patience with each.
    private mutating func makeTopologyProbe() -> RedisLink {
        var settings = self.settings
        settings.connectTimeout = min(settings.connectTimeout, ClusterRoutes.probeTimeout)
        return self.makeLink(
            to: settings.url.endpoints[0], as: .clusterNode, settings, for: .subscription,
            readByteCount: 16 << 10)
    }

    mutating func makeClusterLink(to place: RedisEndpoint) -> RedisLink {
        self.makeLink(to: place, as: .clusterNode)
    }

    private mutating func makeLink(
        to place: RedisEndpoint?, as counterpart: RedisSession.ServerRole,
        _ settings: RedisSettings, for purpose: RedisSession.SessionMode,
        readByteCount: Int
    ) -> RedisLink {
        self.linkCount += 1
        let session = RedisSession(
            settings, scripts: purpose == .commands ? self.scripts : [], for: purpose,
            with: counterpart,
            seed: StableHash.mix(self.seed &+ UInt64(self.linkCount)))
        return RedisLink(
            settings, session: session, to: place, id: self.linkCount, readByteCount: readByteCount,
            on: self.loop)
    }

    /// Where the servers are that get commands, as far as that is known.
    var endpoints: [RedisEndpoint] { self.servers.compactMap(\.endpoint) }

    /// How many commands are unanswered, waiting or under way.
    var commandCount: Int {
        self.servers.reduce(self.routes.retryQueue.count + self.routes.unreportedFailures.count) {
            $0 + $1.session.commandCount
        }
    }

    // MARK: The loop

    mutating func tick(now: MonotonicTime) -> [ConnectAttempt] {
        if self.masterSearch != nil { self.querySentinelsIfDue(now: now) }
        if self.isCluster { self.tickCluster(now: now) }
        var attempts: [ConnectAttempt] = []
        for place in self.discoveryLinks.indices {
            self.discoveryLinks[place].tick(now: now, &attempts)
        }
        for place in self.servers.indices { self.servers[place].tick(now: now, &attempts) }
        return attempts
    }

    mutating func connect(
        _ attempt: ConnectAttempt, to addresses: Result<[SocketAddress], SocketError>,
        for guest: any EventLoopHandler, now: MonotonicTime
    ) {
        for place in self.discoveryLinks.indices
        where self.discoveryLinks[place].id == attempt.linkID {
            self.discoveryLinks[place].connect(attempt.number, to: addresses, for: guest, now: now)
        }
        for place in self.servers.indices where self.servers[place].id == attempt.linkID {
            self.servers[place].connect(attempt.number, to: addresses, for: guest, now: now)
        }
    }

    /// The socket is ready. All events are to be taken out afterwards, and when this answers true it is to be called again.
    mutating func socketReady(
        _ token: SocketToken, readable: Bool, writable: Bool, for guest: any EventLoopHandler,
        now: MonotonicTime
    ) -> Bool {
        for place in self.servers.indices where self.servers[place].token == token {
            return self.servers[place].socketReady(
                token, readable: readable, writable: writable, for: guest, now: now)
        }
        for place in self.discoveryLinks.indices where self.discoveryLinks[place].token == token {
            return self.discoveryLinks[place].socketReady(
                token, readable: readable, writable: writable, for: guest, now: now)
        }
        return false
    }

    mutating func flush(now: MonotonicTime) {
        for place in self.servers.indices { self.servers[place].flush(now: now) }
        for place in self.discoveryLinks.indices { self.discoveryLinks[place].flush(now: now) }
    }

    mutating func close() {
        for place in self.servers.indices { self.servers[place].close() }
        for place in self.discoveryLinks.indices { self.discoveryLinks[place].close() }
        self.routes.isClosed = true
    }

    /// Drops the connections to the servers and makes others.
    mutating func reconnect(now: MonotonicTime) {
        for place in self.servers.indices {
            self.servers[place].session.disconnect(.broken(reason: "it was given up"), now: now)
        }
    }

    // MARK: Commands and channels

    @inline(__always)
    mutating func command(
        tag: UInt64, slot: RedisSlot, now: MonotonicTime,
        _ write: (inout RedisCommandWriter) -> Void
    ) throws(RedisError) {
        if self.isCluster { return try self.clusterCommand(tag: tag, slot: slot, now: now, write) }
        try self.servers[0].session.command(tag: tag, now: now, write)
    }

    /// Writes a command whose reply nobody wants. In a cluster the reply may say that the slot is elsewhere.
    mutating func commandWithoutReply(_ write: (inout RedisCommandWriter) -> Void) -> Bool {
        !self.isCluster && self.servers[0].session.commandWithoutReply(write)
    }

    /// The connection that brought the reply that was told last.
    var replyingConnection: RedisConnection {
        guard self.replyingServer < self.servers.count else {
            return RedisConnection(linkID: 0, epoch: 0)
        }
        return RedisConnection(
            linkID: self.servers[self.replyingServer].id,
            epoch: self.servers[self.replyingServer].session.epoch)
    }

    /// Writes a command to a connection, if that is still there.
    mutating func command(
        tag: UInt64, slot: RedisSlot, over connection: RedisConnection, now: MonotonicTime,
        _ write: (inout RedisCommandWriter) -> Void
    ) throws(RedisError) {
        let place = self.servers.firstIndex {
            $0.id == connection.linkID && $0.session.epoch == connection.epoch && $0.session.isReady
        }
        guard let place else { throw .connectionLost(mayBeDone: false) }
        try self.servers[place].session.command(tag: tag, slot: slot, now: now, write)
    }

    mutating func subscribe(to channel: ByteString, now: MonotonicTime) {
        guard self.subscriptions.add(channel) else { return }
        if self.isCluster { return self.reconcileLinks(now: now) }
        self.servers[0].session.send("SUBSCRIBE", [channel])
    }

    mutating func unsubscribe(from channel: ByteString) {
        guard let channel = self.subscriptions.remove(channel) else { return }
        guard self.isCluster else {
            return self.servers[0].session.send("UNSUBSCRIBE", [channel.name])
        }
        for place in self.servers.indices where self.servers[place].id == channel.linkID {
            self.servers[place].session.send("SUNSUBSCRIBE", [channel.name])
        }
    }

    // MARK: Events

    /// What there is to be told next; nil when that is all.
    @inline(__always)
    mutating func next(now: MonotonicTime) -> RedisSession.Event? {
        if !self.isSingle { return self.nextFromAllLinks(now: now) }
        let event = self.servers[0].next(now: now)
        if case .ready? = event { self.resubscribe() }
        return event
    }

    private mutating func nextFromAllLinks(now: MonotonicTime) -> RedisSession.Event? {
        while true {
            let place = self.pollIndex - self.discoveryLinks.count
            if place < 0 {
                if let event = self.discoveryLinks[self.pollIndex].next(now: now) {
                    self.needsAnotherPass = true
                    self.handleDiscoveryEvent(event, from: self.pollIndex, now: now)
                    continue
                }
            } else if place < self.servers.count {
                if let event = self.servers[place].next(now: now) {
                    if let told = self.handleServerEvent(event, from: place, now: now) {
                        return told
                    }
                    continue
                }
            } else {
                self.pollIndex = 0
                if self.isCluster, let event = self.nextClusterEvent() { return event }
                guard self.needsAnotherPass else { return nil }
                self.needsAnotherPass = false
                continue
            }
            self.pollIndex += 1
        }
    }

    private mutating func handleDiscoveryEvent(
        _ event: RedisSession.Event, from informant: Int, now: MonotonicTime
    ) {
        if self.isCluster { return self.handleTopologyProbeEvent(event, now: now) }
        self.handleSentinelEvent(event, from: informant, now: now)
    }

    /// Nil for what is nobody else's business.
    @inline(__always)
    private mutating func handleServerEvent(
        _ event: RedisSession.Event, from place: Int, now: MonotonicTime
    ) -> RedisSession.Event? {
        if case .reply = event {
            self.replyingServer = place
            return event
        }
        if self.isCluster { return self.handleClusterEvent(event, from: place, now: now) }
        switch event {
        case .ready: self.resubscribe()
        case .unavailable: self.nextSentinelQueryAt = now
        case .reply, .failed, .push, .notExecuted: break
        }
        return event
    }

    private mutating func resubscribe() {
        guard self.mode == .subscription, !self.subscriptions.channels.isEmpty else { return }
        self.servers[0].session.send("SUBSCRIBE", self.subscriptions.channels.map(\.name))
    }
}

extension RedisLink {
    fileprivate mutating func tick(
        now: MonotonicTime, _ attempts: inout [RedisNetwork.ConnectAttempt]
    ) {
        guard let number = self.tick(now: now), let place = self.endpoint else { return }
        attempts.append(
            RedisNetwork.ConnectAttempt(linkID: self.id, number: number, endpoint: place))
    }
}

extension RedisSession {
    mutating func send(_ word: StaticString, _ words: [ByteString] = []) {
        self.send {
            $0.append(word)
            for word in words { $0.append(text: word) }
        }
    }
}
