public import ChatModel
public import ClusterWire
public import Configuration
public import Telemetry

/// The configuration of a node, as far as a store may need it to open.
public struct StoreSettings: Sendable {
    public let options: ServeOptions
    /// The node's name in its cluster.
    public let name: String
    /// Identifies the run of the node.
    public let incarnation: UInt64
    /// Fills the outbox of webhooks; nil to fill none.
    public let outbox: OutboxWriter?
    public let logger: Logger
    /// The key that signs messages between nodes. Throws if the options name no secret.
    public let clusterKey: @Sendable () throws -> ClusterKey

    public init(
        _ options: ServeOptions, name: String, incarnation: UInt64, outbox: OutboxWriter?,
        logger: Logger, clusterKey: @escaping @Sendable () throws -> ClusterKey
    ) {
        self.options = options
        self.name = name
        self.incarnation = incarnation
        self.outbox = outbox
        self.logger = logger
        self.clusterKey = clusterKey
    }

    /// The part of `--store` that opens the store.
    public var address: String { self.options.store.address }
    /// How many messages of each conversation the store retains; 0: all.
    public var history: Int { self.options.limits.historyLimit }
}
