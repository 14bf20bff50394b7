import Bytes
public import ChatModel
import Cluster
import EventLoop
import Synchronization

/// Requests of operators and of the REST API.
extension Gateway {
    /// The report of every loop that answers in time.
    public func reports(within time: Duration) async -> [LoopReport] {
        await self.requestAll(within: time) { reply in .report { reply($0) } }
    }

    /// The claimed shards of every loop that answers in time.
    public func shards(within time: Duration) async -> [ShardReport] {
        await self.requestAll(within: time) { reply in .shards { reply($0) } }.flatMap(\.self)
    }

    func requestAll<Value: Sendable>(
        within time: Duration,
        _ make: @escaping @Sendable (@escaping @Sendable (Value) -> Void) -> LoopControlMessage
    ) async -> [Value] {
        await withTaskGroup(of: Value?.self) { group in
            for loop in 0..<self.loopCount {
                group.addTask { await self.request(loop, within: time, make) }
            }
            var values: [Value] = []
            for await value in group { if let value { values.append(value) } }
            return values
        }
    }

    /// The position up to which this node, as the owner, regards a conversation as stored. Nil if
    /// the conversation is not in memory.
    public func storedPosition(of key: ConversationKey, within time: Duration) async -> (
        head: SequenceNumber, revision: Revision
    )? {
        let loop = View.preferredLoop(of: key, loops: self.loopCount)
        return await self.request(loop, within: time) { reply in .storedPosition(key) { reply($0) }
        } ?? nil
    }

    /// Executes a command of a user that comes from no connection. Nil if there is no answer in
    /// time. A banned user gets `ChatError.banned`.
    ///
    /// - Parameter client: to which the stored bytes are counted.
    public func command(
        _ command: ChatCommand, in key: ConversationKey, by client: LimitKey, within time: Duration
    ) async -> ChatAnswer? {
        if let ban = self.shared.bans.list.ban(of: command.user, from: key, at: WallClock.now) {
            return .failed(.banned(ban.notice))
        }
        if let error = self.shared.rates.store(
            command, in: key, by: client, limits: self.limits.ofUser)
        {
            return .failed(error)
        }
        let answer = await self.operatorCommand(command, in: key, within: time)
        if case .join(let request) = command, case .joined(let result)? = answer, result.isNewMember
        {
            self.shared.rates.storeMember(
                request.principal.person, by: client, limits: self.limits.ofUser)
        }
        return answer
    }

    /// Executes a command of an operator. No ban applies to operators. Nil if there is no answer in
    /// time.
    public func operatorCommand(
        _ command: ChatCommand, in key: ConversationKey, within time: Duration
    ) async -> ChatAnswer? {
        let loop = View.preferredLoop(of: key, loops: self.loopCount)
        return await self.request(loop, within: time) { reply in
            .command(command, key) { reply($0) }
        }
    }

    /// Admits a search, which `read` then gets with this permit.
    public func beginSearch(for searcher: LimitKey) throws(SearchRefusal) -> SearchPermit {
        try self.shared.searches.begin(for: searcher)
    }

    /// Reads from the store. Nil if there is no answer in time.
    public func read(_ request: StoreRequest, within time: Duration) async -> StoreAnswer? {
        await self.request(0, within: time) { reply in .read(request) { reply($0) } }
    }

    /// Counts a further page for the answer to one request as a page of a replay, and returns when
    /// the client may read it.
    public func awaitFurtherRead(by client: LimitKey) async {
        while let seconds = self.shared.rates.consumeReplay(
            by: client, limits: self.limits.ofUser), !Task.isCancelled
        {
            try? await Task.sleep(for: .seconds(seconds))
        }
    }

    func request<Value: Sendable>(
        _ loop: Int, within time: Duration,
        _ make: (@escaping @Sendable (Value) -> Void) -> LoopControlMessage
    ) async -> Value? {
        let answer = FirstAnswer<Value>()
        await withCheckedContinuation { continuation in
            answer.open(continuation)
            let timeout = Task {
                try? await Task.sleep(for: time)
                answer.complete(nil)
            }
            self.post(
                make {
                    answer.complete($0)
                    timeout.cancel()
                }, to: loop)
        }
        return answer.value
    }
}

/// The first result of a request; later ones are ignored. The timeout's result is nil.
///
/// The value passes through the mutex and not through the continuation: the thread sanitizer does
/// not see that a continuation synchronizes if it is resumed before its task has suspended.
private final class FirstAnswer<Value: Sendable>: Sendable {
    private enum State {
        case unasked
        case waiting(CheckedContinuation<Void, Never>)
        case answered(Value?)
    }

    private let state = Mutex(State.unasked)

    func open(_ continuation: CheckedContinuation<Void, Never>) {
        self.state.withLock { $0 = .waiting(continuation) }
    }

    func complete(_ value: Value?) {
        let waiting: CheckedContinuation<Void, Never>? = self.state.withLock { state in
            guard case .waiting(let continuation) = state else { return nil }
            state = .answered(value)
            return continuation
        }
        waiting?.resume()
    }

    /// Nil before the answer.
    var value: Value? {
        self.state.withLock { if case .answered(let value) = $0 { value } else { nil } }
    }
}
