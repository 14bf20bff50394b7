internal import Bytes
internal import EventLoop
internal import Glibc
internal import RedisClient
internal import Synchronization

/// A command of words, for one slot.
struct RedisQuestion: Sendable {
    let slot: RedisSlot
    let words: [ByteString]

    init(_ slot: RedisSlot, _ words: ByteString...) {
        self.slot = slot
        self.words = words
    }
}

/// Asks Redis some commands, and waits: for who has nothing else to do, on a thread of its own.
final class RedisQuestioner: RedisClientUser {
    private struct Body {
        var client: RedisClient?
        var answers: [KeptValue] = []
        var open = 0
        var failure: RedisError?
    }

    private let loop: EventLoop
    private let body: LoopBound<Body>
    private let outcome = Mutex<Result<[KeptValue], ClusterReader.Failure>?>(nil)

    init(_ settings: RedisSettings, on loop: EventLoop) {
        self.loop = loop
        self.body = LoopBound(Body(), on: loop)
        loop.execute {
            let client = RedisClient(settings, on: loop, seed: 1, user: self)
            self.body.with { $0.client = client }
            client.start()
        }
    }

    /// - Returns: the answers, in order.
    func ask(_ questions: [RedisQuestion]) throws(ClusterReader.Failure) -> [KeptValue] {
        try self.wait {
            self.body.with { body in
                body.answers = Array(repeating: .nothing, count: questions.count)
                body.open = 0
                body.failure = nil
                for (number, question) in questions.enumerated() {
                    do throws(RedisError) {
                        try body.client?.command(tag: UInt64(number), slot: question.slot) { command in
                            for word in question.words { command.append(text: word) }
                        }
                        body.open += 1
                    } catch {
                        body.failure = body.failure ?? error
                    }
                }
            }
            self.finishIfDone()
        }
    }

    /// Where each of the servers is that take commands, and a slot of it.
    func masters() throws(ClusterReader.Failure) -> [(place: String, slot: RedisSlot)] {
        let found = Mutex<[(place: String, slot: RedisSlot)]>([])
        _ = try self.wait {
            let client = self.body.with { $0.client }
            let masters = (client?.masters ?? []).map { slot in (client?.place(of: slot)?.description ?? "", slot) }
            found.withLock { $0 = masters.sorted { $0.0 < $1.0 } }
            self.outcome.withLock { $0 = .success([]) }
        }
        return found.withLock { $0 }
    }

    /// Every question ends, by the client's own patience.
    private func wait(for work: @escaping @Sendable () -> Void) throws(ClusterReader.Failure) -> [KeptValue] {
        self.outcome.withLock { $0 = nil }
        self.loop.execute(work)
        while true {
            if let outcome = self.outcome.withLock({ $0 }) { return try outcome.get() }
            poll(nil, 0, 1)
        }
    }

    private func finishIfDone() {
        let outcome: Result<[KeptValue], ClusterReader.Failure>? = self.body.with { body in
            guard body.open == 0 else { return nil }
            guard let failure = body.failure else { return .success(body.answers) }
            if failure.isAnswer { return .failure(.answer(failure.description)) }
            guard case .away(let outage)? = body.client?.state else { return .failure(.silence(failure.description)) }
            return .failure(.silence(outage.description))
        }
        if let outcome { self.outcome.withLock { $0 = outcome } }
    }

    func redisReplied(_ reply: RedisReply, to tag: UInt64) {
        self.body.with { body in
            body.answers[Int(tag)] = KeptValue(reply)
            body.open -= 1
        }
        self.finishIfDone()
    }

    func redisFailed(_ error: RedisError, tag: UInt64) {
        self.body.with { body in
            body.failure = body.failure ?? error
            body.open -= 1
        }
        self.finishIfDone()
    }

    func redisChanged(_ state: RedisClient.State) {}
}
