internal import EventLoop

/// Who is told what comes from Redis.
protocol RedisListener {
    /// A reply, a failure or what was pushed; others are for the guest.
    func hear(_ event: RedisSession.Event)
    func hear(_ state: RedisClient.State)
}

/// A guest of the loop that has a network of connections: what a client and a subscriber have in common.
///
/// Everything here is to be called on the loop's thread. It asks to be called again when something is to be sent and the end of the turn is
/// over, and it tells what came outside of its own state, for whoever is told may well give the next command.
///
/// Not generic over who is told: a class that is would ask the runtime for the types of its state with every event.
final class RedisGuest: EventLoopHandler {
    struct Body {
        var network: RedisNetwork
        var state = RedisClient.State.connecting
        /// The turn whose commands have been sent: one that is written later in it would have to wait for an event.
        var flushedTurn: UInt64?
    }

    let loop: EventLoop
    let body: LoopBound<Body>
    private let listener: @Sendable () -> (any RedisListener)?

    /// - Parameter listener: gives who is told; it keeps nobody alive, and nil is that nobody is left.
    init(_ network: sending RedisNetwork, on loop: EventLoop, listener: @escaping @Sendable () -> (any RedisListener)?) {
        precondition(!network.settings.url.isSecure || network.settings.tls != nil, "A URL with rediss needs a TLS context.")
        self.loop = loop
        self.body = LoopBound(Body(network: network), on: loop)
        self.listener = listener
    }

    func start() {
        self.loop.admit(self)
        self.tick(now: .now)
    }

    var state: RedisClient.State { self.body.with { $0.state } }

    func close() {
        self.body.with {
            $0.network.close()
            $0.state = .closed
        }
    }

    /// To be called before something is written.
    @inline(__always)
    func askForTurn(_ body: inout Body) {
        guard let turn = body.flushedTurn else { return }
        if turn == self.loop.turns.count { self.loop.runAgain() }
        body.flushedTurn = nil
    }

    // MARK: The loop

    func socketReady(_ token: SocketToken, readable: Bool, writable: Bool) {
        let now = MonotonicTime.now
        var isReadAgain: Bool
        repeat {
            isReadAgain = self.body.with { $0.network.socketReady(token, readable: readable, writable: writable, for: self, now: now) }
            self.tell(now: now)
        } while isReadAgain
    }

    func turnEnding() {
        let now = MonotonicTime.now
        self.body.with {
            $0.network.flush(now: now)
            $0.flushedTurn = self.loop.turns.count
        }
        // The user's own end of the turn may have been before this.
        if self.tell(now: now) { self.loop.runAgain() }
    }

    func tick(now: MonotonicTime) {
        self.attempt(self.body.with { $0.network.tick(now: now) })
        self.tell(now: now)
    }

    func loopStopping() {
        self.close()
    }

    private func attempt(_ attempts: [RedisNetwork.Attempt]) {
        for attempt in attempts {
            Resolver.resolve(host: attempt.place.host, port: attempt.place.port, on: self.loop) { [weak self] addresses in
                guard let self else { return }
                self.body.with { $0.network.connect(attempt, to: addresses, for: self, now: .now) }
                self.tell(now: .now)
            }
        }
    }

    /// Tells the user what there is to tell; answers whether there was anything.
    @discardableResult
    private func tell(now: MonotonicTime) -> Bool {
        guard var event = self.body.with({ $0.network.next(now: now) }) else { return false }
        // Asked for once and not for each reply.
        let listener = self.listener()
        while true {
            switch event {
            case .ready(let epoch): self.change(to: .ready(epoch: epoch), for: listener)
            case .away(let outage): self.change(to: .away(outage), for: listener)
            case .reply, .failed, .push, .returned: listener?.hear(event)
            }
            guard let next = self.body.with({ $0.network.next(now: now) }) else { return true }
            event = next
        }
    }

    private func change(to state: RedisClient.State, for listener: (any RedisListener)?) {
        let isNews = self.body.with { body in
            defer { body.state = state }
            return body.state != state
        }
        if isNews { listener?.hear(state) }
    }
}
