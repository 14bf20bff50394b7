import Bytes
import ChatModel
public import RedisClient

/// What a Redis store goes by; the same for all loops of a node, and for all nodes of a cluster.
public struct RedisStoreSettings: Sendable {
    /// The first part of every key: 1 to 32 of `a-z 0-9 -`.
    public let clusterName: String
    /// So many messages are kept of each conversation; Redis itself may keep some more. At least 1.
    public let history: Int
    /// How many replicas must have a write before it counts as stored. Nil: one, where there are any.
    public let waitReplicas: Int?
    /// How long Redis is asked to wait for them at a time.
    public let waitMilliseconds: Int
    /// So long an answer waits for replicas; then the write has failed, though it may be stored.
    public let confirmationTimeout: Duration
    /// A line in a list that stands for nothing is taken out when it is as old as this: the membership that it was written for may be on its
    /// way until then, even to a server that stands still for hours.
    public let staleEntryAge: Duration
    /// Each shard's slot in Redis Cluster; empty elsewhere, where a script may have any keys.
    private let slots: [RedisSlot]

    public init(
        clusterName: String, history: Int, url: RedisURL,
        confirmationTimeout patience: Duration = .seconds(5),
        staleEntryAge lineAge: Duration = .seconds(86_400)
    ) {
        precondition(history > 0, "a Redis store keeps a bounded history, not \(history)")
        self.clusterName = clusterName
        self.history = history
        self.waitReplicas = url.waitReplicas
        self.waitMilliseconds = url.waitMilliseconds ?? 100
        self.confirmationTimeout = patience
        self.staleEntryAge = lineAge
        self.slots =
            url.kind == .cluster
            ? (0..<Shard.count).map { RedisSlot(key: ByteString("{s\($0)}")) } : []
    }

    /// Whether a script may only have keys of one shard.
    var isCluster: Bool { !self.slots.isEmpty }

    func slot(of key: ByteString) -> RedisSlot {
        self.isCluster ? RedisSlot(key: key) : .any
    }

    func slot(of shard: Int) -> RedisSlot {
        self.isCluster ? self.slots[shard] : .any
    }
}
