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
    private(set) var subscriptions = Subscriptions()
    /// One server and nobody to ask: the way of every command and reply is short.
    private let isSingle: Bool
    /// Whose events are taken next, informants first.
    private var turn = 0
    /// Something happened that may have given somebody an event who has had his turn.
    private var isDisturbed = false

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
        switch url.kind {
        case .standalone:
            self.servers = [self.link(to: url.places[0], as: .server)]
        case .sentinel(let name):
            self.servers = [self.link(to: nil, as: .master)]
            self.informants = url.places.map { self.link(to: $0, as: .sentinel(knowsPassword: false)) }
            self.search = MasterSearch(name: name, sentinelCount: url.places.count)
        case .cluster:
            preconditionFailure("\(url) names a cluster, which this client does not know yet.")
        }
    }

    mutating func link(to place: RedisPlace?, as counterpart: RedisSession.Counterpart, isInformant: Bool = false) -> RedisLink {
        self.linkCount += 1
        let asks = isInformant || counterpart.isSentinel
        let session = RedisSession(
            self.settings, scripts: asks ? [] : self.scripts, for: asks ? .subscription : self.purpose, with: counterpart,
            seed: StableHash.mix(self.seed &+ UInt64(self.linkCount)))
        return RedisLink(
            self.settings, session: session, to: place, number: self.linkCount, readByteCount: asks ? 4 << 10 : 64 << 10, on: self.loop)
    }

    /// How many commands are unanswered, waiting or under way.
    var commandCount: Int { self.servers.reduce(0) { $0 + $1.session.commandCount } }

    // MARK: The loop

    mutating func tick(now: MonotonicTime) -> [Attempt] {
        if self.search != nil { self.searchAgain(now: now) }
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
        try self.servers[0].session.command(tag: tag, now: now, write)
    }

    mutating func subscribe(to channel: ByteString) {
        guard self.subscriptions.add(channel) else { return }
        self.servers[0].session.say("SUBSCRIBE", [channel])
    }

    mutating func unsubscribe(from channel: ByteString) {
        guard self.subscriptions.remove(channel) else { return }
        self.servers[0].session.say("UNSUBSCRIBE", [channel])
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
                if let event = self.servers[place].next(now: now) { return self.passOn(event, from: place, now: now) }
            } else {
                self.turn = 0
                guard self.isDisturbed else { return nil }
                self.isDisturbed = false
                continue
            }
            self.turn += 1
        }
    }

    private mutating func passOn(_ event: RedisSession.Event, from place: Int, now: MonotonicTime) -> RedisSession.Event {
        switch event {
        case .ready: self.subscribeAgain()
        case .away: self.searchAt = now
        case .reply, .failed, .push, .returned: break
        }
        return event
    }

    private mutating func subscribeAgain() {
        guard self.purpose == .subscription, !self.subscriptions.channels.isEmpty else { return }
        self.servers[0].session.say("SUBSCRIBE", self.subscriptions.channels)
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

/// The channels that are listened to.
struct Subscriptions {
    private(set) var channels: [ByteString] = []

    /// Whether it was not there.
    mutating func add(_ channel: ByteString) -> Bool {
        guard !self.channels.contains(channel) else { return false }
        self.channels.append(channel)
        return true
    }

    /// Whether it was there.
    mutating func remove(_ channel: ByteString) -> Bool {
        guard let place = self.channels.firstIndex(of: channel) else { return false }
        self.channels.remove(at: place)
        return true
    }
}
