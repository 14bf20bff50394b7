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
/// written after the flush. It delivers events outside the state of the network, because a receiver
/// may write the next command.
///
/// Not generic over the receiver: a generic class would ask the runtime for its types at every
/// event.
final class RedisHandler: EventLoopHandler {
    private struct State {
        var connectionState = RedisClient.State.connecting
        /// The turn whose commands have been sent. A command written later in it would wait for the
        /// next event.
        var flushedTurn: UInt64?
    }

    let loop: EventLoop
    let network: RedisNetwork
    private let loopState: LoopBound<State>
    private let receiver: @Sendable () -> (any RedisEventReceiver)?

    /// - Parameter receiver: returns the receiver, which the handler does not retain, or nil when
    ///   it no longer exists.
    init(
        _ network: RedisNetwork, on loop: EventLoop,
        receiver: @escaping @Sendable () -> (any RedisEventReceiver)?
    ) {
        self.loop = loop
        self.network = network
        self.loopState = LoopBound(State(), on: loop)
        self.receiver = receiver
    }

    func start() {
        self.loop.registerHandler(self)
        self.tick(now: .now)
    }

    var state: RedisClient.State { self.loopState.with { $0.connectionState } }

    func close() {
        self.network.close()
        self.loopState.with { $0.connectionState = .closed }
    }

    /// Must be called when a command is written.
    @inline(__always)
    func requestFlush() {
        self.loopState.with { state in
            guard let turn = state.flushedTurn else { return }
            if turn == self.loop.turnStatistics.count { self.loop.requestTurn() }
            state.flushedTurn = nil
        }
    }

    // MARK: The loop

    func socketReady(_ token: SocketToken, readable: Bool, writable: Bool) {
        let now = MonotonicTime.now
        var mustReadAgain: Bool
        repeat {
            mustReadAgain = self.network.socketReady(
                token, readable: readable, writable: writable, for: self, now: now)
            self.deliverEvents(now: now)
        } while mustReadAgain
    }

    func turnEnding() {
        let now = MonotonicTime.now
        self.network.flush(now: now)
        self.loopState.with { $0.flushedTurn = self.loop.turnStatistics.count }
        // The user may have ended its turn before this handler did.
        if self.deliverEvents(now: now) { self.loop.requestTurn() }
    }

    func tick(now: MonotonicTime) {
        self.resolveAndConnect(self.network.tick(now: now))
        self.deliverEvents(now: now)
    }

    func loopStopping() {
        self.close()
    }

    private func resolveAndConnect(_ attempts: [RedisLink.ConnectAttempt]) {
        for attempt in attempts {
            Resolver.resolve(
                host: attempt.endpoint.host, port: attempt.endpoint.port, on: self.loop
            ) { [weak self] addresses in
                guard let self else { return }
                self.network.connect(attempt, to: addresses, for: self, now: .now)
                self.deliverEvents(now: .now)
            }
        }
    }

    /// Delivers all events.
    ///
    /// - Returns: whether there were any.
    @discardableResult
    private func deliverEvents(now: MonotonicTime) -> Bool {
        guard var event = self.network.next(now: now) else { return false }
        // Fetched once instead of once per reply.
        let receiver = self.receiver()
        while true {
            switch event {
            case .ready(let epoch): self.updateState(to: .ready(epoch: epoch), for: receiver)
            case .unavailable(let outage): self.updateState(to: .unavailable(outage), for: receiver)
            case .reply, .failed, .push, .notExecuted: receiver?.receive(event)
            }
            guard let next = self.network.next(now: now) else { return true }
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
