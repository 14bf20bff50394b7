public import ClusterWire
public import RedisClient

/// The settings of a cluster node.
public struct NodeLinkSettings: Sendable {
    public var clusterName: String
    public var redis: RedisSettings
    /// The key that authenticates messages between nodes.
    public var key: ClusterKey
    /// The node's description. Its incarnation changes after an eviction.
    public var record: NodeRecord

    public init(clusterName: String, redis: RedisSettings, key: ClusterKey, record: NodeRecord) {
        self.clusterName = clusterName
        self.redis = redis
        self.key = key
        self.record = record
    }
}
