internal import Bytes
internal import EventLoop
internal import Glibc
internal import RedisClient
internal import Synchronization

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
    func send(_ questions: [RedisQuery]) throws(ClusterReader.ClusterReadError) -> [RedisValue] {
        try self.wait {
            self.state.with { body in
                body.answers = Array(repeating: .nothing, count: questions.count)
                body.pendingCount = 0
                body.failure = nil
                for (number, question) in questions.enumerated() {
                    do throws(RedisError) {
                        try body.client?.command(tag: UInt64(number), slot: question.slot) {
                            command in
                            for word in question.arguments { command.append(text: word) }
                        }
                        body.pendingCount += 1
                    } catch {
                        body.failure = body.failure ?? error
                    }
                }
            }
            self.finishIfDone()
        }
    }

    /// The address of every server that accepts commands, with one of its slots.
    func masters() throws(ClusterReader.ClusterReadError) -> [(place: String, slot: RedisSlot)] {
        let found = Mutex<[(place: String, slot: RedisSlot)]>([])
        _ = try self.wait {
            let client = self.state.with { $0.client }
            let masters = (client?.masterSlots ?? []).map { slot in
                (client?.endpoint(of: slot)?.description ?? "", slot)
            }
            found.withLock { $0 = masters.sorted { $0.0 < $1.0 } }
            self.outcome.withLock { $0 = .success([]) }
        }
        return found.withLock { $0 }
    }

    /// Every command ends, at the latest with the client's timeout.
    private func wait(for work: @escaping @Sendable () -> Void) throws(ClusterReader
        .ClusterReadError) -> [RedisValue]
    {
        self.outcome.withLock { $0 = nil }
        self.loop.execute(work)
        while true {
            if let outcome = self.outcome.withLock({ $0 }) { return try outcome.get() }
            poll(nil, 0, 1)
        }
    }

    private func finishIfDone() {
        let outcome: Result<[RedisValue], ClusterReader.ClusterReadError>? = self.state.with {
            body in
            guard body.pendingCount == 0 else { return nil }
            guard let failure = body.failure else { return .success(body.answers) }
            if failure.isFromServer { return .failure(.permanent(failure.description)) }
            guard case .unavailable(let outage)? = body.client?.state else {
                return .failure(.unreachable(failure.description))
            }
            return .failure(.unreachable(outage.description))
        }
        if let outcome { self.outcome.withLock { $0 = outcome } }
    }

    func redisReplied(_ reply: RedisReply, to tag: UInt64) {
        self.state.with { body in
            body.answers[Int(tag)] = RedisValue(reply)
            body.pendingCount -= 1
        }
        self.finishIfDone()
    }

    func redisFailed(_ error: RedisError, tag: UInt64) {
        self.state.with { body in
            body.failure = body.failure ?? error
            body.pendingCount -= 1
        }
        self.finishIfDone()
    }

    func redisChanged(_ state: RedisClient.State) {}
}
