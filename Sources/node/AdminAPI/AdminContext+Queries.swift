internal import ChatModel
internal import Cluster
internal import ClusterWire
internal import Configuration
internal import Gateway
internal import HTTPWire
internal import JSON
internal import NodeLink

/// The cluster's members as this node knows them.
struct ClusterSnapshot: Sendable {
    let ownIncarnation: UInt64
    let view: View
    let peers: [NodeLink.PeerNode]
    /// Nil on a single node.
    var redis: ClusterDiagnosis.Redis?

    func name(of node: UInt64) -> String { self.peers.name(of: node) }

    /// The nodes that are not gone.
    var living: [NodeLink.PeerNode] { self.peers.filter { $0.evictedFor == nil } }

    /// - Throws: 404, or 409 if several living nodes have the name.
    func peer(named name: String) throws(HTTPError) -> NodeLink.PeerNode {
        guard let peer = self.peers.first(where: { $0.name == name }) else {
            throw HTTPError(.notFound, self.peers.absence(of: name))
        }
        if let ambiguity = self.peers.ambiguity(of: name) { throw HTTPError(.conflict, ambiguity) }
        return peer
    }

    /// The node that owns the loop.
    func peers(owning loop: LoopID) -> [NodeLink.PeerNode] {
        self.peers.filter { $0.incarnation == loop.incarnation }
    }
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

/// Queries of all nodes. The node that was asked waits two seconds for each, and reports which did
/// not answer.
extension AdminContext {
    func snapshot() async throws(HTTPError) -> ClusterSnapshot {
        guard let gateway = self.gateway else { throw .nodeStarting }
        guard let link = self.link else {
            // Before the link exists, a cluster of one would be a wrong answer.
            guard !self.isClustered else { throw .nodeStarting }
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
            } ?? .nodeStarting
        }
        return ClusterSnapshot(
            ownIncarnation: status.localNode, view: view, peers: status.peers,
            redis: Self.redis(status))
    }

    func query(
        _ topic: NodeTopic, _ arguments: [JSONTree.ObjectMember] = [],
        of peers: [NodeLink.PeerNode], in snapshot: ClusterSnapshot
    ) async -> NodeReplies {
        let request = NodeRequest(topic.name, arguments)
        let others = peers.filter {
            $0.evictedFor == nil && $0.incarnation != snapshot.ownIncarnation
        }
        // Gone nodes count as unanswered.
        var all = NodeReplies(queriedCount: peers.count)
        async let answers = self.link?.askAll(
            others, request, isReading: topic.isReading,
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
        guard let newer = try? await self.snapshot() else { return snapshot }
        let peers = snapshot.peers.map { peer in
            newer.peers.first { $0.incarnation == peer.incarnation } ?? peer
        }
        return ClusterSnapshot(
            ownIncarnation: snapshot.ownIncarnation, view: snapshot.view, peers: peers,
            redis: newer.redis)
    }
}

extension HTTPError {
    static let nodeStarting = HTTPError(
        .serviceUnavailable, "The node is starting; ask again in a moment.")
}
