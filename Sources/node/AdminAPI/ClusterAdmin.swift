internal import Bytes
internal import ChatModel
public import ClusterWire
public import Configuration
internal import EventLoop
public import Gateway
internal import HTTPWire
internal import JSON
public import NodeLink
public import Telemetry
public import Webhooks

/// Answers operators' requests for the whole cluster, on any node: the assembly of the groups of
/// verbs.
///
/// A single node is a cluster of one. The verbs only read from the loops, the store and the link,
/// and none of them waits for a verb.
public final class ClusterAdmin: Sendable {
    let context: AdminContext
    /// By the paths under `/api/cluster/`.
    let handlers: [String: AdminHandler]
    let readings: ReadingLog
    /// The log level of this node.
    public let logLevels: LogLevelControl
    private let topics: NodeTopicTable
    private let drain: OperatorDrain

    /// - Parameters:
    ///   - drain: the default duration of a drain.
    ///   - creation: nil if operators cannot create conversations.
    ///   - webhooks: nil if the node sends none.
    public init(
        record: NodeRecord, clusterName: String, store: StoreKind, waitReplicas: Int?,
        drain: Duration, logger: Logger, creation: ConversationCreation? = nil,
        webhooks: WebhookService? = nil
    ) {
        let context = AdminContext(
            record: record, clusterName: clusterName, store: store, waitReplicas: waitReplicas,
            logger: logger)
        let ownDrain = OperatorDrain()
        let levels = LogLevelControl(logger)
        let nodes = NodeVerbs(context: context)
        let status = StatusVerbs(context: context)
        let events = EventVerbs(context: context)
        let checks = VerifyVerbs(context: context)
        let webhooks = WebhookVerbs(context: context, service: webhooks)
        let groups: [any VerbGroup] = [
            nodes, status, events, checks, webhooks, ShardVerbs(context: context),
            ClientVerbs(context: context), ConversationVerbs(context: context),
            MessageVerbs(context: context), TraceVerbs(context: context),
            RepairVerbs(context: context, checks: checks),
            CreationVerbs(context: context, creation: creation),
            ModerationVerbs(context: context), RemovalVerbs(context: context),
            ServiceVerbs(context: context, ownDrain: ownDrain, defaultTime: drain),
            RebalanceVerbs(context: context), LogLevelVerbs(context: context, levels: levels),
            InspectionVerbs(context: context, webhooks: webhooks),
            PageVerbs(context: context, status: status, nodes: nodes, events: events),
        ]
        self.context = context
        self.drain = ownDrain
        self.handlers = Dictionary(
            uniqueKeysWithValues: groups.flatMap { $0.handlers.map { ($0.key, $0.value) } })
        self.readings = ReadingLog(context: context)
        self.logLevels = levels
        let topics = NodeTopicTable(groups)
        self.topics = topics
        context.change { $0.topics = topics }
    }

    /// Requests are answered from now on.
    public func attach(_ gateway: Gateway) {
        self.context.change { parts in
            parts.record.address = gateway.clientAddress.text
            parts.record.adminAddress = gateway.adminAddress?.text
            parts.gateway = gateway
        }
    }

    /// The node is part of a cluster.
    public func attach(_ link: any ClusterLink) { self.context.change { $0.link = link } }

    /// The node's settings and files can be inspected.
    public func attach(_ inspection: NodeInspection) {
        self.context.change { $0.inspection = inspection }
    }

    /// The node is no part of a cluster, and keeps its events itself.
    public func attach(_ events: LocalEventLog) {
        self.context.change { $0.localEvents = events }
    }

    /// The effective settings, at the start and after each reload.
    public func attach(_ settings: [NodeSetting]) {
        self.context.change { $0.settings = settings }
    }

    /// The node is shutting down and cannot be resumed any more.
    public func beginShutdown() { self.drain.beginShutdown() }

    /// Answers another node's request with a JSON document; nil if this node cannot.
    public func answer(_ request: NodeRequest) async -> String? {
        await self.context.reply(to: request)?.text
    }

    // MARK: Questions of other nodes without Redis

    static let directPath = "/api/node"

    /// Answers a sealed question at the admin listener with a sealed answer, for times in which
    /// Redis carries no messages. The cluster key authenticates it, so it needs no token; it may
    /// only read, because a recorded one can be replayed.
    ///
    /// - Throws: 405, 403 for a question that is not from a node of the view, 503 while the node is
    ///   not part of a cluster.
    func directAnswer(to request: HTTPRequest, _ body: [UInt8]) throws(HTTPError) -> AsyncResponse {
        guard request.method == .post else { throw .methodNotAllowed("POST") }
        guard let link = self.context.link else {
            throw HTTPError(.serviceUnavailable, "This node is not part of a cluster.")
        }
        return { () async throws(HTTPError) in
            do throws(NodeLink.DirectRefusal) {
                let sealed = try await link.answerDirectly(body, topics: self.topics.directTopics) {
                    await self.answer($0)
                }
                return HTTPResponse(
                    contentType: "application/octet-stream",
                    fields: [HTTPField("Cache-Control", "no-store")], body: sealed)
            } catch {
                throw HTTPError(.forbidden, error.description)
            }
        }
    }

    // MARK: Events

    /// Records starts and stops of a node without a cluster; in a cluster the view's changes are
    /// events.
    public func recordLifecycle(_ event: String) {
        if self.context.link == nil { self.context.record(event, by: nil) }
    }

    /// Records failures of a local store and their ends, until the task is cancelled. It reads the
    /// node's health once a second, because health is the only place that knows all failures.
    public func watchStore() async {
        var failure: (reason: String, since: Int64)?
        while (try? await Task.sleep(for: .seconds(1))) != nil {
            guard let gateway = self.context.gateway else { continue }
            let now = MonotonicTime.now.nanoseconds / 1_000_000
            if case .degraded(let reason) = gateway.health.status {
                if failure == nil {
                    failure = (reason, now)
                    self.context.record("store_failed", by: nil, detail: reason)
                }
            } else if let ended = failure {
                failure = nil
                let duration = ClusterDiagnosis.seconds(now - ended.since)
                self.context.record(
                    "store_recovered", by: nil, detail: "after \(duration): \(ended.reason)")
            }
        }
    }
}
