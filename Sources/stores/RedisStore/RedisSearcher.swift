internal import Bytes
internal import ChatModel
public import EventLoop
internal import Glibc
public import RedisClient

/// Searches messages for all loops of a node, on a thread and a connection of its own. A page of
/// texts costs the other loops nothing: they neither read nor parse it.
///
/// There is no index: a search reads the stream backwards, so a deleted message is never found, and
/// nothing can become inconsistent. One command is under way at a time, and after each the thread
/// rests as long as the command and its reply took. So the searches of a node also use at most half
/// of the time of one Redis server.
public final class RedisSearcher: RedisClientUser {
    /// The scripts that the searcher's client loads.
    static let scripts = [StoreScripts.search, StoreScripts.messages]
    /// Beyond this time, Redis was unavailable or suspended, and did no work.
    private static let longestWork = Duration.milliseconds(250)
    /// How often a command is sent again after Redis has lost the scripts.
    private static let attemptLimit = 3

    let loop: EventLoop
    private let settings: RedisStoreSettings
    private let loopState: LoopBound<State>

    private struct State {
        var client: RedisClient?
        let arguments: ScriptArguments
        /// The searches in the order of their next commands.
        var waiting: [MessageSearch] = []
        /// The search whose command is under way, and when that was sent.
        var active: (search: MessageSearch, sentAt: ContinuousClock.Instant, attempts: Int)?
        /// When the thread had nothing to do or began to rest.
        var idleSince = ContinuousClock.now
        var duty = DutyCycle()
    }

    /// Starts to connect. The first search waits for the connection.
    ///
    /// - Parameter seed: for the random backoff of reconnects; different for each client.
    public init(_ redis: RedisSettings, store settings: RedisStoreSettings, seed: UInt64)
        throws(SocketError)
    {
        let loop = try EventLoop.start(name: "store-search")
        self.loop = loop
        self.settings = settings
        self.loopState = LoopBound(
            State(
                arguments: ScriptArguments(
                    keys: StoreKeys(cluster: ByteString(settings.clusterName)),
                    history: settings.history, namesAllKeys: settings.isRedisCluster)), on: loop)
        loop.execute { [weak self] in
            guard let self else { return }
            let client = RedisClient(redis, scripts: Self.scripts, on: loop, seed: seed, user: self)
            self.loopState.with { $0.client = client }
            client.start()
        }
    }

    deinit { self.loop.stop() }

    /// Executes a search. Callable on any thread.
    func submit(_ search: MessageSearch) {
        self.loop.execute { [weak self] in
            guard let self else {
                return search.answer(.failed(StoreFailure("the store is closed", effect: .none)))
            }
            let isAccepted = self.loopState.with { state in
                guard state.waiting.count < SearchAdmission.countLimit else { return false }
                state.waiting.append(search)
                return true
            }
            guard isAccepted else { return search.answer(.searchRefused(.nodeIsBusy)) }
            self.advance()
        }
    }

    /// Sends the next command, unless one is under way.
    private func advance() {
        while let (search, answer) = self.loopState.with({ self.sendNext(&$0) }) {
            search.answer(answer)
        }
    }

    /// - Returns: a search that ends without a command, and its answer.
    private func sendNext(_ state: inout State) -> (MessageSearch, StoreAnswer)? {
        guard state.active == nil, !state.waiting.isEmpty else { return nil }
        let search = state.waiting.removeFirst()
        if search.permit?.isCancelled == true { return (search, .searchRefused(.cancelled)) }
        do throws(RedisError) {
            state.duty.rested(for: ContinuousClock.now - state.idleSince)
            state.active = (search, .now, 1)
            try self.send(search, state)
            return nil
        } catch {
            state.active = nil
            return (search, .failed(StoreFailure(error)))
        }
    }

    private func send(_ search: MessageSearch, _ state: State) throws(RedisError) {
        guard let client = state.client else { throw .noConnection }
        let (shard, arguments) = (Shard.of(search.key), state.arguments)
        try client.command(tag: CommandTag(rawValue: 0), slot: self.settings.slot(of: shard)) {
            command in
            switch search.next {
            case .texts(let before, let count):
                arguments.append(StoreScripts.search, of: search.key, in: shard, to: &command)
                if let before { command.append(clamped: before) } else { command.append("") }
                command.append(count)
            case .messages(let numbers):
                arguments.append(StoreScripts.messages, of: search.key, in: shard, to: &command)
                for number in numbers { command.append(number) }
            }
        }
    }

    public func redisReplied(_ reply: RedisReply, to tag: CommandTag) {
        self.finishCommand { search in
            do throws(DamagedValue) {
                return try search.receive(reply).map { .found($0) }
            } catch {
                return .failed(StoreFailure(error, about: search.key.description))
            }
        }
    }

    public func redisFailed(_ error: RedisError, tag: CommandTag) {
        let isSentAgain = self.loopState.with { state in
            // The client is loading the scripts again, before any command that is sent now.
            guard error == .scriptLost, var active = state.active,
                active.attempts < Self.attemptLimit
            else { return false }
            active.attempts += 1
            state.active = active
            do throws(RedisError) {
                try self.send(active.search, state)
                return true
            } catch {
                return false
            }
        }
        guard !isSentAgain else { return }
        self.finishCommand { search in
            .failed(StoreFailure(error, about: search.key.description))
        }
    }

    public func redisChanged(_ state: RedisClient.State) {}

    /// Ends the command that is under way, answers its search or lets it wait for its next turn,
    /// and rests.
    private func finishCommand(_ receive: (inout MessageSearch) -> StoreAnswer?) {
        let ended: (search: MessageSearch, answer: StoreAnswer?, rest: Duration)? =
            self.loopState.with { state in
                guard let active = state.active else { return nil }
                state.active = nil
                var search = active.search
                let answer = receive(&search)
                if answer == nil { state.waiting.append(search) }
                state.idleSince = .now
                let rest = state.duty.worked(
                    for: min(state.idleSince - active.sentAt, Self.longestWork))
                return (search, answer, rest)
            }
        guard let ended else { return }
        if let answer = ended.answer { ended.search.answer(answer) }
        // The thread has no other work, so it may sleep.
        if ended.rest > .zero { usleep(UInt32(clamping: Int(ended.rest / .microseconds(1)))) }
        self.advance()
    }
}

extension MessageSearch {
    fileprivate func answer(_ answer: StoreAnswer) {
        self.requester.client.storeAnswered(answer, ticket: self.requester.ticket)
    }
}

extension RedisStore {
    /// Passes a search to the searcher, from any thread.
    func search(
        _ request: StoreRequest, ticket: StoreTicket, for client: any StoreClient
    ) {
        guard case .search(let key, let query, let before, let limit, let permit) = request,
            let searcher
        else { return client.storeAnswered(.cannotSearch, ticket: ticket) }
        searcher.submit(
            MessageSearch(
                key, query, before: before, limit: limit, permit: permit,
                for: PendingCommand.StoreRequester(client: client, ticket: ticket)))
    }
}
