internal import Bytes
internal import ChatCore
internal import ChatEngine
internal import ChatModel
public import ClusterWire
public import Configuration
internal import EventLoop
public import Gateway
internal import JSON
public import NodeLink
internal import Synchronization
public import Telemetry
public import Webhooks

/// Answers operators' requests for the whole cluster, on any node.
///
/// It queries the other nodes through their mailboxes, waits two seconds for each, and reports
/// which did not answer. A single node is a cluster of one. It only reads from the loops, the store
/// and the link, and none of them waits for it.
public final class ClusterAdmin: Sendable {
    private struct State {
        var record: NodeRecord
        var gateway: Gateway?
        var link: NodeLink?
        var inspection: NodeInspection?
        var drain: Task<Void, Never>?
        var isShuttingDown = false
        var settings: [NodeSetting] = []
        var events = LocalEventLog()
        var readings = ContentReadings()
        var webhooks: WebhookService?
        var creation: ConversationCreation?
    }

    /// The timeout for this node's own loops and store; shorter than that of a query from another
    /// node.
    static let localTimeout = Duration.milliseconds(1500)

    let clusterName: String
    let store: StoreKind
    /// Whether the node is part of a cluster, or joins one.
    var isClustered: Bool { self.store.isShared }
    /// How many replicas must have a write before it is acknowledged; nil: one, if there are any.
    let waitReplicas: Int?
    let defaultDrain: Duration
    let logger: Logger
    /// The log level of this node.
    public let logLevels: LogLevelControl
    private let state: Mutex<State>

    /// - Parameter drain: the default duration of a drain.
    public init(
        record: NodeRecord, clusterName: String, store: StoreKind, waitReplicas: Int?,
        drain: Duration, logger: Logger
    ) {
        self.state = Mutex(State(record: record))
        self.clusterName = clusterName
        self.store = store
        self.waitReplicas = waitReplicas
        self.defaultDrain = drain
        self.logger = logger
        self.logLevels = LogLevelControl(logger)
    }

    /// Requests are answered from now on.
    public func attach(_ gateway: Gateway) {
        self.state.withLock { state in
            state.record.address = gateway.clientAddress.text
            state.record.adminAddress = gateway.adminAddress?.text
            state.gateway = gateway
        }
    }

    /// The node is part of a cluster.
    public func attach(_ link: NodeLink) { self.state.withLock { $0.link = link } }

    /// The node sends webhooks.
    public func attach(_ webhooks: WebhookService) {
        self.state.withLock { $0.webhooks = webhooks }
    }

    /// Operators can create conversations.
    public func attach(_ creation: ConversationCreation) {
        self.state.withLock { $0.creation = creation }
    }

    /// The node's settings and files can be inspected.
    public func attach(_ inspection: NodeInspection) {
        self.state.withLock { $0.inspection = inspection }
    }

    /// The node is no part of a cluster, and keeps its events itself.
    public func attach(_ events: LocalEventLog) { self.state.withLock { $0.events = events } }

    /// The node is shutting down and cannot be resumed any more.
    public func beginShutdown() { self.state.withLock { $0.isShuttingDown = true } }

    /// The effective settings, at the start and after each reload.
    public func attach(_ settings: [NodeSetting]) { self.state.withLock { $0.settings = settings } }

    /// The node's record; in a cluster its incarnation may change.
    var record: NodeRecord { self.state.withLock { $0.record } }
    var gateway: Gateway? { self.state.withLock { $0.gateway } }
    /// The default limits until the gateway is attached.
    var limits: Limits { self.gateway?.limits ?? Limits() }
    var link: NodeLink? { self.state.withLock { $0.link } }
    var settings: [NodeSetting] { self.state.withLock { $0.settings } }
    var webhooks: WebhookService? { self.state.withLock { $0.webhooks } }
    var creation: ConversationCreation? { self.state.withLock { $0.creation } }
    var inspection: NodeInspection? { self.state.withLock { $0.inspection } }

    /// The drain that the node performs; a new one replaces it.
    ///
    /// - Returns: false if the node is shutting down.
    func replaceDrain(with task: Task<Void, Never>?) -> Bool {
        self.state.withLock { state in
            state.drain?.cancel()
            state.drain = task
            return !state.isShuttingDown
        }
    }

    // MARK: Queries of other nodes

    /// Answers another node's request with a JSON document; nil if this node cannot.
    public func answer(_ request: NodeRequest) async -> String? {
        await self.reply(to: request)?.text
    }

    /// Answers a request of this node or of another one; nil if this version does not know it.
    func reply(to request: NodeRequest) async -> JSONTree? {
        guard let gateway = self.gateway, let answer = Self.localAnswers[request.topic] else {
            return nil
        }
        return await answer(self, gateway, request.arguments)
    }

    /// Answers one request about this node alone.
    typealias LocalAnswer = @Sendable (ClusterAdmin, Gateway, JSONTree) async -> JSONTree?

    /// The topics that only read. A node answers them also at its admin address, when Redis carries
    /// no messages; a recorded question could be replayed there.
    static let directTopics: Set<String> = [
        "node", "shards", "stored", "redis", "details", "connections", "connection",
        "conversations", "conversation", "webhooks", "dead_letters",
    ]

    /// The requests of nodes, by their topics.
    static let localAnswers: [String: LocalAnswer] = [
        "node": { admin, gateway, _ in await admin.localNodeRow(gateway) },
        "shards": { _, gateway, _ in
            .array(await gateway.shards(within: localTimeout).map(ShardRow.init).map(\.tree))
        },
        "stored": { _, gateway, key in
            guard let id = key["conversation"]?.stringValue, let tenant = key["tenant"]?.stringValue
            else { return nil }
            let stored = await gateway.storedPosition(
                of: ConversationKey(tenant: ByteString(tenant), id: ByteString(id)),
                within: localTimeout)
            return stored.map { OwnerPosition(head: $0.head, revision: $0.revision).tree } ?? .null
        },
        "claim": { _, gateway, key in
            guard let id = key["conversation"]?.stringValue, let tenant = key["tenant"]?.stringValue
            else { return nil }
            let key = ConversationKey(tenant: ByteString(tenant), id: ByteString(id))
            let epoch = await gateway.claim(key, within: localTimeout)
            return epoch.map { .integer($0) } ?? .null
        },
        "redis": { admin, _, _ in await admin.localRedisRow() },
        "refresh_bans": { _, gateway, _ in await refreshBans(gateway) },
        "disconnect": { _, gateway, order in await disconnect(gateway, order) },
        "connections": { await $0.localConnections($1, $2) },
        "connection": { await $0.localConnection($1, $2) },
        "conversations": { await $0.localConversations($1, $2) },
        "conversation": { await $0.localConversation($1, $2) },
        "details": { admin, gateway, _ in await admin.localNodeDetails(gateway) },
        "trace": { admin, gateway, query in await admin.localTrace(gateway, query) },
        "trace_user": { admin, gateway, query in await admin.localUserMessages(gateway, query) },
        "facts": { admin, gateway, _ in await admin.localFacts(gateway) },
        "repair": { admin, gateway, key in await admin.repairLocally(gateway, key) },
        "support": { admin, _, _ in await admin.localSupportFiles() },
        "drain": { admin, gateway, order in await admin.drain(gateway, order) },
        "resume": { admin, gateway, order in .bool(admin.resume(gateway, order)) },
        "log-level": { admin, _, order in admin.setLocalLogLevel(order) },
        "webhooks": { admin, _, _ in admin.localWebhooks() },
        "dead_letters": { admin, _, _ in await admin.localDeadLetters() },
        "change_dead_letters": { admin, _, order in await admin.changeLocalDeadLetters(order) },
        "close_clients": { admin, gateway, order in await admin.closeClients(gateway, order) },
    ]

    // MARK: Events

    /// Records an operator's action in the cluster's event log.
    func record(_ event: String, _ request: AdminRequest, detail: String? = nil) {
        self.record(event, by: request.operatorName, detail: detail)
    }

    func record(_ event: String, by operatorName: String?, detail: String? = nil) {
        var details: [NodeLink.Event.Detail] = []
        if let operatorName { details.append(.init("operator", operatorName)) }
        if let detail { details.append(.init("detail", detail)) }
        if let link = self.link { return link.record(event, details) }
        let common: [NodeLink.Event.Detail] = [
            .init("event", event), .init("name", self.record.name),
        ]
        self.localEvents.append(common + details, at: WallClock.now)
    }

    func isNewReading(_ reading: ContentReadings.Reading) -> Bool {
        self.state.withLock { $0.readings.add(reading, at: .now) }
    }

    var localEvents: LocalEventLog { self.state.withLock { $0.events } }

    /// Records starts and stops of a node without a cluster; in a cluster the view's changes are
    /// events.
    public func recordLifecycle(_ event: String) {
        if self.link == nil { self.record(event, by: nil) }
    }

    /// Records failures of a local store and their ends, until the task is cancelled. It reads the
    /// node's health once a second, because health is the only place that knows all failures.
    public func watchStore() async {
        var failure: (reason: String, since: Int64)?
        while (try? await Task.sleep(for: .seconds(1))) != nil {
            guard let gateway = self.gateway else { continue }
            let now = MonotonicTime.now.nanoseconds / 1_000_000
            if case .degraded(let reason) = gateway.health.status {
                if failure == nil {
                    failure = (reason, now)
                    self.record("store_failed", by: nil, detail: reason)
                }
            } else if let ended = failure {
                failure = nil
                let duration = ClusterDiagnosis.seconds(now - ended.since)
                self.record(
                    "store_recovered", by: nil, detail: "after \(duration): \(ended.reason)")
            }
        }
    }

    /// Clients only: connections of health checks do not count.
    static func connections(in reports: [LoopReport]) -> Int {
        reports.map(\.connections).reduce(0, +)
    }

    /// The row of this node in `nodes`.
    private func localNodeRow(_ gateway: Gateway) async -> JSONTree {
        let reports = await gateway.reports(within: Self.localTimeout)
        let connections = Self.connections(in: reports)
        let process = ProcessStatistics()
        var row: [JSONTree.ObjectMember] = [
            .init(
                "uptime",
                .integer((WallClock.now.milliseconds - self.record.startedAt.milliseconds) / 1000)),
            .init("connections", .integer(connections)),
            .init("users", .integer(reports.map(\.users).reduce(0, +))),
            .init("conversations", .integer(reports.map(\.conversations).reduce(0, +))),
            .init("in_s", .number(OperatorText.decimal(reports.map(\.messagesIn).reduce(0, +)))),
            .init("out_s", .number(OperatorText.decimal(reports.map(\.messagesOut).reduce(0, +)))),
            .init("slow", .integer(reports.map(\.slowConnections).reduce(0, +))),
            .init("pending", .integer(reports.map(\.pendingBytes).reduce(0, +))),
        ]
        if let link = self.link {
            let status = await link.clusterStatus()
            row.append(.init("mail_age", .integer(status.lastDeliveryAge)))
            row.append(
                .init("redis_unreachable_for", status.redisSilence.map { .integer($0) } ?? .null))
        }
        let lag = reports.compactMap { Self.percentile99($0.turns) }.max()
        row.append(
            .init(
                "loop_lag_p99", lag.map { .number(OperatorText.decimal(Double($0) / 1e6)) } ?? .null
            ))
        row.append(.init("rss", process.map { .integer($0.residentBytes) } ?? .null))
        row.append(
            .init(
                "b_conn",
                process.flatMap {
                    connections == 0 ? nil : .integer(Int($0.residentBytes) / connections)
                } ?? .null))
        row.append(
            .init("cpu", .number(OperatorText.decimal(100 * reports.map(\.cpu).reduce(0, +)))))
        let health: (word: String, reason: String?) =
            switch gateway.health.status {
            case .healthy: ("healthy", nil)
            case .starting: ("degraded", "the node is starting")
            case .degraded(let reason): ("degraded", reason)
            case .draining: ("draining", nil)
            }
        let restored = reports.reduce(into: RecoveryCounts()) { $0 += $1.restored }
        row.append(.init("restored", .integer(restored.inPlace)))
        row.append(.init("renumbered", .integer(restored.moved)))
        row.append(.init("lost", .integer(restored.lost)))
        row.append(.init("health", .string(health.word)))
        row.append(.init("reason", health.reason.map { .string($0) } ?? .null))
        if reports.count < gateway.loopCount {
            row.append(.init("unresponsive_loops", .integer(gateway.loopCount - reports.count)))
        }
        return .object(row)
    }

    static func percentile99(_ turns: [UInt64]) -> UInt64? {
        guard !turns.isEmpty else { return nil }
        return turns.sorted()[max(0, (turns.count * 99 + 99) / 100 - 1)]
    }

    private func localRedisRow() async -> JSONTree? {
        guard let link = self.link else { return nil }
        let status = await link.clusterStatus()
        var row: [JSONTree.ObjectMember] = [
            .init("mode", .string(status.redisMode)),
            .init("servers", .string(status.redisServers.joined(separator: " "))),
            .init("last_delivery", .integer(status.lastDeliveryAge)),
            .init("rebuilds", .integer(status.mailboxResubscriptions)),
        ]
        let isSilent = status.redisSilence != nil
        guard let (info, microseconds) = isSilent ? nil : await link.inspectRedis() else {
            let silence = ClusterDiagnosis.seconds(status.redisSilence ?? 0)
            row.append(
                .init(
                    "failure",
                    .string(status.redisOutage ?? "Redis has not answered for \(silence)")))
            return .object(row)
        }
        row.append(.init("round_trip", .number(OperatorText.decimal(Double(microseconds) / 1000))))
        return .object(row + RedisInfo(info).row)
    }
}
