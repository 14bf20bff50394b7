public import AdminAPI
public import ChatModel
public import EventLoop
public import Gateway
public import JSON
public import Telemetry
public import Webhooks

/// The port of a message store: how a node uses it from its start to its stop.
///
/// A `ChatStore` that all loops of one node share is complete with the defaults. A store of a
/// cluster has one `ChatStore` per loop, and joins the cluster.
public protocol NodeStore: Sendable {
    /// The store as one event loop uses it.
    func chatStore(on loop: EventLoop, _ number: Int) -> any ChatStore

    /// Starts webhooks over this store.
    func start(_ webhooks: WebhookService, signing signature: WebhookSignature)

    /// How many replicas must have a write before it is acknowledged; nil: one, if there are any.
    var waitReplicas: Int? { get }

    /// Joins the cluster. Waits until the node is a member, even if the store is unavailable for
    /// long.
    ///
    /// - Parameter admin: answers operators' requests, also those of other nodes.
    func join(_ gateway: Gateway, version: String, admin: ClusterAdmin) async

    /// Hands over all shards of the node, within a time limit.
    func handOver(within limit: Duration) async

    /// Removes the node from the cluster.
    func leave(within limit: Duration) async

    /// Adds the store's counters to a metrics snapshot.
    func add(to snapshot: inout MetricsSnapshot)

    /// The state of the store's files, which `confab doctor` checks as `database`; nil without
    /// files.
    func databaseFacts() async -> JSONTree?

    /// Completes the submitted requests and closes the store.
    func close()

    /// Removes what opening the store has created, after a failed start.
    func discard()
}

/// A store for one node belongs to no cluster.
extension NodeStore {
    public var waitReplicas: Int? { nil }
    public func join(_ gateway: Gateway, version: String, admin: ClusterAdmin) async {}
    public func handOver(within limit: Duration) async {}
    public func leave(within limit: Duration) async {}
    public func add(to snapshot: inout MetricsSnapshot) {}
    public func databaseFacts() async -> JSONTree? { nil }
    public func close() {}
    public func discard() {}
}

extension NodeStore where Self: ChatStore {
    public func chatStore(on loop: EventLoop, _ number: Int) -> any ChatStore { self }

    public func start(_ webhooks: WebhookService, signing signature: WebhookSignature) {
        webhooks.start(over: self, signing: signature, partitions: nil)
    }
}
