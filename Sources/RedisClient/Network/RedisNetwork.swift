internal import Bytes
internal import EventLoop

/// All connections of one guest of the loop: to the servers that it speaks with, and to those that know where these are.
///
/// A value in the guest's state. Nothing here calls anybody: what happened comes out of `next(now:)`, in the words of a session.
struct RedisNetwork {
    /// Somebody is to look up a place and call `connect`.
    struct Attempt {
        let link: Int
        let number: Int
        let place: RedisPlace
    }

    let settings: RedisSettings
    let scripts: [RedisScript]
    let purpose: RedisSession.Purpose
    let loop: EventLoop
    /// To tell links apart, and their waits.
    private var linkCount = 0
    private let seed: UInt64
    /// The one server, the master that sentinels name, or nodes of a cluster.
    var servers: [RedisLink] = []
    /// The sentinels, or the one node of a cluster that is asked for the slots.
    var informants: [RedisLink] = []
    var search: MasterSearch?
    /// When the sentinels are asked again.
    var searchAt = MonotonicTime(nanoseconds: .min)
    var routes = ClusterRoutes()
    var subscriptions = Subscriptions()
    /// One server and nobody to ask: the way of every command and reply is short.
    private let isSingle: Bool
    let isCluster: Bool
    /// The place of the server whose reply was told last.
    private var answering = 0
    /// Whose events are taken next, informants first.
    private var turn = 0
    /// Something happened that may have given somebody an event who has had his turn.
    var isDisturbed = false

    init(
        _ settings: RedisSettings, scripts: [RedisScript] = [], for purpose: RedisSession.Purpose, seed: UInt64, on loop: EventLoop
    ) {
        self.settings = settings
        self.scripts = scripts
        self.purpose = purpose
        self.seed = seed
        self.loop = loop
        let url = settings.url
        self.isSingle = url.kind == .standalone
        self.isCluster = url.kind == .cluster
        switch url.kind {
        case .standalone:
            self.servers = [self.link(to: url.places[0], as: .server)]
        case .sentinel(let name):
            self.servers = [self.link(to: nil, as: .master)]
            self.informants = url.places.map { self.link(to: $0, as: .sentinel(knowsPassword: false)) }
            self.search = MasterSearch(name: name, sentinelCount: url.places.count)
        case .cluster:
            self.informants = [self.scout()]
        }
    }

    private mutating func link(to place: RedisPlace?, as counterpart: RedisSession.Counterpart) -> RedisLink {
        if counterpart.isSentinel {
            return self.link(to: place, as: counterpart, self.settings, for: .subscription, readByteCount: 4 << 10)
        }
        return self.link(to: place, as: counterpart, self.settings, for: self.purpose, readByteCount: 64 << 10)
    }

    /// Who asks for the slots. Others can be asked too, so it has little patience with each.
    private mutating func scout() -> RedisLink {
        var settings = self.settings
        settings.connectPatience = min(settings.connectPatience, ClusterRoutes.scoutPatience)
        return self.link(to: settings.url.places[0], as: .clusterNode, settings, for: .subscription, readByteCount: 16 << 10)
    }

    mutating func clusterNode(at place: RedisPlace) -> RedisLink { self.link(to: place, as: .clusterNode) }

    private mutating func link(
        to place: RedisPlace?, as counterpart: RedisSession.Counterpart, _ settings: RedisSettings, for purpose: RedisSession.Purpose,
        readByteCount: Int
    ) -> RedisLink {
        self.linkCount += 1
        let session = RedisSession(
            settings, scripts: purpose == .commands ? self.scripts : [], for: purpose, with: counterpart,
            seed: StableHash.mix(self.seed &+ UInt64(self.linkCount)))
        return RedisLink(settings, session: session, to: place, number: self.linkCount, readByteCount: readByteCount, on: self.loop)
    }

    /// Where the servers are that get commands, as far as that is known.
    var places: [RedisPlace] { self.servers.compactMap(\.place) }

    /// How many commands are unanswered, waiting or under way.
    var commandCount: Int {
        self.servers.reduce(self.routes.waiting.count + self.routes.failures.count) { $0 + $1.session.commandCount }
    }

    // MARK: The loop

    mutating func tick(now: MonotonicTime) -> [Attempt] {
        if self.search != nil { self.searchAgain(now: now) }
        if self.isCluster { self.lookAfterCluster(now: now) }
        var attempts: [Attempt] = []
        for place in self.informants.indices { self.informants[place].tick(now: now, &attempts) }
        for place in self.servers.indices { self.servers[place].tick(now: now, &attempts) }
        return attempts
    }

    mutating func connect(
        _ attempt: Attempt, to addresses: Result<[SocketAddress], SocketError>, for guest: any EventLoopHandler, now: MonotonicTime
    ) {
        for place in self.informants.indices where self.informants[place].number == attempt.link {
            self.informants[place].connect(attempt.number, to: addresses, for: guest, now: now)
        }
        for place in self.servers.indices where self.servers[place].number == attempt.link {
            self.servers[place].connect(attempt.number, to: addresses, for: guest, now: now)
        }
    }

    /// The socket is ready. All events are to be taken out afterwards, and when this answers true it is to be called again.
    mutating func socketReady(
        _ token: SocketToken, readable: Bool, writable: Bool, for guest: any EventLoopHandler, now: MonotonicTime
    ) -> Bool {
        for place in self.servers.indices where self.servers[place].token == token {
            return self.servers[place].socketReady(token, readable: readable, writable: writable, for: guest, now: now)
        }
        for place in self.informants.indices where self.informants[place].token == token {
            return self.informants[place].socketReady(token, readable: readable, writable: writable, for: guest, now: now)
        }
        return false
    }

    mutating func flush(now: MonotonicTime) {
        for place in self.servers.indices { self.servers[place].flush(now: now) }
        for place in self.informants.indices { self.informants[place].flush(now: now) }
    }

    mutating func close() {
        for place in self.servers.indices { self.servers[place].close() }
        for place in self.informants.indices { self.informants[place].close() }
        self.routes.isClosed = true
    }

    /// Drops the connections to the servers and makes others.
    mutating func reconnect(now: MonotonicTime) {
        for place in self.servers.indices { self.servers[place].session.lose(.broken(reason: "it was given up"), now: now) }
    }

    // MARK: Commands and channels

    @inline(__always)
    mutating func command(
        tag: UInt64, slot: RedisSlot, now: MonotonicTime, _ write: (inout RedisCommandWriter) -> Void
    ) throws(RedisError) {
        if self.isCluster { return try self.commandInCluster(tag: tag, slot: slot, now: now, write) }
        try self.servers[0].session.command(tag: tag, now: now, write)
    }

    /// Writes a command whose reply nobody wants. In a cluster the reply may say that the slot is elsewhere.
    mutating func commandUnheard(_ write: (inout RedisCommandWriter) -> Void) -> Bool {
        !self.isCluster && self.servers[0].session.commandUnheard(write)
    }

    /// The connection that brought the reply that was told last.
    var lastAnswering: RedisConnection {
        guard self.answering < self.servers.count else { return RedisConnection(link: 0, epoch: 0) }
        return RedisConnection(link: self.servers[self.answering].number, epoch: self.servers[self.answering].session.epoch)
    }

    /// Writes a command to a connection, if that is still there.
    mutating func command(
        tag: UInt64, slot: RedisSlot, over connection: RedisConnection, now: MonotonicTime, _ write: (inout RedisCommandWriter) -> Void
    ) throws(RedisError) {
        let place = self.servers.firstIndex {
            $0.number == connection.link && $0.session.epoch == connection.epoch && $0.session.isReady
        }
        guard let place else { throw .connectionLost(mayBeDone: false) }
        try self.servers[place].session.command(tag: tag, slot: slot, now: now, write)
    }

    mutating func subscribe(to channel: ByteString, now: MonotonicTime) {
        guard self.subscriptions.add(channel) else { return }
        if self.isCluster { return self.arrange(now: now) }
        self.servers[0].session.say("SUBSCRIBE", [channel])
    }

    mutating func unsubscribe(from channel: ByteString) {
        guard let channel = self.subscriptions.remove(channel) else { return }
        guard self.isCluster else { return self.servers[0].session.say("UNSUBSCRIBE", [channel.name]) }
        for place in self.servers.indices where self.servers[place].number == channel.link {
            self.servers[place].session.say("SUNSUBSCRIBE", [channel.name])
        }
    }

    // MARK: Events

    /// What there is to be told next; nil when that is all.
    @inline(__always)
    mutating func next(now: MonotonicTime) -> RedisSession.Event? {
        if !self.isSingle { return self.nextOfMany(now: now) }
        let event = self.servers[0].next(now: now)
        if case .ready? = event { self.subscribeAgain() }
        return event
    }

    private mutating func nextOfMany(now: MonotonicTime) -> RedisSession.Event? {
        while true {
            let place = self.turn - self.informants.count
            if place < 0 {
                if let event = self.informants[self.turn].next(now: now) {
                    self.isDisturbed = true
                    self.hear(event, from: self.turn, now: now)
                    continue
                }
            } else if place < self.servers.count {
                if let event = self.servers[place].next(now: now) {
                    if let told = self.passOn(event, from: place, now: now) { return told }
                    continue
                }
            } else {
                self.turn = 0
                if self.isCluster, let event = self.nextOfCluster() { return event }
                guard self.isDisturbed else { return nil }
                self.isDisturbed = false
                continue
            }
            self.turn += 1
        }
    }

    private mutating func hear(_ event: RedisSession.Event, from informant: Int, now: MonotonicTime) {
        if self.isCluster { return self.hearScout(event, now: now) }
        self.hearSentinel(event, from: informant, now: now)
    }

    /// Nil for what is nobody else's business.
    @inline(__always)
    private mutating func passOn(_ event: RedisSession.Event, from place: Int, now: MonotonicTime) -> RedisSession.Event? {
        if case .reply = event {
            self.answering = place
            return event
        }
        if self.isCluster { return self.passOnInCluster(event, from: place, now: now) }
        switch event {
        case .ready: self.subscribeAgain()
        case .away: self.searchAt = now
        case .reply, .failed, .push, .returned: break
        }
        return event
    }

    private mutating func subscribeAgain() {
        guard self.purpose == .subscription, !self.subscriptions.channels.isEmpty else { return }
        self.servers[0].session.say("SUBSCRIBE", self.subscriptions.channels.map(\.name))
    }
}

extension RedisLink {
    fileprivate mutating func tick(now: MonotonicTime, _ attempts: inout [RedisNetwork.Attempt]) {
        guard let number = self.tick(now: now), let place = self.place else { return }
        attempts.append(RedisNetwork.Attempt(link: self.number, number: number, place: place))
    }
}

extension RedisSession {
    mutating func say(_ word: StaticString, _ words: [ByteString] = []) {
        self.say {
            $0.append(word)
            for word in words { $0.append(text: word) }
        }
    }
}
