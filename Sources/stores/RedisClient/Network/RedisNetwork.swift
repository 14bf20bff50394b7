internal import Bytes
internal import EventLoop

/// All connections of one `RedisHandler`: to the servers that execute commands, and to the nodes
/// that know where those servers are.
///
/// Each mode of Redis is a value of its own type, which calls no code outside; events come out of
/// `next(now:)`, as those of a session do. This type only passes calls to the mode. It is an enum
/// of loop-bound values, because a command changes the value in place. A value inside the enum
/// would be copied out and back.
enum RedisNetwork: Sendable {
    case standalone(LoopBound<SingleServer>)
    case sentinel(LoopBound<SentinelNetwork>)
    case cluster(LoopBound<RedisClusterNetwork>)

    init(
        _ settings: RedisSettings, scripts: [RedisScript] = [],
        for mode: RedisSession.SessionMode, seed: UInt64, on loop: EventLoop
    ) {
        precondition(
            !settings.url.isSecure || settings.tls != nil,
            "A URL with rediss requires a TLS context.")
        func links() -> RedisLinkFactory {
            RedisLinkFactory(settings, scripts: scripts, for: mode, seed: seed, on: loop)
        }
        self =
            switch settings.url.kind {
            case .standalone: .standalone(LoopBound(SingleServer(links()), on: loop))
            case .sentinel(let master):
                .sentinel(LoopBound(SentinelNetwork(links(), master: master), on: loop))
            case .cluster: .cluster(LoopBound(RedisClusterNetwork(links()), on: loop))
            }
    }

    // MARK: State

    var isRedisCluster: Bool { if case .cluster = self { true } else { false } }

    /// The known endpoints of the servers that execute commands.
    var endpoints: [RedisEndpoint] {
        switch self {
        case .standalone(let network): network.with { $0.endpoint.map { [$0] } ?? [] }
        case .sentinel(let network): network.with { $0.master.endpoint.map { [$0] } ?? [] }
        case .cluster(let network): network.with { $0.servers.compactMap(\.link.endpoint) }
        }
    }

    /// One slot of each server that executes commands.
    var masterSlots: [RedisSlot] {
        switch self {
        case .standalone, .sentinel: [.any]
        case .cluster(let network): network.with { $0.slotMap.firstSlots }
        }
    }

    /// The number of commands without a reply, queued or in flight.
    var commandCount: Int {
        switch self {
        case .standalone(let network): network.with { $0.link.session.commandCount }
        case .sentinel(let network): network.with { $0.master.link.session.commandCount }
        case .cluster(let network): network.with { $0.commandCount }
        }
    }

    /// The endpoint of the server that executes the slot's commands; nil while unknown.
    func endpoint(of slot: RedisSlot) -> RedisEndpoint? {
        switch self {
        case .standalone(let network): network.with { $0.endpoint }
        case .sentinel(let network): network.with { $0.master.endpoint }
        case .cluster(let network): network.with { $0.endpoint(of: slot) }
        }
    }

    /// Identifies the server that executes the slot's commands; nil while unknown.
    func masterID(of slot: RedisSlot) -> Int? {
        switch self {
        case .standalone(let network): network.with { $0.link.id }
        case .sentinel(let network): network.with { $0.master.link.id }
        case .cluster(let network): network.with { $0.masterID(of: slot) }
        }
    }

    /// The connection whose reply was delivered last.
    var replyingConnection: RedisConnection {
        switch self {
        case .standalone(let network): network.with { $0.connection }
        case .sentinel(let network): network.with { $0.master.connection }
        case .cluster(let network): network.with { $0.replyingConnection }
        }
    }

    // MARK: The loop

    func tick(now: MonotonicTime) -> [RedisLink.ConnectAttempt] {
        var attempts: [RedisLink.ConnectAttempt] = []
        switch self {
        case .standalone(let network): network.with { $0.link.tick(now: now, into: &attempts) }
        case .sentinel(let network): network.with { $0.tick(now: now, into: &attempts) }
        case .cluster(let network): network.with { $0.tick(now: now, into: &attempts) }
        }
        return attempts
    }

    func connect(
        _ attempt: RedisLink.ConnectAttempt, to addresses: Result<[SocketAddress], SocketError>,
        for handler: any EventLoopHandler, now: MonotonicTime
    ) {
        self.withEachLink { $0.connect(attempt, to: addresses, for: handler, now: now) }
    }

    /// Handles socket readiness. The caller must then consume all events, and call this again if it
    /// returned true.
    func socketReady(
        _ token: SocketToken, readable: Bool, writable: Bool, for handler: any EventLoopHandler,
        now: MonotonicTime
    ) -> Bool {
        var mustReadAgain = false
        self.withEachLink { link in
            guard link.token == token else { return }
            mustReadAgain = link.socketReady(
                token, readable: readable, writable: writable, for: handler, now: now)
        }
        return mustReadAgain
    }

    func flush(now: MonotonicTime) { self.withEachLink { $0.flush(now: now) } }

    func close() {
        self.withEachLink { $0.close() }
        if case .cluster(let network) = self { network.with { $0.close() } }
    }

    /// Closes the connections to the servers and opens new ones.
    func reconnect(now: MonotonicTime) {
        func disconnect(_ link: inout RedisLink) {
            link.session.disconnect(.broken(reason: "the client reconnects"), now: now)
        }
        switch self {
        case .standalone(let network): network.with { disconnect(&$0.link) }
        case .sentinel(let network): network.with { disconnect(&$0.master.link) }
        case .cluster(let network):
            network.with { network in
                for index in network.servers.indices { disconnect(&network.servers[index].link) }
            }
        }
    }

    /// Calls `body` with every link, those of the servers first.
    @inline(__always)
    private func withEachLink(_ body: (inout RedisLink) -> Void) {
        switch self {
        case .standalone(let network): network.with { body(&$0.link) }
        case .sentinel(let network):
            network.with { network in
                body(&network.master.link)
                for index in network.sentinels.indices { body(&network.sentinels[index]) }
            }
        case .cluster(let network):
            network.with { network in
                for index in network.servers.indices { body(&network.servers[index].link) }
                body(&network.probeLink)
            }
        }
    }

    // MARK: Commands and channels

    @inline(__always)
    func command(
        tag: CommandTag, slot: RedisSlot, now: MonotonicTime,
        _ write: (inout RedisCommandWriter) -> Void
    ) throws(RedisError) {
        switch self {
        case .standalone(let network):
            try network.with { network throws(RedisError) in
                try network.command(tag: tag, now: now, write)
            }
        case .sentinel(let network):
            try network.with { network throws(RedisError) in
                try network.master.command(tag: tag, now: now, write)
            }
        case .cluster(let network):
            try network.with { network throws(RedisError) in
                try network.command(tag: tag, slot: slot, now: now, write)
            }
        }
    }

    /// Writes a command that gets no reply. Not in a cluster, where the reply may be a redirection.
    func commandWithoutReply(_ write: (inout RedisCommandWriter) -> Void) -> Bool {
        switch self {
        case .standalone(let network):
            network.with { $0.link.session.commandWithoutReply(write) }
        case .sentinel(let network):
            network.with { $0.master.link.session.commandWithoutReply(write) }
        case .cluster: false
        }
    }

    /// Writes a command to one connection, and throws if that connection no longer exists.
    func command(
        tag: CommandTag, slot: RedisSlot, over connection: RedisConnection, now: MonotonicTime,
        _ write: (inout RedisCommandWriter) -> Void
    ) throws(RedisError) {
        switch self {
        case .standalone(let network):
            try network.with { network throws(RedisError) in
                try network.command(tag: tag, over: connection, now: now, write)
            }
        case .sentinel(let network):
            try network.with { network throws(RedisError) in
                try network.master.command(tag: tag, over: connection, now: now, write)
            }
        case .cluster(let network):
            try network.with { network throws(RedisError) in
                try network.command(tag: tag, slot: slot, over: connection, now: now, write)
            }
        }
    }

    func subscribe(to channel: ByteString, now: MonotonicTime) {
        switch self {
        case .standalone(let network): network.with { $0.subscribe(to: channel) }
        case .sentinel(let network): network.with { $0.master.subscribe(to: channel) }
        case .cluster(let network): network.with { $0.subscribe(to: channel, now: now) }
        }
    }

    func unsubscribe(from channel: ByteString) {
        switch self {
        case .standalone(let network): network.with { $0.unsubscribe(from: channel) }
        case .sentinel(let network): network.with { $0.master.unsubscribe(from: channel) }
        case .cluster(let network): network.with { $0.unsubscribe(from: channel) }
        }
    }

    // MARK: Events

    /// The next event; nil when there are no more.
    @inline(__always)
    func next(now: MonotonicTime) -> RedisSession.Event? {
        switch self {
        case .standalone(let network): network.with { $0.next(now: now) }
        case .sentinel(let network): network.with { $0.next(now: now) }
        case .cluster(let network): network.with { $0.next(now: now) }
        }
    }
}
