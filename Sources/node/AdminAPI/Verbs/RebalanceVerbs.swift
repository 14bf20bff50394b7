internal import Cluster
internal import Configuration
internal import Gateway
internal import HTTPWire
internal import JSON
internal import NodeLink
internal import Telemetry

/// Spreads clients evenly over the nodes.
struct RebalanceVerbs: VerbGroup {
    private static let closing = NodeTopic("close_clients")

    let context: AdminContext

    var handlers: [String: AdminHandler] { ["rebalance": self.rebalance] }

    var answers: [NodeTopic: NodeTopicAnswer] { [Self.closing: self.closeClients] }

    private func rebalance(_ request: AdminRequest) async throws(HTTPError) -> JSONTree {
        let snapshot = try await self.context.snapshot()
        let replies = await self.context.query(NodeVerbs.nodeRow, of: snapshot.peers, in: snapshot)
        var connections: [(node: String, count: Int)] = []
        for row in NodeVerbs.rows(snapshot, replies) {
            let state = row["state"]?.stringValue ?? ""
            guard !["gone", "draining", "drained"].contains(state) else { continue }
            let name = row["node"]?.stringValue ?? "?"
            guard let count = row["connections"]?.integerValue else {
                throw HTTPError(
                    .serviceUnavailable,
                    "\(name) does not answer, so the number of its clients is unknown.")
            }
            connections.append((name, count))
        }
        let plan = RebalancePlan(connections)
        let rate = request.number("rate") ?? 50
        let moving = snapshot.view.shardsToMove.count
        func document(_ verb: String) -> JSONTree {
            let loads = plan.loads.map { load -> JSONTree in
                [
                    "node": .string(load.node), "connections": .integer(load.connections),
                    "surplus": .integer(load.surplus),
                ]
            }
            let shards =
                moving == 0
                ? "every shard is where the view wants it"
                : "\(moving) shards are moving by themselves"
            return .document(
                [
                    .init("summary", .string("\(plan.summary(verb: verb)); \(shards)")),
                    .init("dry_run", .bool(request.isDryRun)),
                    .init("surplus", .integer(plan.surplus)),
                    .init("seconds", .integer((plan.surplus + rate - 1) / rate)),
                    .init("shards_moving", .integer(moving)), .init("nodes", .array(loads)),
                ] + replies.counts)
        }
        if request.isDryRun { return document("would close") }
        for load in plan.loads where load.surplus > 0 {
            let peer = try snapshot.peer(named: load.node)
            let order: [JSONTree.ObjectMember] = [
                .init("count", .integer(load.surplus)),
                .init("rate", .integer(max(1, rate * load.surplus / plan.surplus))),
                .init("operator", .string(request.operatorName)),
            ]
            let answers = await self.context.query(Self.closing, order, of: [peer], in: snapshot)
            guard answers.byNode[peer.incarnation] != nil else {
                throw HTTPError(
                    .serviceUnavailable,
                    "\(load.node) does not answer; nodes before it close their surplus.")
            }
        }
        return document("closing")
    }

    /// Closes some of this node's clients, one after the other.
    ///
    /// - Parameter order: the `count` of clients, the `rate` per second, the `operator`.
    private func closeClients(_ gateway: Gateway, _ order: JSONTree) async -> JSONTree? {
        guard let count = order["count"]?.integerValue, count > 0,
            let rate = order["rate"]?.integerValue, rate > 0
        else { return nil }
        let over = Duration.seconds(Double(count) / Double(rate))
        self.context.logger.info(
            "clients moved by operator", ["connections": .init(count), "over": .init(over)])
        self.context.record(
            "rebalance", by: order["operator"]?.stringValue,
            detail:
                "\(count) clients to be closed within \(OperatorText.decimal(over / .seconds(1))) s"
        )
        await gateway.closeClients(count, over: over, within: Self.localTimeout)
        return true
    }
}
