import Bytes
public import ChatModel
public import EventLoop
public import RedisClient

/// Conversations in Redis streams: fills `ChatStore` for one loop, over the loop's own connection.
///
/// A batch is one script call in Redis, in Redis Cluster one for each shard; calls follow each other without waiting for answers. Where
/// Redis has replicas a write counts as stored when so many of them have it as `?wait=N` says, one if it says nothing.
public final class RedisStore: ChatStore, RedisClientUser, EventLoopHandler {
    /// What the client of this store is to load.
    public static let scripts = [
        claim, write, load, page, amended, recent, unread, listEntries, listSummary,
        removeStaleEntries, numbers, nextNumber, users,
    ]
    private static let claim = RedisScript(StoreScripts.claim)
    private static let write = RedisScript(StoreScripts.write)
    private static let load = RedisScript(StoreScripts.load)
    private static let page = RedisScript(StoreScripts.page)
    private static let amended = RedisScript(StoreScripts.amended)
    private static let recent = RedisScript(StoreScripts.recent)
    private static let unread = RedisScript(StoreScripts.unread)
    static let listEntries = RedisScript(ListScripts.entries)
    static let listSummary = RedisScript(ListScripts.summary)
    static let removeStaleEntries = RedisScript(ListScripts.removeStale)
    private static let numbers = RedisScript(NumberScripts.numbers)
    private static let nextNumber = RedisScript(NumberScripts.next)
    private static let users = RedisScript(NumberScripts.users)

    public let loop: EventLoop
    let settings: RedisStoreSettings
    let loopState: LoopBound<State>

    struct State {
        var client: RedisClient?
        var pendingCommands = Slab<PendingCommand>()
        var operations = PendingOperations()
        /// Writes that wait for lists to name what they make; in Redis Cluster alone.
        var deferredWrites = DeferredWrites()
        /// Pages of lists that are being read.
        var pagers = Slab<ListPager>()
        let arguments: ScriptArguments
        /// Who wants to know of another connection, and whether there was one before.
        var reconnectHandler: (@Sendable () -> Void)?
        var wasConnected = false
        /// By the client's number of each master that has said it, what it says of its replicas.
        var replicaMonitors: [Int: ReplicaMonitor] = [:]
        var isReady = false
        var nextRoleQueryAt = MonotonicTime(nanoseconds: 0)
    }

    /// Prepares a store; it answers nothing before it has a client.
    public init(_ settings: RedisStoreSettings, on loop: EventLoop) {
        self.loop = loop
        self.settings = settings
        let keys = StoreKeys(cluster: ByteString(settings.clusterName))
        self.loopState = LoopBound(
            State(
                arguments: ScriptArguments(
                    keys: keys, history: settings.history, namesAllKeys: settings.isCluster)),
            on: loop)
    }

    /// On the loop: begins to work over a client, which this store keeps from here on, and whose user is or tells this store.
    public func start(over client: RedisClient) {
        self.loopState.with { $0.client = client }
        self.loop.registerHandler(self)
    }

    /// From any thread: `reconnectHandler` is called, on the loop, whenever there is a connection after another: it may lead to a server that has
    /// forgotten what was stored.
    public func onReconnect(_ whenBack: @escaping @Sendable () -> Void) {
        self.loop.execute { self.loopState.with { $0.reconnectHandler = whenBack } }
    }

    /// On the loop: whether notices of a batch are published in the step that stores it. Not in Redis Cluster, where they belong to other
    /// slots, and not where replicas are to have a write before anybody hears of it.
    public var publishesWithWrites: Bool {
        !self.settings.isCluster
            && self.loopState.with { $0.isReady && self.requiredReplicas(.any, $0) == 0 }
    }

    public func submit(_ request: StoreRequest, ticket: StoreTicket, for client: any StoreClient) {
        guard self.loop.isCurrent else {
            self.loop.execute { self.submit(request, ticket: ticket, for: client) }
            return
        }
        if let excess = request.limitViolation {
            return client.storeAnswered(.failed(excess), ticket: ticket)
        }
        if case .unavailable(let outage)? = self.loopState.with({ $0.client?.state }),
            self.needsConnection(request)
        {
            return client.storeAnswered(
                .failed(StoreFailure(outage.description, effect: .none)), ticket: ticket)
        }
        let asker = PendingCommand.StoreRequester(client: client, ticket: ticket)
        do throws(RedisError) {
            try self.loopState.with { body throws(RedisError) in
                try self.dispatch(request, asker, &body)
            }
        } catch {
            client.storeAnswered(.failed(StoreFailure(error)), ticket: ticket)
        }
    }

    /// Whether a request is refused while there is no connection. Others wait for one.
    private func needsConnection(_ request: StoreRequest) -> Bool {
        switch request {
        // In a cluster a probe is of one master, and may be well while another is missing.
        case .probe: true
        // A send that waits for these could be stored when its sender has long been told otherwise. In a cluster its master may be there.
        case .write, .load, .claim: !self.settings.isCluster
        default: false
        }
    }
}

// MARK: Asking

extension RedisStore {
    /// Throws when nothing was asked, and nothing will be answered.
    func dispatch(
        _ request: StoreRequest, _ asker: PendingCommand.StoreRequester, _ body: inout State
    ) throws(RedisError) {
        switch request {
        case .claim, .write, .numbers, .nextNumber, .probe:
            let deadline = MonotonicTime.now.advanced(by: self.settings.confirmationTimeout)
            let deed = body.operations.add(
                StoreOperation(requester: asker, request: request, deadline: deadline))
            do throws(RedisError) {
                try self.startOperation(deed, request, &body)
            } catch {
                // Part of it may be on its way; then its answers settle it.
                if body.operations[deed]?.pendingCommandCount == 0,
                    body.operations[deed]?.deferredPartCount == 0
                {
                    body.operations.cancel(deed)
                    throw error
                }
                body.operations[deed]?.failure = StoreFailure(error.description, effect: .unknown)
            }
        case .load(let key):
            try self.sendRead(key, Self.load, request, asker, &body) { _ in }
        case .recent(let key, let limit):
            try self.sendRead(key, Self.recent, request, asker, &body) {
                $0.append(clamped: max(0, limit))
            }
        case .page(let key, let range, let limit):
            try self.sendRead(key, Self.page, request, asker, &body) {
                $0.append(range, limit: limit, since: -1)
            }
        case .changes(let key, let after, let since, let limit):
            try self.sendRead(key, Self.page, request, asker, &body) {
                $0.append(.after(after), limit: limit, since: since)
            }
        case .amended(let key, let through, let since, let limit):
            try self.sendRead(key, Self.amended, request, asker, &body) {
                $0.append(clamped: through)
                $0.append(clamped: since)
                $0.append(clamped: max(0, limit))
            }
        case .unread(let key, let after, let user):
            try self.sendRead(key, Self.unread, request, asker, &body) {
                $0.append(clamped: after)
                $0.append(text: user.storageKey)
            }
        case .memberships, .catalog:
            try self.startPaging(request, asker, &body)
        case .users(let numbers, let tenant):
            let key = body.arguments.key(of: .numbers(tenant))
            try self.sendCommand(.read(asker, request), self.settings.slot(of: key), &body) {
                command, _ in
                command.append(Self.users, keyCount: 1)
                command.append(text: key)
                for number in numbers { command.append(number) }
            }
        }
    }

    func startOperation(_ deed: UInt64, _ request: StoreRequest, _ body: inout State)
        throws(RedisError)
    {
        switch request {
        case .claim(let shard, let owner, let view):
            let slot = self.settings.slot(of: shard)
            try self.sendCommand(.claim(deed, slot), slot, &body) { command, words in
                command.append(Self.claim, keyCount: 1)
                words.appendLease(of: shard, for: owner, view: view, to: &command)
            }
            try self.requestConfirmation(deed, slot, &body)
        case .write(let batch):
            guard self.settings.isCluster else {
                return try self.sendWrites(batch, nil, for: deed, &body)
            }
            // A script stays in one slot: a call for each shard, in the order in which the batch names them.
            var parts: [(shard: Int, places: [Int])] = []
            for (place, write) in batch.writes.enumerated() {
                if let known = parts.firstIndex(where: { $0.shard == write.shard }) {
                    parts[known].places.append(place)
                } else {
                    parts.append((write.shard, [place]))
                }
            }
            for part in parts {
                let places = self.deferWrites(part.places, of: batch, for: deed, &body)
                if !places.isEmpty { try self.sendWrites(batch, places, for: deed, &body) }
            }
        case .numbers(let users, let tenant):
            try self.sendNumberScript(deed, tenant, Self.numbers, &body) { command in
                command.append(StoreRequest.firstUserNumber)
                for user in users { command.append(text: user.storageKey) }
            }
        case .nextNumber(let tenant):
            try self.sendNumberScript(deed, tenant, Self.nextNumber, &body) { _ in }
        case .probe:
            let key = body.arguments.probeKey
            let slot = self.settings.slot(of: key)
            try self.sendCommand(.probe(deed, slot), slot, &body) { command, _ in
                command.append("SET")
                command.append(text: key)
                command.append(1)
            }
            try self.requestConfirmation(deed, slot, &body)
        default:
            preconditionFailure("a read is no deed")
        }
    }

    private func sendNumberScript(
        _ deed: UInt64, _ tenant: ByteString, _ script: RedisScript, _ body: inout State,
        _ arguments: (inout RedisCommandWriter) -> Void
    ) throws(RedisError) {
        let key = body.arguments.key(of: .numbers(tenant))
        let slot = self.settings.slot(of: key)
        try self.sendCommand(.number(deed, slot), slot, &body) { command, _ in
            command.append(script, keyCount: 1)
            command.append(text: key)
            arguments(&command)
        }
        try self.requestConfirmation(deed, slot, &body)
    }

    /// - Parameter places: of the writes in the batch; nil for all of them.
    func sendWrites(_ batch: WriteBatch, _ places: [Int]?, for deed: UInt64, _ body: inout State)
        throws(RedisError)
    {
        let slot = self.settings.slot(of: batch.writes[places?.first ?? 0].shard)
        var batch = batch
        // A replica has come since they were packed: lost mail, which its receiver misses.
        if !batch.publications.isEmpty, self.requiredReplicas(slot, body) != 0 {
            batch.publications = []
        }
        let now = WallClock.now
        try self.sendCommand(.write(deed, slot, positions: places), slot, &body) { command, words in
            if let places {
                words.append(batch, places, at: now, to: &command, script: Self.write)
            } else {
                words.append(batch, batch.writes.indices, at: now, to: &command, script: Self.write)
            }
        }
        try self.requestConfirmation(deed, slot, &body)
    }

    private func sendRead(
        _ key: ConversationKey, _ script: RedisScript, _ request: StoreRequest,
        _ asker: PendingCommand.StoreRequester, _ body: inout State,
        _ arguments: (inout RedisCommandWriter) -> Void
    ) throws(RedisError) {
        let shard = Shard.of(key)
        try self.sendCommand(.read(asker, request), self.settings.slot(of: shard), &body) {
            command, words in
            words.append(script, of: key, in: shard, to: &command)
            arguments(&command)
        }
    }

    func sendCommand(
        _ call: PendingCommand, _ slot: RedisSlot, over connection: RedisConnection? = nil,
        _ body: inout State,
        _ write: (inout RedisCommandWriter, ScriptArguments) -> Void
    ) throws(RedisError) {
        guard let client = body.client else { throw .noConnection }
        let words = body.arguments
        let tag = body.pendingCommands.insert(call)
        do throws(RedisError) {
            if let connection {
                try client.command(tag: tag, slot: slot, over: connection) { write(&$0, words) }
            } else {
                try client.command(tag: tag, slot: slot) { write(&$0, words) }
            }
        } catch {
            _ = body.pendingCommands.remove(tag)
            throw error
        }
        if let deed = call.operation { body.operations[deed]?.pendingCommandCount += 1 }
    }
}

// MARK: The loop

extension RedisStore {
    public func socketReady(_ token: SocketToken, readable: Bool, writable: Bool) {}

    public func tick(now: MonotonicTime) {
        self.loopState.with { self.queryRoles(now: now, &$0) }
        self.failOverdue(now: now)
    }
}
