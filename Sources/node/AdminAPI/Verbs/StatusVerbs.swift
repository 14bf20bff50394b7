internal import ChatModel
import Cluster
internal import ClusterWire
internal import Configuration
internal import HTTPWire
internal import JSON
internal import NodeLink

/// The cluster's status and its problems.
struct StatusVerbs: VerbGroup {
    let context: AdminContext

    var handlers: [String: AdminHandler] {
        ["status": { _ async throws(HTTPError) in try await self.status() }]
    }

    func status() async throws(HTTPError) -> JSONTree {
        let before = try await self.context.snapshot()
        let isRedisSilent = before.redis?.silence != nil
        async let durability = self.durabilityOfAnswers(isRedisSilent: isRedisSilent)
        let replies = await self.context.query(NodeVerbs.nodeRow, of: before.peers, in: before)
        let snapshot = await self.context.refreshed(before)
        let redis = snapshot.redis
        let rows = NodeVerbs.rows(snapshot, replies)
        func sum(_ name: String) -> JSONTree {
            .number(OperatorText.decimal(rows.compactMap { $0[name]?.doubleValue }.reduce(0, +)))
        }
        let diagnosis = Self.diagnosis(snapshot, rows, replies, asked: self.context.record.name)
        let redisState = redis.map { redis in
            let state =
                redis.silence.map { "has not answered for \(ClusterDiagnosis.seconds($0))" }
                ?? "answers"
            return JSONTree.string("\(redis.address) \(state)")
        }
        return .document(
            [
                .init("cluster", .string(self.context.clusterName)),
                .init("store", .string(self.context.store.name)),
                .init("redis", redisState ?? .null),
                .init("durability", .string(await durability)),
                .init("view", .integer(snapshot.view.number)),
                .init("nodes", .integer(snapshot.peers.count)),
                .init("shards", .integer(Shard.count)),
                .init("shards_moving", .integer(diagnosis.movingShards)),
                .init("connections", sum("connections")),
                .init("users", sum("users")), .init("conversations", sum("conversations")),
                .init("in_s", sum("in_s")),
                .init("out_s", sum("out_s")), .init("slow", sum("slow")),
                .init("restored", sum("restored")),
                .init("renumbered", sum("renumbered")), .init("lost", sum("lost")),
                .init("answered_by", .string(self.context.record.name)),
                .init("problems", .array(diagnosis.problems.map { .string($0) })),
            ] + replies.counts)
    }

    private static func diagnosis(
        _ snapshot: ClusterSnapshot, _ rows: [JSONTree], _ replies: NodeReplies, asked: String
    ) -> ClusterDiagnosis {
        // Includes moves that are about to start: a new node has no shards yet.
        let next = snapshot.view.step(shards: 0) ?? snapshot.view
        let nodes = zip(snapshot.peers, rows).map { peer, row in
            let state = row["state"]?.stringValue
            var node = ClusterDiagnosis.NodeCondition(name: peer.name)
            if let age = peer.evictedFor {
                node.contact = .evicted(milliseconds: age)
            } else if replies.byNode[peer.incarnation] == nil {
                node.contact = .unanswered(replies.failures[peer.incarnation])
            }
            node.heartbeatAge = peer.state == "suspect" ? peer.silentFor : nil
            node.isDraining = state == "draining"
            node.isDrained = state == "drained"
            node.shards = row["shards"]?.integerValue ?? 0
            node.connections = row["connections"]?.integerValue
            node.redisSilence = row["redis_unreachable_for"]?.integerValue.map { Int64($0) }
            node.degradation =
                row["health"]?.stringValue == "degraded"
                ? row["reason"]?.stringValue ?? "degraded" : nil
            node.renumbered = row["renumbered"]?.integerValue ?? 0
            node.lost = row["lost"]?.integerValue ?? 0
            node.unresponsiveLoops = row["unresponsive_loops"]?.integerValue ?? 0
            node.version = peer.record?.version
            return node
        }
        return ClusterDiagnosis(
            asked: asked, redis: snapshot.redis, nodes: nodes,
            movingShards: (0..<Shard.count).filter(next.isMoving).count,
            isUnbalanced: !snapshot.view.isRebalanced,
            ambiguities: Set(snapshot.peers.map(\.name)).sorted().compactMap {
                snapshot.peers.ambiguity(of: $0)
            })
    }

    /// Where a message is stored when its send is acknowledged.
    private func durabilityOfAnswers(isRedisSilent: Bool) async -> String {
        let store = self.context.store
        guard let link = self.context.link else { return store.durability }
        let safety = await link.clusterStatus().durability ?? store.durability
        if isRedisSilent { return safety }
        async let inspected = link.inspectRedis()
        guard let info = await inspected?.info,
            let replicas = RedisInfo(info)["connected_slaves"].flatMap({ Int($0) })
        else {
            return safety
        }
        let awaited = self.context.waitReplicas ?? min(1, replicas)
        if awaited > 0 { return "\(safety), and in \(awaited) of \(replicas) replicas" }
        return replicas == 0 ? safety : "\(safety); its replicas (\(replicas)) may not have it"
    }
}
