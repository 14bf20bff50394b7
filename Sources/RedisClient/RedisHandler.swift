internal import EventLoop

/// Who is told what comes from Redis.
protocol RedisEventReceiver {
    /// A reply, a failure or what was pushed; others are for the guest.
    func receive(_ event: RedisSession.Event)
    func receive(_ state: RedisClient.State)
}

/// A guest of the loop that has a network of connections: what a client and a subscriber have in common.
///
/// Everything here is to be called on the loop's thread. It asks to be called again when something is to be sent and the end of the turn is
/// over, and it tells what came outside of its own state, for whoever is told may well give the next command.
///
/// Not generic over who is told: a class that is would ask the runtime for the types of its state with every event.
final class RedisHandler: EventLoopHandler {
    struct State {
        var network: RedisNetwork
        var connectionState = RedisClient.State.connecting
        /// The turn whose commands have been sent: one that is written later in it would have to wait for an event.
        var flushedTurn: UInt64?
    }

    let loop: EventLoop
    let loopState: LoopBound<State>
    private let receiver: @Sendable () -> (any RedisEventReceiver)?

    /// - Parameter listener: gives who is told; it keeps nobody alive, and nil is that nobody is left.
    init(
        _ network: sending RedisNetwork, on loop: EventLoop,
        receiver listener: @escaping @Sendable () -> (any RedisEventReceiver)?
    ) {
        precondition(
            !network.settings.url.isSecure || network.settings.tls != nil,
            "A URL with rediss needs a TLS context.")
        self.loop = loop
        self.loopState = LoopBound(State(network: network), on: loop)
        self.receiver = listener
    }

    func start() {
        self.loop.registerHandler(self)
        self.tick(now: .now)
    }

    var state: RedisClient.State { self.loopState.with { $0.connectionState } }

    func close() {
        self.loopState.with {
            $0.network.close()
            $0.connectionState = .closed
        }
    }

    /// To be called before something is written.
    @inline(__always)
    func requestFlush(_ body: inout State) {
        guard let turn = body.flushedTurn else { return }
        if turn == self.loop.turnStatistics.count { self.loop.requestTurn() }
        body.flushedTurn = nil
    }

    // MARK: The loop

    func socketReady(_ token: SocketToken, readable: Bool, writable: Bool) {
        let now = MonotonicTime.now
        var isReadAgain: Bool
        repeat {
            isReadAgain = self.loopState.with {
                $0.network.socketReady(
                    token, readable: readable, writable: writable, for: self, now: now)
            }
            self.deliverEvents(now: now)
        } while isReadAgain
    }

    func turnEnding() {
        let now = MonotonicTime.now
        self.loopState.with {
            $0.network.flush(now: now)
            $0.flushedTurn = self.loop.turnStatistics.count
        }
        // The user's own end of the turn may have been before this.
        if self.deliverEvents(now: now) { self.loop.requestTurn() }
    }

    func tick(now: MonotonicTime) {
        self.resolveAndConnect(self.loopState.with { $0.network.tick(now: now) })
        self.deliverEvents(now: now)
    }

    func loopStopping() {
        self.close()
    }

    private func resolveAndConnect(_ attempts: [RedisNetwork.ConnectAttempt]) {
        for attempt in attempts {
            Resolver.resolve(
                host: attempt.endpoint.host, port: attempt.endpoint.port, on: self.loop
            ) { [weak self] addresses in
                guard let self else { return }
                self.loopState.with {
                    $0.network.connect(attempt, to: addresses, for: self, now: .now)
                }
                self.deliverEvents(now: .now)
            }
        }
    }

    /// Tells the user what there is to tell; answers whether there was anything.
    @discardableResult
    private func deliverEvents(now: MonotonicTime) -> Bool {
        guard var event = self.loopState.with({ $0.network.next(now: now) }) else { return false }
        // Asked for once and not for each reply.
        let listener = self.receiver()
        while true {
            switch event {
            case .ready(let epoch): self.updateState(to: .ready(epoch: epoch), for: listener)
            case .unavailable(let outage): self.updateState(to: .unavailable(outage), for: listener)
            case .reply, .failed, .push, .notExecuted: listener?.receive(event)
            }
            guard let next = self.loopState.with({ $0.network.next(now: now) }) else { return true }
            event = next
        }
    }

    private func updateState(to state: RedisClient.State, for listener: (any RedisEventReceiver)?) {
        let isNews = self.loopState.with { body in
            defer { body.connectionState = state }
            return body.connectionState != state
        }
        if isNews { listener?.receive(state) }
    }
}
