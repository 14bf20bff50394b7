internal import Bytes
internal import EventLoop

/// All connections of one `RedisHandler`: to the servers that execute commands, and to the nodes
/// that know where those servers are.
///
/// A value in the handler's state. It calls no code outside; events come out of `next(now:)`, as
/// those of a session do.
struct RedisNetwork {
    /// A request to resolve an endpoint and pass the addresses to `connect`.
    struct ConnectAttempt {
        let linkID: Int
        let number: Int
        let endpoint: RedisEndpoint
    }

    let settings: RedisSettings
    let scripts: [RedisScript]
    let mode: RedisSession.SessionMode
    let loop: EventLoop
    /// Numbers the links; also varies the seeds of their retry delays.
    private var linkCount = 0
    private let seed: UInt64
    /// The standalone server, the master that the sentinels name, or the cluster's nodes.
    var servers: [RedisLink] = []
    /// The sentinels, or the cluster's topology probe.
    var discoveryLinks: [RedisLink] = []
    var masterSearch: MasterSearch?
    /// When the sentinels are queried again.
    var nextSentinelQueryAt = MonotonicTime(nanoseconds: .min)
    var routes = ClusterRoutes()
    var subscriptions = ChannelSubscriptions()
    /// There is one server and no discovery, so commands and replies take a short path.
    private let isSingle: Bool
    let isCluster: Bool
    /// The index of the server whose reply was delivered last.
    private var replyingServer = 0
    /// The link whose events are consumed next; discovery links come first.
    private var pollIndex = 0
    /// A link that has already been polled may have another event.
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
        to endpoint: RedisEndpoint?, as role: RedisSession.ServerRole
    ) -> RedisLink {
        if role.isSentinel {
            return self.makeLink(
                to: endpoint, as: role, self.settings, for: .subscription,
                readByteCount: 4 << 10)
        }
        return self.makeLink(
            to: endpoint, as: role, self.settings, for: self.mode, readByteCount: 64 << 10)
    }

    /// Queries the slots. Other nodes can answer as well, so each gets only a short timeout.
    private mutating func makeTopologyProbe() -> RedisLink {
        var settings = self.settings
        settings.connectTimeout = min(settings.connectTimeout, ClusterRoutes.probeTimeout)
        return self.makeLink(
            to: settings.url.endpoints[0], as: .clusterNode, settings, for: .subscription,
            readByteCount: 16 << 10)
    }

    mutating func makeClusterLink(to endpoint: RedisEndpoint) -> RedisLink {
        self.makeLink(to: endpoint, as: .clusterNode)
    }

    private mutating func makeLink(
        to endpoint: RedisEndpoint?, as role: RedisSession.ServerRole,
        _ settings: RedisSettings, for purpose: RedisSession.SessionMode,
        readByteCount: Int
    ) -> RedisLink {
        self.linkCount += 1
        let session = RedisSession(
            settings, scripts: purpose == .commands ? self.scripts : [], for: purpose,
            with: role,
            seed: StableHash.mix(self.seed &+ UInt64(self.linkCount)))
        return RedisLink(
            settings, session: session, to: endpoint, id: self.linkCount,
            readByteCount: readByteCount,
            on: self.loop)
    }

    /// The known endpoints of the servers that execute commands.
    var endpoints: [RedisEndpoint] { self.servers.compactMap(\.endpoint) }

    /// The number of commands without a reply, queued or in flight.
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
        for index in self.discoveryLinks.indices {
            self.discoveryLinks[index].tick(now: now, &attempts)
        }
        for index in self.servers.indices { self.servers[index].tick(now: now, &attempts) }
        return attempts
    }

    mutating func connect(
        _ attempt: ConnectAttempt, to addresses: Result<[SocketAddress], SocketError>,
        for handler: any EventLoopHandler, now: MonotonicTime
    ) {
        for index in self.discoveryLinks.indices
        where self.discoveryLinks[index].id == attempt.linkID {
            self.discoveryLinks[index].connect(
                attempt.number, to: addresses, for: handler, now: now)
        }
        for index in self.servers.indices where self.servers[index].id == attempt.linkID {
            self.servers[index].connect(attempt.number, to: addresses, for: handler, now: now)
        }
    }

    /// Handles socket readiness. The caller must then consume all events, and call this again if it
    /// returned true.
    mutating func socketReady(
        _ token: SocketToken, readable: Bool, writable: Bool, for handler: any EventLoopHandler,
        now: MonotonicTime
    ) -> Bool {
        for index in self.servers.indices where self.servers[index].token == token {
            return self.servers[index].socketReady(
                token, readable: readable, writable: writable, for: handler, now: now)
        }
        for index in self.discoveryLinks.indices where self.discoveryLinks[index].token == token {
            return self.discoveryLinks[index].socketReady(
                token, readable: readable, writable: writable, for: handler, now: now)
        }
        return false
    }

    mutating func flush(now: MonotonicTime) {
        for index in self.servers.indices { self.servers[index].flush(now: now) }
        for index in self.discoveryLinks.indices { self.discoveryLinks[index].flush(now: now) }
    }

    mutating func close() {
        for index in self.servers.indices { self.servers[index].close() }
        for index in self.discoveryLinks.indices { self.discoveryLinks[index].close() }
        self.routes.isClosed = true
    }

    /// Closes the connections to the servers and opens new ones.
    mutating func reconnect(now: MonotonicTime) {
        for index in self.servers.indices {
            self.servers[index].session.disconnect(
                .broken(reason: "the client reconnects"), now: now)
        }
    }

    // MARK: Commands and channels

    @inline(__always)
    mutating func command(
        tag: CommandTag, slot: RedisSlot, now: MonotonicTime,
        _ write: (inout RedisCommandWriter) -> Void
    ) throws(RedisError) {
        if self.isCluster { return try self.clusterCommand(tag: tag, slot: slot, now: now, write) }
        try self.servers[0].session.command(tag: tag, now: now, write)
    }

    /// Writes a command that gets no reply. Not in a cluster, where the reply may be a redirection.
    mutating func commandWithoutReply(_ write: (inout RedisCommandWriter) -> Void) -> Bool {
        !self.isCluster && self.servers[0].session.commandWithoutReply(write)
    }

    /// The connection whose reply was delivered last.
    var replyingConnection: RedisConnection {
        guard self.replyingServer < self.servers.count else {
            return RedisConnection(linkID: 0, epoch: 0)
        }
        return RedisConnection(
            linkID: self.servers[self.replyingServer].id,
            epoch: self.servers[self.replyingServer].session.epoch)
    }

    /// Writes a command to one connection, and throws if that connection no longer exists.
    mutating func command(
        tag: CommandTag, slot: RedisSlot, over connection: RedisConnection, now: MonotonicTime,
        _ write: (inout RedisCommandWriter) -> Void
    ) throws(RedisError) {
        let index = self.servers.firstIndex {
            $0.id == connection.linkID && $0.session.epoch == connection.epoch && $0.session.isReady
        }
        guard let index else { throw .connectionLost(mayBeExecuted: false) }
        try self.servers[index].session.command(tag: tag, slot: slot, now: now, write)
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
        for index in self.servers.indices where self.servers[index].id == channel.linkID {
            self.servers[index].session.send("SUNSUBSCRIBE", [channel.name])
        }
    }

    // MARK: Events

    /// The next event; nil when there are no more.
    @inline(__always)
    mutating func next(now: MonotonicTime) -> RedisSession.Event? {
        if !self.isSingle { return self.nextFromAllLinks(now: now) }
        let event = self.servers[0].next(now: now)
        if case .ready? = event { self.resubscribe() }
        return event
    }

    private mutating func nextFromAllLinks(now: MonotonicTime) -> RedisSession.Event? {
        while true {
            let index = self.pollIndex - self.discoveryLinks.count
            if index < 0 {
                if let event = self.discoveryLinks[self.pollIndex].next(now: now) {
                    self.needsAnotherPass = true
                    self.handleDiscoveryEvent(event, from: self.pollIndex, now: now)
                    continue
                }
            } else if index < self.servers.count {
                if let event = self.servers[index].next(now: now) {
                    if let forwarded = self.handleServerEvent(event, from: index, now: now) {
                        return forwarded
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
        _ event: RedisSession.Event, from link: Int, now: MonotonicTime
    ) {
        if self.isCluster { return self.handleTopologyProbeEvent(event, now: now) }
        self.handleSentinelEvent(event, from: link, now: now)
    }

    /// Nil when the event concerns only the network itself.
    @inline(__always)
    private mutating func handleServerEvent(
        _ event: RedisSession.Event, from index: Int, now: MonotonicTime
    ) -> RedisSession.Event? {
        if case .reply = event {
            self.replyingServer = index
            return event
        }
        if self.isCluster { return self.handleClusterEvent(event, from: index, now: now) }
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
        guard let number = self.tick(now: now), let endpoint = self.endpoint else { return }
        attempts.append(
            RedisNetwork.ConnectAttempt(linkID: self.id, number: number, endpoint: endpoint))
    }
}

extension RedisSession {
    mutating func send(_ name: StaticString, _ arguments: [ByteString] = []) {
        self.send {
            $0.append(name)
            for argument in arguments { $0.append(text: argument) }
        }
    }
}
