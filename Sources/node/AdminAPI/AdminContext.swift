internal import ChatModel
internal import ClusterWire
internal import Configuration
internal import Gateway
internal import HTTPWire
internal import JSON
internal import NodeLink
internal import Synchronization
internal import Telemetry

/// The parts that all groups of verbs use: this node, its link to the other nodes, its store, and
/// the log of events.
final class AdminContext: Sendable {
    /// The parts of the node that exist only some time after its start, or change.
    struct NodeParts {
        /// In a cluster its incarnation may change.
        var record: NodeRecord
        /// Nil until the node listens.
        var gateway: Gateway?
        /// Nil on a single node, and until a node of a cluster joins it.
        var link: (any ClusterLink)?
        /// The events of a node without a cluster.
        var localEvents = LocalEventLog()
        var settings: [NodeSetting] = []
        var inspection: NodeInspection?
        /// The groups own the context, so it does not own their answers.
        weak var topics: NodeTopicTable?
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
    let logger: Logger
    private let parts: Mutex<NodeParts>

    init(
        record: NodeRecord, clusterName: String, store: StoreKind, waitReplicas: Int?,
        logger: Logger
    ) {
        self.parts = Mutex(NodeParts(record: record))
        self.clusterName = clusterName
        self.store = store
        self.waitReplicas = waitReplicas
        self.logger = logger
    }

    func change(_ change: (inout NodeParts) -> Void) { self.parts.withLock { change(&$0) } }

    var record: NodeRecord { self.parts.withLock { $0.record } }
    var gateway: Gateway? { self.parts.withLock { $0.gateway } }
    var link: (any ClusterLink)? { self.parts.withLock { $0.link } }
    var localEvents: LocalEventLog { self.parts.withLock { $0.localEvents } }
    var settings: [NodeSetting] { self.parts.withLock { $0.settings } }
    var inspection: NodeInspection? { self.parts.withLock { $0.inspection } }
    /// The default limits until the node listens.
    var limits: Limits { self.gateway?.limits ?? Limits() }

    /// Answers a request of this node or of another one; nil if this version does not know it.
    func reply(to request: NodeRequest) async -> JSONTree? {
        let (gateway, topics) = self.parts.withLock { ($0.gateway, $0.topics) }
        guard let gateway, let answer = topics?.answers[request.topic] else { return nil }
        return await answer(gateway, request.arguments)
    }

    /// The node keeps its messages alone.
    var noRedis: HTTPError {
        HTTPError(
            .conflict,
            """
            There is no Redis: this node stands alone and keeps its messages in \
            \(self.store.title).
            """
        )
    }
}

/// The answers to requests between nodes, by topic.
final class NodeTopicTable: Sendable {
    let answers: [String: NodeTopicAnswer]
    /// The topics that other nodes may ask at the admin address.
    let directTopics: Set<String>

    /// - Parameter groups: declare each topic once.
    init(_ groups: [any VerbGroup]) {
        let all = groups.flatMap { $0.answers.map { ($0.key, $0.value) } }
        self.answers = Dictionary(uniqueKeysWithValues: all.map { ($0.0.name, $0.1) })
        self.directTopics = Set(all.lazy.map(\.0).filter(\.isReading).map(\.name))
    }
}
