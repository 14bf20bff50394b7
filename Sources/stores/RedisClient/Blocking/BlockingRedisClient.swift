public import EventLoop
internal import Synchronization
internal import Telemetry

/// Sends commands to Redis and blocks the calling thread until all replies have arrived.
///
/// It has a loop of its own, so a thread that runs another loop may use it too. Use it from one
/// thread at a time. Every call ends, at the latest with the timeouts of the settings.
public final class BlockingRedisClient: Sendable {
    /// Why there is no reply.
    public enum CallFailure: Error, Sendable, Equatable, CustomStringConvertible {
        /// The server has replied with an error.
        case rejected(RedisError)
        /// No server has replied. The outage is the reason, if there is no connection.
        case unanswered(RedisError, RedisOutage?)

        public var description: String {
            switch self {
            case .rejected(let error), .unanswered(let error, nil): error.description
            case .unanswered(_, let outage?): outage.description
            }
        }
    }

    /// A server that executes commands.
    public struct Master: Sendable {
        public let endpoint: String
        /// One of the server's slots.
        public let slot: RedisSlot
    }

    private let loop: EventLoop
    private let calls: BlockingCalls

    /// Starts to connect. The first command waits for the connection.
    ///
    /// - Parameter name: of the loop's thread.
    public init(_ settings: RedisSettings, name: String) throws(SocketError) {
        self.loop = try EventLoop.start(name: name)
        self.calls = BlockingCalls(on: self.loop)
        self.loop.execute { [calls, loop] in
            calls.start(RedisClient(settings, on: loop, seed: 1, user: calls))
        }
    }

    deinit { self.loop.stop() }

    /// Waits until the client is connected. Throws if the current or first attempt has failed; the
    /// client continues to connect even then.
    public func connect() throws(CallFailure) { _ = try self.calls.wait { $0.connect() } }

    /// The number of connections so far. After a second one, the server may have lost its state.
    public var connectionCount: Int { self.calls.connectionCount.load(ordering: .acquiring) }

    /// - Returns: the replies, in the order of the commands.
    public func send(_ queries: [RedisQuery]) throws(CallFailure) -> [RedisValue] {
        try self.calls.wait { $0.send(queries) }
    }

    /// All known servers that execute commands, sorted by address; none while they are unknown.
    public func masters() throws(CallFailure) -> [Master] {
        let masters = Mutex<[Master]>([])
        _ = try self.calls.wait { calls in
            let found = calls.masters
            masters.withLock { $0 = found }
            calls.finish(.success([]))
        }
        return masters.withLock { $0 }.sorted { $0.endpoint < $1.endpoint }
    }
}

/// The calls of a `BlockingRedisClient`, one after the other.
private final class BlockingCalls: RedisClientUser {
    typealias Outcome = Result<[RedisValue], BlockingRedisClient.CallFailure>

    private enum Call {
        case none
        /// Waits for a connection, or for the failure of an attempt.
        case connecting
        case sending(pendingCount: Int, replies: [RedisValue], failure: RedisError?)
    }

    private struct State {
        var client: RedisClient?
        var call = Call.none
    }

    let connectionCount = Atomic<Int>(0)
    private let loop: EventLoop
    private let state: LoopBound<State>
    private let outcome = Mutex<Outcome?>(nil)
    private let completion = Semaphore()

    init(on loop: EventLoop) {
        self.loop = loop
        self.state = LoopBound(State(), on: loop)
    }

    func start(_ client: RedisClient) {
        self.state.with { $0.client = client }
        client.start()
    }

    // MARK: The calling thread

    /// Starts a call on the loop and waits until `finish` has been called.
    func wait(for call: @escaping @Sendable (BlockingCalls) -> Void)
        throws(BlockingRedisClient.CallFailure) -> [RedisValue]
    {
        self.loop.execute { call(self) }
        self.completion.wait()
        guard let outcome = self.outcome.withLock({ $0.take() }) else {
            preconditionFailure("A call to Redis has ended without an outcome.")
        }
        return try outcome.get()
    }

    // MARK: The loop

    func finish(_ outcome: Outcome) {
        self.state.with { $0.call = .none }
        self.outcome.withLock { $0 = outcome }
        self.completion.post()
    }

    func connect() {
        let current = self.state.with { state in
            state.call = .connecting
            return state.client?.state
        }
        if let current { self.finishConnecting(current) }
    }

    var masters: [BlockingRedisClient.Master] {
        guard let client = self.state.with({ $0.client }) else { return [] }
        return client.masterSlots.map { slot in
            BlockingRedisClient.Master(
                endpoint: client.endpoint(of: slot)?.description ?? "", slot: slot)
        }
    }

    func send(_ queries: [RedisQuery]) {
        self.state.with { state in
            var (pendingCount, failure) = (0, RedisError?.none)
            for (number, query) in queries.enumerated() {
                do throws(RedisError) {
                    try state.client?.command(
                        tag: CommandTag(rawValue: UInt64(number)), slot: query.slot
                    ) { command in
                        for argument in query.arguments { command.append(text: argument) }
                    }
                    pendingCount += 1
                } catch {
                    failure = failure ?? error
                }
            }
            state.call = .sending(
                pendingCount: pendingCount,
                replies: Array(repeating: .nothing, count: queries.count), failure: failure)
        }
        self.finishIfDone()
    }

    private func finishIfDone() {
        let outcome: Outcome? = self.state.with { state in
            guard case .sending(0, let replies, let failure) = state.call else { return nil }
            guard let failure else { return .success(replies) }
            if failure.isFromServer { return .failure(.rejected(failure)) }
            guard case .unavailable(let outage)? = state.client?.state else {
                return .failure(.unanswered(failure, nil))
            }
            return .failure(.unanswered(failure, outage))
        }
        if let outcome { self.finish(outcome) }
    }

    private func ended(_ tag: CommandTag, with result: Result<RedisValue, RedisError>) {
        self.state.with { state in
            guard case .sending(let pendingCount, var replies, var failure) = state.call else {
                return
            }
            switch result {
            case .success(let value): replies[Int(tag.rawValue)] = value
            case .failure(let error): failure = failure ?? error
            }
            state.call = .sending(
                pendingCount: pendingCount - 1, replies: replies, failure: failure)
        }
        self.finishIfDone()
    }

    func redisReplied(_ reply: RedisReply, to tag: CommandTag) {
        self.ended(tag, with: .success(RedisValue(reply)))
    }

    func redisFailed(_ error: RedisError, tag: CommandTag) {
        self.ended(tag, with: .failure(error))
    }

    func redisChanged(_ state: RedisClient.State) {
        if case .ready = state { self.connectionCount.add(1, ordering: .releasing) }
        self.finishConnecting(state)
    }

    private func finishConnecting(_ state: RedisClient.State) {
        guard case .connecting = self.state.with({ $0.call }) else { return }
        switch state {
        case .connecting: break
        case .ready: self.finish(.success([]))
        case .unavailable(let outage): self.finish(.failure(.unanswered(.noConnection, outage)))
        case .closed: self.finish(.failure(.unanswered(.closed, nil)))
        }
    }
}
