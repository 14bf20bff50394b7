import Bytes
public import ChatModel
public import RedisClient

/// The settings of a Redis store. The same for all loops of a node and all nodes of a cluster.
public struct RedisStoreSettings: Sendable {
    /// The first part of every key: 1 to 32 characters of `a-z 0-9 -`.
    public let clusterName: String
    /// How many messages a conversation retains, at least 1. Redis itself may retain a few more.
    public let history: Int
    /// How many replicas must have a write before it counts as stored; nil for one if there are
    /// any.
    public let waitReplicas: Int?
    /// How long one WAIT lasts.
    public let waitMilliseconds: Int
    /// How long an answer waits for replicas. After that the write has failed, although it may be
    /// stored.
    public let confirmationTimeout: Duration
    /// An index entry without a conversation is removed at this age. Until then the write that it
    /// belongs to may be in flight, even to a server that is stalled for hours.
    public let staleEntryAge: Duration
    let hasSentinels: Bool
    /// Fills the outbox; nil to fill none.
    public var outbox: OutboxWriter?
    /// Each shard's slot in Redis Cluster. Empty otherwise, where a script may use any keys.
    private let slots: [RedisSlot]

    public init(
        clusterName: String, history: Int, url: RedisURL,
        confirmationTimeout: Duration = .seconds(5),
        staleEntryAge: Duration = .seconds(86_400)
    ) {
        precondition(history > 0, "a Redis store keeps a bounded history, not \(history)")
        self.clusterName = clusterName
        self.history = history
        self.waitReplicas = url.waitReplicas
        self.waitMilliseconds = url.waitMilliseconds ?? 100
        self.confirmationTimeout = confirmationTimeout
        self.staleEntryAge = staleEntryAge
        self.hasSentinels = if case .sentinel = url.kind { true } else { false }
        self.slots =
            url.kind == .cluster
            ? (0..<Shard.count).map { RedisSlot(key: ByteString("{s\($0)}")) } : []
    }

    /// Whether a script may use only keys of one shard.
    var isRedisCluster: Bool { !self.slots.isEmpty }

    func slot(of key: ByteString) -> RedisSlot {
        self.isRedisCluster ? RedisSlot(key: key) : .any
    }

    func slot(of shard: Int) -> RedisSlot {
        self.isRedisCluster ? self.slots[shard] : .any
    }
}
