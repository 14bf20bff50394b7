public import ClusterWire
public import RedisClient

/// What a node needs to be one of a cluster.
public struct NodeLinkSettings: Sendable {
    public var clusterName: String
    public var redis: RedisSettings
    /// What all its nodes sign their mail with.
    public var key: ClusterKey
    /// What the node says of itself; its incarnation changes when it was taken for dead.
    public var record: NodeRecord

    public init(clusterName: String, redis: RedisSettings, key: ClusterKey, record: NodeRecord) {
        self.clusterName = clusterName
        self.redis = redis
        self.key = key
        self.record = record
    }
}
