import Bytes
internal import ChatModel
internal import Cluster
import ClusterWire
internal import Configuration
internal import Gateway
internal import NodeLink
public import Telemetry

/// The metrics of a node as a member of its cluster.
extension ClusterAdmin {
    /// Adds them to a snapshot. A single node has no Redis and no view, but owns all shards.
    public func add(to snapshot: inout MetricsSnapshot) {
        let record = self.context.record
        snapshot.add(
            1, to: .buildInfo,
            labels: [
                "version": record.version, "node": record.name, "store": self.context.store.name,
            ])
        snapshot.add(self.context.logger.droppedCount, to: .logLinesDropped)
        if let health = self.context.gateway?.health.status {
            snapshot.add(health == .healthy ? 1 : 0, to: .healthy)
            snapshot.add(health == .draining ? 1 : 0, to: .draining)
        }
        guard let link = self.context.link else {
            // Before a cluster node has a link, it owns nothing.
            if !self.context.isClustered { snapshot.add(Shard.count, to: .shardsOwned) }
            return
        }
        let measurements = link.measurements
        snapshot.add(measurements.isRedisAvailable ? 1 : 0, to: .redisUp)
        snapshot.add(measurements.probeAge / .seconds(1), to: .redisProbeAge)
        snapshot.add(measurements.mailboxResubscriptions, to: .redisResubscriptions)
        let view = measurements.view
        snapshot.add(view?.number ?? 0, to: .clusterViewNumber)
        snapshot.add(view?.nodes.count ?? 0, to: .clusterNodes)
        snapshot.add(view?.shardCounts[measurements.localNode] ?? 0, to: .shardsOwned)
        snapshot.add(
            view.map { view in (0..<Shard.count).filter(view.isMoving).count } ?? 0,
            to: .shardsMoving)
    }
}

extension MetricFamily {
    static let buildInfo = MetricFamily(
        "confab_build_info", .gauge,
        help: "Always 1. The labels are the version, the node's name and the kind of its store.")
    static let logLinesDropped = MetricFamily(
        "confab_log_lines_dropped_total", .counter,
        help: "Log lines dropped because the log was not read fast enough.")
    static let healthy = MetricFamily(
        "confab_healthy", .gauge, help: "1 if /api/health answers 200, otherwise 0.")
    static let draining = MetricFamily(
        "confab_draining", .gauge, help: "1 while the node is drained or draining, otherwise 0.")
    static let redisUp = MetricFamily(
        "confab_redis_up", .gauge, help: "1 if Redis executes the node's commands, otherwise 0.")
    static let redisProbeAge = MetricFamily(
        "confab_redis_probe_age_seconds", .gauge,
        help: "Seconds since the node's own probe returned through Redis Pub/Sub.")
    static let redisResubscriptions = MetricFamily(
        "confab_redis_resubscriptions_total", .counter,
        help: "Times the node subscribed again because its probe did not return.")
    static let clusterViewNumber = MetricFamily(
        "confab_cluster_view_number", .gauge, help: "The number of the view that the node follows.")
    static let clusterNodes = MetricFamily(
        "confab_cluster_nodes", .gauge, help: "Nodes in the view that the node follows.")
    static let shardsOwned = MetricFamily(
        "confab_shards_owned", .gauge, help: "Shards that the node owns in its view.")
    static let shardsMoving = MetricFamily(
        "confab_shards_moving", .gauge,
        help: "Shards that have not moved to their new owner yet, in the node's view.")
}
