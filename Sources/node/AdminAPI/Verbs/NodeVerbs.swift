internal import Bytes
internal import ChatCore
internal import ChatModel
internal import Cluster
internal import ClusterWire
internal import Configuration
internal import Gateway
internal import HTTPWire
internal import JSON
internal import NodeLink
internal import Telemetry
internal import Webhooks

/// `confab nodes`, `confab node NAME` and `confab redis`: documents about nodes, merged from the
/// replies of all nodes.
struct NodeVerbs: VerbGroup {
    /// The node's row in `confab nodes`.
    static let nodeRow = NodeTopic("node", isReading: true)
    /// The node in full.
    static let details = NodeTopic("details", isReading: true)
    /// The node's row in `confab redis`.
    private static let redisRow = NodeTopic("redis", isReading: true)

    let context: AdminContext

    var handlers: [String: AdminHandler] {
        [
            "nodes": { _ async throws(HTTPError) in try await self.nodes() },
            "node": self.node,
            "redis": { _ async throws(HTTPError) in try await self.redis() },
        ]
    }

    var answers: [NodeTopic: NodeTopicAnswer] {
        [
            Self.nodeRow: { gateway, _ in await self.localRow(gateway) },
            Self.details: { gateway, _ in await self.localDetails(gateway) },
            Self.redisRow: { _, _ in await self.localRedisRow() },
        ]
    }

    func nodes() async throws(HTTPError) -> JSONTree {
        var snapshot = try await self.context.snapshot()
        let replies = await self.context.query(Self.nodeRow, of: snapshot.peers, in: snapshot)
        snapshot = await self.context.refreshed(snapshot)
        return .document(
            [.init("nodes", .array(Self.rows(snapshot, replies)))] + replies.counts)
    }

    static func rows(_ snapshot: ClusterSnapshot, _ replies: NodeReplies) -> [JSONTree] {
        let shards = snapshot.view.shardCounts
        let loads = snapshot.peers.compactMap { peer in
            peer.isDraining ? nil : replies.byNode[peer.incarnation]?["connections"]?.integerValue
        }
        let mean = loads.isEmpty ? 0 : Double(loads.reduce(0, +)) / Double(loads.count)
        return snapshot.peers.map { peer in
            let answer = replies.byNode[peer.incarnation]
            var row: [JSONTree.ObjectMember] = [
                .init("node", .string(peer.name)),
                .init("state", Self.state(of: peer, in: snapshot, replies)),
                .init("address", peer.record.map { .string($0.address) } ?? .null),
                .init("admin_address", peer.record?.adminAddress.map { .string($0) } ?? .null),
                .init("version", peer.record.map { .string($0.version) } ?? .null),
            ]
            let silence = peer.evictedFor ?? (answer == nil ? peer.silentFor ?? 0 : nil)
            row.append(.init("unreachable_for", silence.map { .integer($0 / 1000) } ?? .null))
            row += (answer?.members ?? []).filter { !["health", "reason"].contains($0.name) }
            row.append(
                .init(
                    "shards",
                    .integer(peer.evictedFor == nil ? shards[peer.incarnation, default: 0] : 0)))
            var imbalance = JSONTree.null
            if mean > 0, !peer.isDraining, let load = answer?["connections"]?.integerValue {
                imbalance = .integer(Int((100 * (Double(load) - mean) / mean).rounded()))
            }
            row.append(.init("imbalance", imbalance))
            row.append(.init("health", answer?["health"] ?? .null))
            row.append(.init("reason", answer?["reason"] ?? .null))
            return OperatorVerb.completed(nodeRow: .object(row))
        }
    }

    /// A node's state for operators; null if the node could not be asked.
    private static func state(
        of peer: NodeLink.PeerNode, in snapshot: ClusterSnapshot, _ replies: NodeReplies
    ) -> JSONTree {
        if peer.evictedFor != nil { return "gone" }
        guard let answer = replies.byNode[peer.incarnation] else {
            return replies.failures[peer.incarnation]?.isUnasked == true ? .null : "suspect"
        }
        // While Redis is silent, the ages of heartbeats mean nothing.
        if snapshot.redis?.isSilent != true, peer.state == "suspect" { return "suspect" }
        guard peer.isDraining || answer["health"]?.stringValue == "draining" else {
            return "active"
        }
        let hasHandedOver =
            !snapshot.view.ownsShards(peer.incarnation)
            || snapshot.view.nodes.allSatisfy(\.isDraining)
        return hasHandedOver && answer["connections"]?.integerValue == 0 ? "drained" : "draining"
    }

    /// - Parameter measuresStreams: whether Redis adds up the bytes of its streams, which takes it
    ///   up to a second.
    func redis(measuresStreams: Bool = true) async throws(HTTPError) -> JSONTree {
        guard let link = self.context.link else { throw self.context.noRedis }
        let snapshot = try await self.context.snapshot()
        // Measured once, and not by every node, because all use the same Redis.
        async let measured = measuresStreams ? link.measureStreams() : nil
        let replies = await self.context.query(Self.redisRow, of: snapshot.peers, in: snapshot)
        let streams = await measured
        let rows = snapshot.peers.map { peer in
            var row: [JSONTree.ObjectMember] = [.init("node", .string(peer.name))]
            if let answer = replies.byNode[peer.incarnation]?.members {
                row += answer
                if !answer.contains(where: { $0.name == "failure" }) {
                    row.append(.init("stream_bytes", streams.map { .integer($0) } ?? .null))
                }
            }
            return JSONTree.object(row)
        }
        return .document([.init("redis", .array(rows))] + replies.counts)
    }

    // MARK: This node

    /// The row of this node in `nodes`.
    private func localRow(_ gateway: Gateway) async -> JSONTree {
        let reports = await gateway.reports(within: Self.localTimeout)
        let connections = reports.clientCount
        let process = ProcessStatistics()
        var row: [JSONTree.ObjectMember] = [
            .init(
                "uptime",
                .integer(
                    (WallClock.now.milliseconds - self.context.record.startedAt.milliseconds) / 1000
                )),
            .init("connections", .integer(connections)),
            .init("users", .integer(reports.map(\.users).reduce(0, +))),
            .init("conversations", .integer(reports.map(\.conversations).reduce(0, +))),
            .init("in_s", .number(OperatorText.decimal(reports.map(\.messagesIn).reduce(0, +)))),
            .init("out_s", .number(OperatorText.decimal(reports.map(\.messagesOut).reduce(0, +)))),
            .init("slow", .integer(reports.map(\.slowConnections).reduce(0, +))),
            .init("pending", .integer(reports.map(\.pendingBytes).reduce(0, +))),
        ]
        if let link = self.context.link {
            let status = await link.clusterStatus()
            row.append(.init("mail_age", .integer(status.lastDeliveryAge)))
            row.append(
                .init("redis_unreachable_for", status.redisSilence.map { .integer($0) } ?? .null))
        }
        let lag = reports.compactMap { $0.turnPercentile99 }.max()
        row.append(
            .init(
                "loop_lag_p99", lag.map { .number(OperatorText.decimal(Double($0) / 1e6)) } ?? .null
            ))
        row.append(.init("rss", process.map { .integer($0.residentBytes) } ?? .null))
        row.append(
            .init(
                "b_conn",
                process.flatMap {
                    connections == 0 ? nil : .integer(Int($0.residentBytes) / connections)
                } ?? .null))
        row.append(
            .init("cpu", .number(OperatorText.decimal(100 * reports.map(\.cpu).reduce(0, +)))))
        let health = gateway.health.status.words
        let restored = reports.reduce(into: RecoveryCounts()) { $0 += $1.restored }
        row.append(.init("restored", .integer(restored.inPlace)))
        row.append(.init("renumbered", .integer(restored.moved)))
        row.append(.init("lost", .integer(restored.lost)))
        row.append(.init("health", .string(health.state)))
        row.append(.init("reason", health.reason.map { .string($0) } ?? .null))
        if reports.count < gateway.loopCount {
            row.append(.init("unresponsive_loops", .integer(gateway.loopCount - reports.count)))
        }
        return .object(row)
    }

    private func localRedisRow() async -> JSONTree? {
        guard let link = self.context.link else { return nil }
        let status = await link.clusterStatus()
        var row: [JSONTree.ObjectMember] = [
            .init("mode", .string(status.redisMode)),
            .init("servers", .string(status.redisServers.joined(separator: " "))),
            .init("last_delivery", .integer(status.lastDeliveryAge)),
            .init("rebuilds", .integer(status.mailboxResubscriptions)),
        ]
        let isSilent = status.redisSilence != nil
        guard let (info, microseconds) = isSilent ? nil : await link.inspectRedis() else {
            let silence = ClusterDiagnosis.seconds(status.redisSilence ?? 0)
            row.append(
                .init(
                    "failure",
                    .string(status.redisOutage ?? "Redis has not answered for \(silence)")))
            return .object(row)
        }
        row.append(.init("round_trip", .number(OperatorText.decimal(Double(microseconds) / 1000))))
        return .object(row + RedisInfo(info).row)
    }
}

extension [LoopReport] {
    /// The connections of clients; those of health checks do not count.
    var clientCount: Int { self.map(\.connections).reduce(0, +) }
}

extension LoopReport {
    /// The nanoseconds that 99 % of the turns took at most; nil without turns.
    var turnPercentile99: UInt64? { self.turns.percentile99 }
}

extension [UInt64] {
    /// Nil for no values.
    var percentile99: UInt64? {
        self.isEmpty ? nil : self.sorted()[Swift.max(0, (self.count * 99 + 99) / 100 - 1)]
    }
}

extension Health.Status {
    /// The state as operators see it, and why the node is degraded.
    var words: (state: String, reason: String?) {
        switch self {
        case .healthy: ("healthy", nil)
        case .starting: ("degraded", "the node is starting")
        case .degraded(let reason): ("degraded", reason)
        case .draining: ("draining", nil)
        }
    }
}
