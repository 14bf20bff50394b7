internal import Bytes
internal import EventLoop
internal import RedisClient
internal import Synchronization
internal import Telemetry

/// A command for one slot, as a list of arguments.
struct RedisQuery: Sendable {
    let slot: RedisSlot
    let arguments: [ByteString]

    init(_ slot: RedisSlot, _ words: ByteString...) {
        self.slot = slot
        self.arguments = words
    }
}

/// Sends commands to Redis and blocks until all replies have arrived. Use it on a thread without
/// other work.
final class BlockingRedisClient: RedisClientUser {
    private struct State {
        var client: RedisClient?
        var answers: [RedisValue] = []
        var pendingCount = 0
        var failure: RedisError?
    }

    private let loop: EventLoop
    private let state: LoopBound<State>
    private let outcome = Mutex<Result<[RedisValue], ClusterReader.ClusterReadError>?>(nil)
    private let completion = Semaphore()

    init(_ settings: RedisSettings, on loop: EventLoop) {
        self.loop = loop
        self.state = LoopBound(State(), on: loop)
        loop.execute {
            let client = RedisClient(settings, on: loop, seed: 1, user: self)
            self.state.with { $0.client = client }
            client.start()
        }
    }

    /// - Returns: the replies, in the order of the commands.
    func send(_ queries: [RedisQuery]) throws(ClusterReader.ClusterReadError) -> [RedisValue] {
        try self.wait {
            self.state.with { state in
                state.answers = Array(repeating: .nothing, count: queries.count)
                state.pendingCount = 0
                state.failure = nil
                for (number, query) in queries.enumerated() {
                    do throws(RedisError) {
                        try state.client?.command(
                            tag: CommandTag(rawValue: UInt64(number)), slot: query.slot
                        ) {
                            command in
                            for argument in query.arguments { command.append(text: argument) }
                        }
                        state.pendingCount += 1
                    } catch {
                        state.failure = state.failure ?? error
                    }
                }
            }
            self.finishIfDone()
        }
    }

    /// The address of every server that accepts commands, with one of its slots.
    func masters() throws(ClusterReader.ClusterReadError) -> [(endpoint: String, slot: RedisSlot)] {
        let found = Mutex<[(endpoint: String, slot: RedisSlot)]>([])
        _ = try self.wait {
            let client = self.state.with { $0.client }
            let masters = (client?.masterSlots ?? []).map { slot in
                (client?.endpoint(of: slot)?.description ?? "", slot)
            }
            found.withLock { $0 = masters.sorted { $0.0 < $1.0 } }
            self.complete(.success([]))
        }
        return found.withLock { $0 }
    }

    /// Every command ends, at the latest with the client's timeout.
    private func wait(for work: @escaping @Sendable () -> Void) throws(ClusterReader
        .ClusterReadError) -> [RedisValue]
    {
        self.loop.execute(work)
        self.completion.wait()
        guard let result = self.outcome.withLock({ $0.take() }) else {
            preconditionFailure("Commands have completed without a result.")
        }
        return try result.get()
    }

    private func complete(_ result: Result<[RedisValue], ClusterReader.ClusterReadError>) {
        self.outcome.withLock { $0 = result }
        self.completion.post()
    }

    private func finishIfDone() {
        let result: Result<[RedisValue], ClusterReader.ClusterReadError>? = self.state.with {
            state in
            guard state.pendingCount == 0 else { return nil }
            guard let failure = state.failure else { return .success(state.answers) }
            if failure.isFromServer { return .failure(.permanent(failure.description)) }
            guard case .unavailable(let outage)? = state.client?.state else {
                return .failure(.unreachable(failure.description))
            }
            return .failure(.unreachable(outage.description))
        }
        if let result { self.complete(result) }
    }

    func redisReplied(_ reply: RedisReply, to tag: CommandTag) {
        self.state.with { state in
            state.answers[Int(tag.rawValue)] = RedisValue(reply)
            state.pendingCount -= 1
        }
        self.finishIfDone()
    }

    func redisFailed(_ error: RedisError, tag: CommandTag) {
        self.state.with { state in
            state.failure = state.failure ?? error
            state.pendingCount -= 1
        }
        self.finishIfDone()
    }

    func redisChanged(_ state: RedisClient.State) {}
}
