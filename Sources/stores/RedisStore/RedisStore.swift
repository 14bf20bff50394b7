import Bytes
public import ChatModel
public import EventLoop
public import RedisClient

/// Stores conversations in Redis streams: implements `ChatStore` for one loop, over the loop's own
/// connection.
///
/// A batch is one script call, in Redis Cluster one call for each shard. Calls are pipelined. With
/// replicas, a write counts as stored when `?wait=N` replicas have it; by default when one has it.
public final class RedisStore: ChatStore, RedisClientUser, EventLoopHandler {
    /// The scripts that the store's client must load.
    public static let scripts = StoreScripts.loaded

    public let loop: EventLoop
    let settings: RedisStoreSettings
    let searcher: RedisSearcher?
    let loopState: LoopBound<State>

    struct State {
        var client: RedisClient?
        var pendingCommands = Slab<PendingCommand>()
        var operations = PendingOperations()
        /// Writes that wait for their index entries; only in Redis Cluster.
        var deferredWrites = DeferredWrites()
        /// The list requests in progress.
        var pagers = Slab<ListPager>()
        /// In the order of their next attempts.
        var interruptedReads: [InterruptedRead] = []
        let arguments: ScriptArguments
        /// The handler to call after a reconnection, and whether there has been a connection.
        var reconnectHandler: (@Sendable () -> Void)?
        var wasConnected = false
        /// The replicas of each master, by the client's id of the master.
        var replicaMonitors: [Int: ReplicaMonitor] = [:]
        var isReady = false
        var nextRoleQueryAt = MonotonicTime(nanoseconds: 0)
    }

    /// Creates a store, which answers nothing before it has a client.
    ///
    /// - Parameter searcher: executes the searches; nil for a store that cannot search.
    public init(
        _ settings: RedisStoreSettings, on loop: EventLoop, searcher: RedisSearcher? = nil
    ) {
        self.loop = loop
        self.searcher = searcher
        self.settings = settings
        let keys = StoreKeys(cluster: ByteString(settings.clusterName))
        self.loopState = LoopBound(
            State(
                arguments: ScriptArguments(
                    keys: keys, history: settings.history, namesAllKeys: settings.isRedisCluster,
                    outbox: settings.outbox)),
            on: loop)
    }

    /// Starts the store with a client, on the loop. The client's user must be this store or forward
    /// to it.
    public func start(over client: RedisClient) {
        self.loopState.with { $0.client = client }
        self.loop.registerHandler(self)
    }

    /// Sets the handler that is called on the loop after every reconnection, which may lead to a
    /// server that has lost data. Callable on any thread.
    public func onReconnect(_ handler: @escaping @Sendable () -> Void) {
        self.loop.execute { self.loopState.with { $0.reconnectHandler = handler } }
    }

    /// Whether a batch's publications are published by the script that stores it; call on the loop.
    /// Not in Redis Cluster, where the channels belong to other slots. Not with replicas, which
    /// must have a write before it is published.
    public var publishesWithWrites: Bool {
        !self.settings.isRedisCluster
            && self.loopState.with { $0.isReady && self.requiredReplicas(.any, $0) == 0 }
    }

    public func submit(_ request: StoreRequest, ticket: StoreTicket, for client: any StoreClient) {
        if case .search = request { return self.search(request, ticket: ticket, for: client) }
        guard self.loop.isCurrent else {
            self.loop.execute { self.submit(request, ticket: ticket, for: client) }
            return
        }
        if let violation = request.limitViolation {
            return client.storeAnswered(.failed(violation), ticket: ticket)
        }
        if case .unavailable(let outage)? = self.loopState.with({ $0.client?.state }),
            self.needsConnection(request)
        {
            return client.storeAnswered(
                .failed(StoreFailure(outage, hasSentinels: self.settings.hasSentinels)),
                ticket: ticket)
        }
        self.send(request, PendingCommand.StoreRequester(client: client, ticket: ticket))
    }

    /// Whether a request fails at once without a connection. Others wait for one.
    private func needsConnection(_ request: StoreRequest) -> Bool {
        switch request {
        // In a cluster a probe concerns one master, which may work while another is missing.
        case .probe: true
        // If these waited, a message could be stored long after its sender was told that it failed.
        // In a cluster, the request's master may be available.
        case .write, .load, .claim, .ban, .unban: !self.settings.isRedisCluster
        default: false
        }
    }
}

// MARK: Requests

extension RedisStore {
    /// Throws if nothing was sent; then no answer follows.
    func dispatch(
        _ request: StoreRequest, _ requester: PendingCommand.StoreRequester, _ state: inout State
    ) throws(RedisError) {
        switch request {
        case .claim, .write, .numbers, .nextNumber, .ban, .unban, .probe:
            let deadline = MonotonicTime.now.advanced(by: self.settings.confirmationTimeout)
            let operationID = state.operations.add(
                StoreOperation(requester: requester, request: request, deadline: deadline))
            do throws(RedisError) {
                try self.startOperation(operationID, request, &state)
            } catch {
                // A part may have been sent; then its replies complete the operation.
                if state.operations[operationID]?.pendingCommandCount == 0,
                    state.operations[operationID]?.deferredPartCount == 0
                {
                    state.operations.cancel(operationID)
                    throw error
                }
                state.operations[operationID]?.failure = StoreFailure(
                    error.description, effect: .unknown)
            }
        case .load(let key):
            try self.sendRead(key, StoreScripts.load, request, requester, &state) { _ in }
        case .recent(let key, let limit):
            try self.sendRead(key, StoreScripts.recent, request, requester, &state) {
                $0.append(clamped: max(0, limit))
            }
        case .page(let key, let range, let limit):
            try self.sendRead(key, StoreScripts.page, request, requester, &state) {
                $0.append(range, limit: limit)
                $0.append(-1)
            }
        case .thread(let key, let root, let range, let limit):
            try self.sendRead(key, StoreScripts.thread, request, requester, &state) {
                $0.append(clamped: root)
                $0.append(range, limit: limit)
            }
        case .changes(let key, let after, let since, let limit):
            try self.sendRead(key, StoreScripts.page, request, requester, &state) {
                $0.append(.after(after), limit: PageLimit(messages: limit))
                $0.append(clamped: since)
            }
        case .amended(let key, let through, let since, let limit):
            try self.sendRead(key, StoreScripts.amended, request, requester, &state) {
                $0.append(clamped: through)
                $0.append(clamped: since)
                $0.append(limit)
            }
        case .unread(let key, let after, let user):
            try self.sendRead(key, StoreScripts.unread, request, requester, &state) {
                $0.append(clamped: after)
                $0.append(text: user.storageKey)
            }
        case .memberships, .catalog:
            try self.startPaging(request, requester, &state)
        case .search: preconditionFailure("the searcher executes searches")
        case .conversations, .examine, .repair: self.startInspection(request, requester)
        case .outbox(let outboxRequest): self.startOutboxRequest(outboxRequest, requester)
        case .users(let numbers, let tenant):
            let key = state.arguments.key(of: .numbers(tenant))
            try self.sendCommand(.read(requester, request), self.settings.slot(of: key), &state) {
                command, _ in
                command.append(StoreScripts.users, keyCount: 1)
                command.append(text: key)
                for number in numbers { command.append(number) }
            }
        case .bans:
            let key = state.arguments.bansKey
            try self.sendCommand(.read(requester, request), self.settings.slot(of: key), &state) {
                command, _ in
                command.append("HGETALL")
                command.append(text: key)
            }
        }
    }

    func startOperation(
        _ operationID: StoreOperationID, _ request: StoreRequest, _ state: inout State
    )
        throws(RedisError)
    {
        switch request {
        case .claim(let shard, let owner, let view):
            let slot = self.settings.slot(of: shard)
            try self.sendCommand(.claim(operationID, slot), slot, &state) { command, arguments in
                command.append(StoreScripts.claim, keyCount: 1)
                arguments.appendLease(of: shard, for: owner, view: view, to: &command)
            }
            try self.requestConfirmation(operationID, slot, &state)
        case .write(let batch):
            guard self.settings.isRedisCluster else {
                return try self.sendWrites(batch, nil, for: operationID, &state)
            }
            // A script runs in one slot, so each shard gets a call, in the order of the batch.
            var parts: [(shard: Int, positions: [Int])] = []
            for (position, write) in batch.writes.enumerated() {
                if let known = parts.firstIndex(where: { $0.shard == write.shard }) {
                    parts[known].positions.append(position)
                } else {
                    parts.append((write.shard, [position]))
                }
            }
            for part in parts {
                let positions = self.deferWrites(
                    part.positions, of: batch, for: operationID, &state)
                if !positions.isEmpty {
                    try self.sendWrites(batch, positions, for: operationID, &state)
                }
            }
        case .numbers(let users, let tenant):
            try self.sendNumberScript(operationID, tenant, StoreScripts.numbers, &state) {
                command in
                command.append(StoreRequest.firstUserNumber)
                for user in users { command.append(text: user.storageKey) }
            }
        case .nextNumber(let tenant):
            try self.sendNumberScript(operationID, tenant, StoreScripts.nextNumber, &state) { _ in }
        case .ban(let ban):
            try self.sendBanCommand(operationID, &state) { command, key in
                command.append(StoreScripts.putBan, keyCount: 1)
                command.append(text: key)
                command.append(text: StoredBan.field(ban.subject))
                command.append(text: StoredBan.value(ban))
                command.append(Ban.countLimit)
                command.append(ban.since.milliseconds)
            }
        case .unban(let subject):
            try self.sendBanCommand(operationID, &state) { command, key in
                command.append("HDEL")
                command.append(text: key)
                command.append(text: StoredBan.field(subject))
            }
        case .probe:
            let key = state.arguments.probeKey
            let slot = self.settings.slot(of: key)
            try self.sendCommand(.probe(operationID, slot), slot, &state) { command, _ in
                command.append("SET")
                command.append(text: key)
                command.append(1)
            }
            try self.requestConfirmation(operationID, slot, &state)
        default:
            preconditionFailure("a read request is not an operation")
        }
    }

    private func sendNumberScript(
        _ operationID: StoreOperationID, _ tenant: ByteString, _ script: RedisScript,
        _ state: inout State,
        _ writeArguments: (inout RedisCommandWriter) -> Void
    ) throws(RedisError) {
        let key = state.arguments.key(of: .numbers(tenant))
        let slot = self.settings.slot(of: key)
        try self.sendCommand(.number(operationID, slot), slot, &state) { command, _ in
            command.append(script, keyCount: 1)
            command.append(text: key)
            writeArguments(&command)
        }
        try self.requestConfirmation(operationID, slot, &state)
    }

    private func sendBanCommand(
        _ operationID: StoreOperationID, _ state: inout State,
        _ write: (inout RedisCommandWriter, ByteString) -> Void
    ) throws(RedisError) {
        let key = state.arguments.bansKey
        let slot = self.settings.slot(of: key)
        try self.sendCommand(.number(operationID, slot), slot, &state) { command, _ in
            write(&command, key)
        }
        try self.requestConfirmation(operationID, slot, &state)
    }

    /// - Parameter positions: of the writes in the batch; nil for all of them.
    func sendWrites(
        _ batch: WriteBatch, _ positions: [Int]?, for operationID: StoreOperationID,
        _ state: inout State
    )
        throws(RedisError)
    {
        let slot = self.settings.slot(of: batch.writes[positions?.first ?? 0].shard)
        var batch = batch
        // A replica has appeared since the batch was packed. Its publications are dropped, and
        // subscribers detect the gap.
        if !batch.publications.isEmpty, self.requiredReplicas(slot, state) != 0 {
            batch.publications = []
        }
        let now = WallClock.now
        let script = self.settings.outbox == nil ? StoreScripts.write : StoreScripts.writeWithOutbox
        try self.sendCommand(.write(operationID, slot, positions: positions), slot, &state) {
            command, arguments in
            if let positions {
                arguments.append(batch, positions, at: now, to: &command, script: script)
            } else {
                arguments.append(
                    batch, batch.writes.indices, at: now, to: &command, script: script)
            }
        }
        try self.requestConfirmation(operationID, slot, &state)
    }

    private func sendRead(
        _ key: ConversationKey, _ script: RedisScript, _ request: StoreRequest,
        _ requester: PendingCommand.StoreRequester, _ state: inout State,
        _ writeArguments: (inout RedisCommandWriter) -> Void
    ) throws(RedisError) {
        let shard = Shard.of(key)
        try self.sendCommand(.read(requester, request), self.settings.slot(of: shard), &state) {
            command, arguments in
            arguments.append(script, of: key, in: shard, to: &command)
            writeArguments(&command)
        }
    }

    func sendCommand(
        _ pendingCommand: PendingCommand, _ slot: RedisSlot,
        over connection: RedisConnection? = nil,
        _ state: inout State,
        _ write: (inout RedisCommandWriter, ScriptArguments) -> Void
    ) throws(RedisError) {
        guard let client = state.client else { throw .noConnection }
        let arguments = state.arguments
        let tag = CommandTag(rawValue: state.pendingCommands.insert(pendingCommand))
        do throws(RedisError) {
            if let connection {
                try client.command(tag: tag, slot: slot, over: connection) { write(&$0, arguments) }
            } else {
                try client.command(tag: tag, slot: slot) { write(&$0, arguments) }
            }
        } catch {
            _ = state.pendingCommands.remove(tag.rawValue)
            throw error
        }
        if let operationID = pendingCommand.operation {
            state.operations[operationID]?.pendingCommandCount += 1
        }
    }
}

// MARK: The loop

extension RedisStore {
    public func socketReady(_ token: SocketToken, readable: Bool, writable: Bool) {}

    public func tick(now: MonotonicTime) {
        self.loopState.with { self.queryRoles(now: now, &$0) }
        self.failOverdue(now: now)
        self.retryInterruptedReads(now: now)
    }
}
