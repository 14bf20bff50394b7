internal import ChatEngine
internal import ChatModel
import Cluster
internal import ClusterWire
internal import HTTPWire
internal import JSON
internal import NodeLink

/// The cluster's status and its problems.
extension ClusterAdmin {
    func status() async throws(HTTPError) -> JSONTree {
        let snapshot = try await self.clusterSnapshot()
        let replies = await self.query(.nodeRow, of: snapshot.peers, in: snapshot)
        let rows = Self.rows(snapshot, replies)
        let durability = await self.durabilityOfAnswers()
        func sum(_ name: String) -> JSONTree {
            .number(Self.decimal(rows.compactMap { $0[name]?.doubleValue }.reduce(0, +)))
        }
        // Includes moves that are about to start: a new node has no shards yet.
        let next = snapshot.view.step(shards: 0) ?? snapshot.view
        let moving = (0..<Shard.count).filter(next.isMoving).count
        let problems = Self.problems(of: snapshot, rows: rows, movingShards: moving)
        return Self.document(
            [
                .init("cluster", .string(self.clusterName)), .init("store", .string(self.store)),
                .init("answered_is", .string(durability)),
                .init("view", .integer(snapshot.view.number)),
                .init("nodes", .integer(snapshot.peers.count)),
                .init("shards", .integer(Shard.count)), .init("shards_moving", .integer(moving)),
                .init("connections", sum("connections")),
                .init("users", sum("users")), .init("conversations", sum("conversations")),
                .init("in_s", sum("in_s")),
                .init("out_s", sum("out_s")), .init("slow", sum("slow")),
                .init("restored", sum("restored")),
                .init("renumbered", sum("renumbered")), .init("lost", sum("lost")),
                .init("asked", .string(self.record.name)),
                .init("problems", .array(problems.map { .string($0) })),
            ] + replies.counts)
    }

    private static func problems(
        of snapshot: ClusterSnapshot, rows: [JSONTree], movingShards: Int
    ) -> [String] {
        var problems: [String] = []
        for (peer, row) in zip(snapshot.peers, rows) {
            switch row["state"]?.stringValue {
            case "gone":
                problems.append("\(peer.name) has been gone for \((peer.evictedFor ?? 0) / 1000) s")
            case "suspect": problems.append("\(peer.name) does not answer")
            case "draining":
                problems.append(
                    """
                    \(peer.name) is drained and accepts no clients until `confab resume \
                    \(peer.name)`
                    """
                )
            default: break
            }
            if row["health"]?.stringValue == "degraded" {
                problems.append("\(peer.name): \(row["reason"]?.stringValue ?? "degraded")")
            }
            for (key, outcome) in [("renumbered", "stored under new numbers"), ("lost", "lost")] {
                guard let count = row[key]?.integerValue, count > 0 else { continue }
                problems.append(
                    """
                    \(peer.name): Redis lost acknowledged changes; \(count) of them are \(outcome)
                    """
                )
            }
            if let silent = row["silent_loops"]?.integerValue {
                problems.append("\(peer.name): \(silent) of its loops do not answer")
            }
        }
        if movingShards > 0 {
            problems.append("\(movingShards) shards are moving to other nodes")
        } else if !snapshot.view.isRebalanced {
            problems.append("shards are about to move: the set of nodes has changed")
        }
        for name in Set(snapshot.peers.map(\.name)).sorted() {
            if let ambiguity = snapshot.peers.ambiguity(of: name) { problems.append(ambiguity) }
        }
        let versions = Set(
            snapshot.peers.compactMap { $0.evictedFor == nil ? $0.record?.version : nil })
        if versions.count > 1 {
            problems.append(
                "nodes run different versions: \(versions.sorted().joined(separator: ", "))")
        }
        return problems
    }

    /// Where a message is stored when its send is acknowledged.
    private func durabilityOfAnswers() async -> String {
        guard let link = self.link else {
            return self.store == "memory"
                ? "in memory only" : "synced to local disk"
        }
        async let inspected = link.inspectRedis()
        let safety =
            await link.clusterStatus().durability ?? "in Redis, with unknown durability"
        guard let info = await inspected?.info,
            let replicas = RedisInfo(info)["connected_slaves"].flatMap({ Int($0) })
        else {
            return safety
        }
        let awaited = self.waitReplicas ?? min(1, replicas)
        if awaited > 0 { return "\(safety), and in \(awaited) of \(replicas) replicas" }
        return replicas == 0 ? safety : "\(safety); its replicas (\(replicas)) may not have it"
    }
}
