internal import EventLoop

/// Receives the events of a `RedisHandler`.
protocol RedisEventReceiver {
    /// A reply, a failure or a push message; the handler keeps the other events.
    func receive(_ event: RedisSession.Event)
    func receive(_ state: RedisClient.State)
}

/// Connects a `RedisNetwork` to its loop; shared by `RedisClient` and `RedisSubscriber`.
///
/// All functions must be called on the loop's thread. It requests another turn when a command is
/// written after the flush. It delivers events outside its own state, because a receiver may write
/// the next command.
///
/// Not generic over the receiver: a generic class would ask the runtime for its types at every
/// event.
final class RedisHandler: EventLoopHandler {
    struct State {
        var network: RedisNetwork
        var connectionState = RedisClient.State.connecting
        /// The turn whose commands have been sent. A command written later in it would wait for the
        /// next event.
        var flushedTurn: UInt64?
    }

    let loop: EventLoop
    let loopState: LoopBound<State>
    private let receiver: @Sendable () -> (any RedisEventReceiver)?

    /// - Parameter receiver: returns the receiver, which the handler does not retain, or nil when
    ///   it no longer exists.
    init(
        _ network: sending RedisNetwork, on loop: EventLoop,
        receiver: @escaping @Sendable () -> (any RedisEventReceiver)?
    ) {
        precondition(
            !network.settings.url.isSecure || network.settings.tls != nil,
            "A URL with rediss requires a TLS context.")
        self.loop = loop
        self.loopState = LoopBound(State(network: network), on: loop)
        self.receiver = receiver
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

    /// Must be called before a command is written.
    @inline(__always)
    func requestFlush(_ state: inout State) {
        guard let turn = state.flushedTurn else { return }
        if turn == self.loop.turnStatistics.count { self.loop.requestTurn() }
        state.flushedTurn = nil
    }

    // MARK: The loop

    func socketReady(_ token: SocketToken, readable: Bool, writable: Bool) {
        let now = MonotonicTime.now
        var mustReadAgain: Bool
        repeat {
            mustReadAgain = self.loopState.with {
                $0.network.socketReady(
                    token, readable: readable, writable: writable, for: self, now: now)
            }
            self.deliverEvents(now: now)
        } while mustReadAgain
    }

    func turnEnding() {
        let now = MonotonicTime.now
        self.loopState.with {
            $0.network.flush(now: now)
            $0.flushedTurn = self.loop.turnStatistics.count
        }
        // The user may have ended its turn before this handler did.
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

    /// Delivers all events.
    ///
    /// - Returns: whether there were any.
    @discardableResult
    private func deliverEvents(now: MonotonicTime) -> Bool {
        guard var event = self.loopState.with({ $0.network.next(now: now) }) else { return false }
        // Fetched once instead of once per reply.
        let receiver = self.receiver()
        while true {
            switch event {
            case .ready(let epoch): self.updateState(to: .ready(epoch: epoch), for: receiver)
            case .unavailable(let outage): self.updateState(to: .unavailable(outage), for: receiver)
            case .reply, .failed, .push, .notExecuted: receiver?.receive(event)
            }
            guard let next = self.loopState.with({ $0.network.next(now: now) }) else { return true }
            event = next
        }
    }

    private func updateState(to state: RedisClient.State, for receiver: (any RedisEventReceiver)?) {
        let hasChanged = self.loopState.with { loopState in
            defer { loopState.connectionState = state }
            return loopState.connectionState != state
        }
        if hasChanged { receiver?.receive(state) }
    }
}
