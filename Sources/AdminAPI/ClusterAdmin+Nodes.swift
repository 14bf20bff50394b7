internal import Bytes
internal import ChatModel
internal import Cluster
internal import ClusterWire
internal import EventLoop
internal import Gateway
internal import HTTPWire
internal import JSON
internal import NodeLink

/// What is said of nodes and shards: asked of all of them, and put together.
extension ClusterAdmin {
    /// Who is there, as this node knows.
    struct ClusterSnapshot: Sendable {
        let ownIncarnation: UInt64
        let view: View
        let peers: [NodeLink.PeerNode]

        func peer(named name: String) -> NodeLink.PeerNode? { self.peers.first { $0.name == name } }
        func name(of node: UInt64) -> String { self.peers.name(of: node) }
    }

    /// What the nodes answered; who is gone was not asked.
    struct NodeReplies: Sendable {
        var replies: [UInt64: JSONTree] = [:]
        var queriedCount = 0

        var counts: [JSONTree.ObjectMember] {
            [
                .init("nodes_asked", .integer(self.queriedCount)),
                .init("nodes_answered", .integer(self.replies.count)),
            ]
        }
    }

    func clusterSnapshot() async throws(HTTPError) -> ClusterSnapshot {
        guard let gateway = self.gateway else { throw Self.starting }
        guard let link = self.link else {
            let me = View.Node(
                incarnation: self.record.incarnation, loops: gateway.loopCount,
                isDraining: gateway.health.status == .draining)
            let peer = NodeLink.PeerNode(
                incarnation: me.incarnation, record: self.record, isDraining: me.isDraining,
                silentFor: nil, evictedFor: nil)
            return ClusterSnapshot(
                ownIncarnation: me.incarnation, view: View(number: 0, nodes: [me]), peers: [peer])
        }
        let surroundings = await link.clusterStatus()
        guard let view = surroundings.view else {
            let standing = link.joinState
            if standing.isNameTaken {
                throw HTTPError(
                    .serviceUnavailable,
                    "The node waits for its name: a living node is called \(self.record.name), too."
                )
            }
            throw standing.outage.map {
                HTTPError(.serviceUnavailable, "The node waits for Redis: \($0)")
            } ?? Self.starting
        }
        return ClusterSnapshot(
            ownIncarnation: surroundings.localNode, view: view, peers: surroundings.peers)
    }

    static let starting = HTTPError(
        .serviceUnavailable, "The node is starting; ask again in a moment.")

    func query(
        _ topic: String, _ question: JSONTree = .object([]), of peers: [NodeLink.PeerNode],
        in scene: ClusterSnapshot
    ) async -> NodeReplies {
        let others = peers.filter { $0.evictedFor == nil && $0.incarnation != scene.ownIncarnation }
            .map(\.incarnation)
        // Those who are gone count as well: they are missed.
        var all = NodeReplies(queriedCount: peers.count)
        async let texts = self.link?.callAll(others, topic, question.text) ?? [:]
        if peers.contains(where: { $0.incarnation == scene.ownIncarnation }) {
            all.replies[scene.ownIncarnation] = await self.answer(topic, question)
        }
        for (node, text) in await texts { all.replies[node] = try? JSONTree(parsing: text) }
        return all
    }

    // MARK: Nodes

    func nodes() async throws(HTTPError) -> JSONTree {
        let scene = try await self.clusterSnapshot()
        let answers = await self.query("node", of: scene.peers, in: scene)
        return Self.document([.init("nodes", .array(Self.rows(scene, answers)))] + answers.counts)
    }

    static func rows(_ scene: ClusterSnapshot, _ answers: NodeReplies) -> [JSONTree] {
        let shards = scene.view.shardCounts
        let loads = scene.peers.compactMap { peer in
            peer.isDraining ? nil : answers.replies[peer.incarnation]?["connections"]?.integerValue
        }
        let mean = loads.isEmpty ? 0 : Double(loads.reduce(0, +)) / Double(loads.count)
        return scene.peers.map { peer in
            let answer = answers.replies[peer.incarnation]
            var row: [JSONTree.ObjectMember] = [
                .init("node", .string(peer.name)),
                .init("state", .string(Self.state(peer, answer))),
                .init("address", peer.record.map { .string($0.address) } ?? .null),
                .init("admin_address", peer.record?.adminAddress.map { .string($0) } ?? .null),
                .init("version", peer.record.map { .string($0.version) } ?? .null),
            ]
            if let gone = peer.evictedFor ?? (answer == nil ? peer.silentFor ?? 0 : nil) {
                row.append(.init("silent", .integer(gone / 1000)))
            }
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
            return .object(row)
        }
    }

    private static func state(_ peer: NodeLink.PeerNode, _ answer: JSONTree?) -> String {
        switch peer.state {
        case "gone": "gone"
        case _ where answer == nil: "suspect"
        case "active" where answer?["health"]?.stringValue == "draining": "draining"
        case let state: state
        }
    }

    // MARK: Shards

    func shards(of node: String?) async throws(HTTPError) -> JSONTree {
        let scene = try await self.clusterSnapshot()
        if let node { _ = try self.peer(named: node, in: scene) }
        let answers = await self.query("shards", of: scene.peers, in: scene)
        var lines: [Int: ShardRow] = [:]
        for (node, answer) in answers.replies {
            for line in (answer.elements ?? []).compactMap(ShardRow.init) {
                // Where it is another's in the view that we know, one of the two is about to hear of it.
                if scene.view.owner(of: line.shard).incarnation == node { lines[line.shard] = line }
            }
        }
        var rows: [JSONTree] = []
        for shard in 0..<Shard.count {
            let owner = scene.view.owner(of: shard)
            let name = scene.name(of: owner.incarnation)
            guard node == nil || name == node else { continue }
            rows.append([
                "shard": .integer(shard), "owner": .string(name), "loop": .integer(owner.loop),
                "epoch": lines[shard]?.epoch.map { .integer($0) } ?? .null,
                "since": lines[shard]?.since.map { .string($0.text) } ?? .null,
                "conversations": .integer(lines[shard]?.conversations ?? 0),
                "msg_s": .number(lines[shard]?.messages ?? "0"),
                "state": .string(scene.view.state(of: shard)),
            ])
        }
        return Self.document(
            [.init("view", .integer(scene.view.number)), .init("shards", .array(rows))]
                + answers.counts)
    }

    func owner(of key: ConversationKey) async throws(HTTPError) -> JSONTree {
        let scene = try await self.clusterSnapshot()
        if case .loaded(nil)? = await self.read(.load(key)) { throw Self.unknown(key) }
        let shard = Shard.of(key)
        let owner = scene.view.owner(of: shard)
        let peer = scene.peers.filter { $0.incarnation == owner.incarnation }
        let question: JSONTree = [
            "conversation": .string(key.id.string), "tenant": .string(key.tenant.string),
        ]
        async let holdings = self.query("shards", of: peer, in: scene)
        let stored = await self.query("stored", question, of: peer, in: scene).replies[
            owner.incarnation]
        let answers = await holdings
        let line = answers.replies[owner.incarnation]?.elements?.lazy.compactMap(ShardRow.init)
            .first { $0.shard == shard }
        let name = scene.name(of: owner.incarnation)
        return Self.document(
            [
                .init("conversation", .string(key.id.string)),
                .init("tenant", .string(key.tenant.string)), .init("shard", .integer(shard)),
                .init("owner", .string(name)), .init("loop", .integer(owner.loop)),
                .init("epoch", line?.epoch.map { .integer($0) } ?? .null),
                .init("state", .string(scene.view.state(of: shard))),
                .init("head", stored?["head"] ?? .null),
                .init("revision", stored?["revision"] ?? .null),
                .init("view", .integer(scene.view.number)),
                .init("why", .string(scene.view.reason(for: shard, naming: scene.name))),
            ] + answers.counts)
    }

    func peer(named name: String, in scene: ClusterSnapshot) throws(HTTPError) -> NodeLink.PeerNode
    {
        guard let peer = scene.peer(named: name) else {
            throw HTTPError(.notFound, scene.peers.absence(of: name))
        }
        if let sentence = scene.peers.ambiguity(of: name) { throw HTTPError(.conflict, sentence) }
        return peer
    }

    // MARK: Status

    func status() async throws(HTTPError) -> JSONTree {
        let scene = try await self.clusterSnapshot()
        let answers = await self.query("node", of: scene.peers, in: scene)
        let rows = Self.rows(scene, answers)
        let meaning = await self.durabilityOfAnswers()
        func sum(_ name: String) -> JSONTree {
            .number(Self.decimal(rows.compactMap { $0[name]?.doubleValue }.reduce(0, +)))
        }
        // A move that is about to begin counts: a node that has just come has no share yet.
        let next = scene.view.step(shards: 0) ?? scene.view
        let moving = (0..<Shard.count).filter(next.isMoving).count
        var problems: [String] = []
        for (peer, row) in zip(scene.peers, rows) {
            switch row["state"]?.stringValue {
            case "gone":
                problems.append("\(peer.name) is gone for \((peer.evictedFor ?? 0) / 1000) s")
            case "suspect": problems.append("\(peer.name) does not answer")
            case "draining":
                problems.append(
                    "\(peer.name) is drained: it takes no clients until `confab resume \(peer.name)`"
                )
            default: break
            }
            if row["health"]?.stringValue == "degraded" {
                problems.append("\(peer.name): \(row["reason"]?.stringValue ?? "degraded")")
            }
            for (key, fate) in [("renumbered", "kept under other numbers"), ("lost", "lost")] {
                guard let count = row[key]?.integerValue, count > 0 else { continue }
                problems.append(
                    "\(peer.name): Redis lacked changes that it had been given; \(count) of them are \(fate)"
                )
            }
            if let silent = row["silent_loops"]?.integerValue {
                problems.append("\(peer.name): \(silent) of its loops do not answer")
            }
        }
        if moving > 0 {
            problems.append("\(moving) shards are on their way to other nodes")
        } else if !scene.view.isRebalanced {
            problems.append("the shards are about to be shared out among other nodes than before")
        }
        for name in Set(scene.peers.map(\.name)).sorted() {
            if let sentence = scene.peers.ambiguity(of: name) { problems.append(sentence) }
        }
        let versions = Set(
            scene.peers.compactMap { $0.evictedFor == nil ? $0.record?.version : nil })
        if versions.count > 1 {
            problems.append(
                "nodes of several versions: \(versions.sorted().joined(separator: ", "))")
        }
        return Self.document(
            [
                .init("cluster", .string(self.clusterName)), .init("store", .string(self.store)),
                .init("answered_is", .string(meaning)), .init("view", .integer(scene.view.number)),
                .init("nodes", .integer(scene.peers.count)),
                .init("shards", .integer(Shard.count)), .init("shards_moving", .integer(moving)),
                .init("connections", sum("connections")),
                .init("users", sum("users")), .init("conversations", sum("conversations")),
                .init("in_s", sum("in_s")),
                .init("out_s", sum("out_s")), .init("slow", sum("slow")),
                .init("restored", sum("restored")),
                .init("renumbered", sum("renumbered")), .init("lost", sum("lost")),
                .init("asked", .string(self.record.name)),
                .init("problems", .array(problems.map { .string($0) })),
            ] + answers.counts)
    }

    /// What is certain when a send has been answered.
    private func durabilityOfAnswers() async -> String {
        guard let link = self.link else {
            return self.store == "memory"
                ? "in the memory of this node" : "on the disk of this node"
        }
        async let inspected = link.inspectRedis()
        let safety =
            await link.clusterStatus().durability ?? "in Redis, which does not say how safely"
        guard let info = await inspected?.info,
            let replicas = RedisInfo(info)["connected_slaves"].flatMap({ Int($0) })
        else {
            return safety
        }
        let awaited = self.waitReplicas ?? min(1, replicas)
        if awaited > 0 { return "\(safety), and in \(awaited) of \(replicas) replicas" }
        return replicas == 0 ? safety : "\(safety); its replicas (\(replicas)) may not have it"
    }

    var noRedis: HTTPError {
        HTTPError(
            .conflict,
            "There is no Redis: this node stands alone and keeps its messages in \(self.store == "memory" ? "memory" : "SQLite")."
        )
    }

    func redis() async throws(HTTPError) -> JSONTree {
        guard let link = self.link else { throw self.noRedis }
        let scene = try await self.clusterSnapshot()
        // Once for all of them: it is the same Redis, and not asked the same by every node.
        async let measured = link.measureStreams()
        let answers = await self.query("redis", of: scene.peers, in: scene)
        let streams = await measured
        let rows = scene.peers.map { peer in
            var row: [JSONTree.ObjectMember] = [.init("node", .string(peer.name))]
            if let answer = answers.replies[peer.incarnation]?.members {
                row += answer
                if !answer.contains(where: { $0.name == "failure" }) {
                    row.append(.init("stream_bytes", streams.map { .integer($0) } ?? .null))
                }
            }
            return JSONTree.object(row)
        }
        return Self.document([.init("redis", .array(rows))] + answers.counts)
    }

    // MARK: Drain

    func changeService(_ verb: String, _ question: JSONTree) async throws(HTTPError) -> JSONTree {
        guard let name = question["node"]?.stringValue else {
            throw .badRequest("The body must name a \"node\".")
        }
        if let rate = question["rate"], rate.integerValue.map({ $0 < 1 }) ?? true {
            throw .badRequest("\"rate\" must be a number above 0.")
        }
        if let time = question["deadline"],
            time.doubleValue.map({ !(0...86_400).contains($0) }) ?? true
        {
            throw .badRequest("\"deadline\" must be 0 to 86400 seconds.")
        }
        let scene = try await self.clusterSnapshot()
        let peer = try self.peer(named: name, in: scene)
        guard question["dry_run"]?.boolValue != true else {
            let answers = await self.query("node", of: [peer], in: scene)
            return Self.document(
                [
                    .init(
                        "nodes",
                        .array(Self.rows(scene, answers).filter { $0["node"]?.stringValue == name })
                    )
                ] + answers.counts)
        }
        let answers = await self.query(verb, question, of: [peer], in: scene)
        guard let answer = answers.replies[peer.incarnation] else {
            throw HTTPError(.serviceUnavailable, "\(name) does not answer.")
        }
        if answer == .bool(false) {
            throw HTTPError(.conflict, "\(name) is going down: it cannot be resumed.")
        }
        return Self.document([.init("node", .string(name)), .init(verb, answer)] + answers.counts)
    }

    static func document(_ members: [JSONTree.ObjectMember]) -> JSONTree {
        .object([.init("schema_version", 1)] + members)
    }
}
