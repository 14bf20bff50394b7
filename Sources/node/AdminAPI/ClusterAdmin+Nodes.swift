internal import Bytes
internal import ChatEngine
internal import ChatModel
internal import Cluster
internal import ClusterWire
internal import Configuration
internal import EventLoop
internal import Gateway
internal import HTTPWire
internal import JSON
internal import NodeLink

/// Documents about nodes and shards, merged from the replies of all nodes.
extension ClusterAdmin {
    /// The cluster's members as this node knows them.
    struct ClusterSnapshot: Sendable {
        let ownIncarnation: UInt64
        let view: View
        let peers: [NodeLink.PeerNode]
        /// Nil on a single node.
        var redis: ClusterDiagnosis.Redis?

        func peer(named name: String) -> NodeLink.PeerNode? { self.peers.first { $0.name == name } }
        func name(of node: UInt64) -> String { self.peers.name(of: node) }
    }

    /// The replies of the nodes. Nodes that are gone are not queried.
    struct NodeReplies: Sendable {
        var byNode: [UInt64: JSONTree] = [:]
        /// Why nodes could not be asked at their admin addresses.
        var failures: [UInt64: DirectCallError] = [:]
        var queriedCount = 0
        /// Every node has answered.
        var isComplete: Bool { self.byNode.count == self.queriedCount }
        /// The asked node's knowledge about Redis after the query; nil on a single node.
        var redis: ClusterDiagnosis.Redis?

        var counts: [JSONTree.ObjectMember] {
            [
                .init("nodes_asked", .integer(self.queriedCount)),
                .init("nodes_answered", .integer(self.byNode.count)),
                .init("redis_up", self.redis.map { .bool($0.silence == nil) } ?? .null),
            ]
        }
    }

    func clusterSnapshot() async throws(HTTPError) -> ClusterSnapshot {
        guard let gateway = self.gateway else { throw Self.starting }
        guard let link = self.link else {
            // Before the link exists, a cluster of one would be a wrong answer.
            guard !self.isClustered else { throw Self.starting }
            let me = View.Node(
                incarnation: self.record.incarnation, loops: gateway.loopCount,
                isDraining: gateway.health.status == .draining)
            let peer = NodeLink.PeerNode(
                incarnation: me.incarnation, record: self.record, isDraining: me.isDraining,
                silentFor: nil, evictedFor: nil)
            return ClusterSnapshot(
                ownIncarnation: me.incarnation, view: View(number: 0, nodes: [me]), peers: [peer])
        }
        let status = await link.clusterStatus()
        guard let view = status.view else {
            let joinState = link.joinState
            if joinState.isNameTaken {
                throw HTTPError(
                    .serviceUnavailable,
                    "The node waits for its name: a living node is called \(self.record.name), too."
                )
            }
            throw joinState.outage.map {
                HTTPError(.serviceUnavailable, "The node waits for Redis: \($0)")
            } ?? Self.starting
        }
        return ClusterSnapshot(
            ownIncarnation: status.localNode, view: view, peers: status.peers,
            redis: Self.redis(status))
    }

    static let starting = HTTPError(
        .serviceUnavailable, "The node is starting; ask again in a moment.")

    func query(
        _ request: NodeRequest, of peers: [NodeLink.PeerNode], in snapshot: ClusterSnapshot
    ) async -> NodeReplies {
        let others = peers.filter {
            $0.evictedFor == nil && $0.incarnation != snapshot.ownIncarnation
        }
        // Gone nodes count as unanswered.
        var all = NodeReplies(queriedCount: peers.count)
        async let answers = self.link?.askAll(
            others, request, isReading: Self.directTopics.contains(request.topic),
            isRedisSilent: snapshot.redis?.isSilent == true)
        if peers.contains(where: { $0.incarnation == snapshot.ownIncarnation }) {
            all.byNode[snapshot.ownIncarnation] = await self.reply(to: request)
        }
        for (node, answer) in await answers ?? [:] {
            all.byNode[node] = answer.text.flatMap { try? JSONTree(parsing: $0) }
            all.failures[node] = answer.failure
        }
        if let link = self.link { all.redis = Self.redis(await link.clusterStatus()) }
        return all
    }

    private static func redis(_ status: NodeLink.ClusterStatus) -> ClusterDiagnosis.Redis {
        let servers = status.redisServers.joined(separator: ", ")
        return ClusterDiagnosis.Redis(
            address: servers.isEmpty ? status.redisURL : servers, silence: status.redisSilence,
            reason: status.redisOutage,
            isPubSubSilent: status.redisSilence == nil && status.isRedisSilent)
    }

    /// The same nodes with what has become known about them and about Redis since: a query takes
    /// up to two seconds, and its failure may have just been discovered.
    func refreshed(_ snapshot: ClusterSnapshot) async -> ClusterSnapshot {
        guard let newer = try? await self.clusterSnapshot() else { return snapshot }
        let peers = snapshot.peers.map { peer in
            newer.peers.first { $0.incarnation == peer.incarnation } ?? peer
        }
        return ClusterSnapshot(
            ownIncarnation: snapshot.ownIncarnation, view: snapshot.view, peers: peers,
            redis: newer.redis)
    }

    // MARK: Nodes

    func nodes() async throws(HTTPError) -> JSONTree {
        var snapshot = try await self.clusterSnapshot()
        let replies = await self.query(.nodeRow, of: snapshot.peers, in: snapshot)
        snapshot = await self.refreshed(snapshot)
        return Self.document(
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

    // MARK: Shards

    func shards(of node: String?) async throws(HTTPError) -> JSONTree {
        let snapshot = try await self.clusterSnapshot()
        if let node { _ = try self.peer(named: node, in: snapshot) }
        let replies = await self.query(.shards, of: snapshot.peers, in: snapshot)
        var shardRows: [Int: ShardRow] = [:]
        for (node, answer) in replies.byNode {
            for row in (answer.elements ?? []).compactMap(ShardRow.init) {
                // If two nodes report the same shard, the view decides.
                if snapshot.view.owner(of: row.shard).incarnation == node {
                    shardRows[row.shard] = row
                }
            }
        }
        var rows: [JSONTree] = []
        for shard in 0..<Shard.count {
            let owner = snapshot.view.owner(of: shard)
            let name = snapshot.name(of: owner.incarnation)
            guard node == nil || name == node else { continue }
            // A node reports only shards of which it has conversations or the claim.
            let isKnown = replies.byNode[owner.incarnation] != nil
            rows.append([
                "shard": .integer(shard), "owner": .string(name), "loop": .integer(owner.loop),
                "epoch": shardRows[shard]?.epoch.map { .integer($0) } ?? .null,
                "since": shardRows[shard]?.since.map { .string($0.text) } ?? .null,
                "conversations": isKnown
                    ? .integer(shardRows[shard]?.conversations ?? 0) : .null,
                "msg_s": isKnown ? .number(shardRows[shard]?.messages ?? "0") : .null,
                "state": .string(snapshot.view.state(of: shard)),
            ])
        }
        return Self.document(
            [.init("view", .integer(snapshot.view.number)), .init("shards", .array(rows))]
                + replies.counts)
    }

    func owner(of key: ConversationKey) async throws(HTTPError) -> JSONTree {
        let snapshot = try await self.clusterSnapshot()
        if case .loaded(nil)? = await self.read(.load(key)) { throw Self.unknown(key) }
        let shard = Shard.of(key)
        let owner = snapshot.view.owner(of: shard)
        let peer = snapshot.peers.filter { $0.incarnation == owner.incarnation }
        async let holdings = self.query(.shards, of: peer, in: snapshot)
        let stored = OwnerPosition(
            await self.query(.storedPosition(key), of: peer, in: snapshot).byNode[
                owner.incarnation])
        let replies = await holdings
        let row = replies.byNode[owner.incarnation]?.elements?.lazy.compactMap(ShardRow.init)
            .first { $0.shard == shard }
        // After a failover the new owner claims a shard at its first use, which this is.
        var epoch = row?.epoch
        if epoch == nil, replies.byNode[owner.incarnation] != nil {
            epoch = await self.query(.claim(key), of: peer, in: snapshot).byNode[
                owner.incarnation]?.integerValue
        }
        let name = snapshot.name(of: owner.incarnation)
        return Self.document(
            [
                .init("conversation", .string(key.id.string)),
                .init("tenant", .string(key.tenant.string)), .init("shard", .integer(shard)),
                .init("owner", .string(name)), .init("loop", .integer(owner.loop)),
                .init("epoch", epoch.map { .integer($0) } ?? .null),
                .init("state", .string(snapshot.view.state(of: shard))),
                .init("head", stored.map { .integer($0.head) } ?? .null),
                .init("revision", stored.map { .integer($0.revision) } ?? .null),
                .init("view", .integer(snapshot.view.number)),
                .init("reason", .string(snapshot.view.reason(for: shard, naming: snapshot.name))),
            ] + replies.counts)
    }

    func peer(named name: String, in snapshot: ClusterSnapshot) throws(HTTPError)
        -> NodeLink.PeerNode
    {
        guard let peer = snapshot.peer(named: name) else {
            throw HTTPError(.notFound, snapshot.peers.absence(of: name))
        }
        if let ambiguity = snapshot.peers.ambiguity(of: name) {
            throw HTTPError(.conflict, ambiguity)
        }
        return peer
    }

    var noRedis: HTTPError {
        HTTPError(
            .conflict,
            """
            There is no Redis: this node stands alone and keeps its messages in \
            \(self.store.title).
            """
        )
    }

    /// - Parameter measuresStreams: whether Redis adds up the bytes of its streams, which takes it
    ///   up to a second.
    func redis(measuresStreams: Bool = true) async throws(HTTPError) -> JSONTree {
        guard let link = self.link else { throw self.noRedis }
        let snapshot = try await self.clusterSnapshot()
        // Measured once, and not by every node, because all use the same Redis.
        async let measured = measuresStreams ? link.measureStreams() : nil
        let replies = await self.query(.redisRow, of: snapshot.peers, in: snapshot)
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
        return Self.document([.init("redis", .array(rows))] + replies.counts)
    }

    static func document(_ members: [JSONTree.ObjectMember]) -> JSONTree {
        .object([.init("schema_version", 1)] + members)
    }
}
