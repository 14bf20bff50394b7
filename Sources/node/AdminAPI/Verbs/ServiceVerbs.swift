internal import ClusterWire
internal import Configuration
internal import Gateway
internal import HTTPWire
internal import JSON
internal import NodeLink
internal import Telemetry

/// `confab drain` and `confab resume`: take nodes out of service and return them.
struct ServiceVerbs: VerbGroup {
    private static let drain = NodeTopic("drain")
    private static let resume = NodeTopic("resume")

    let context: AdminContext
    /// The drain of this node.
    let ownDrain: OperatorDrain
    /// The default duration of a drain.
    let defaultTime: Duration

    var handlers: [String: AdminHandler] {
        [
            "drain": { request async throws(HTTPError) in
                try await self.order(Self.drain, request)
            },
            "resume": { request async throws(HTTPError) in
                try await self.order(Self.resume, request)
            },
        ]
    }

    var answers: [NodeTopic: NodeTopicAnswer] {
        [
            Self.drain: { gateway, order in await self.drain(gateway, order) },
            Self.resume: { gateway, order in .bool(self.resume(gateway, order)) },
        ]
    }

    private static let handOverTimeout = Duration.seconds(10)
    /// Shorter than a query's timeout, because the node that was asked waits for it.
    private static let decisionTimeout = Duration.milliseconds(1200)
    /// The time that close handshakes may take after the last close.
    private static let closeTimeout = Duration.seconds(6)

    /// Drains or resumes a node.
    private func order(_ topic: NodeTopic, _ request: AdminRequest)
        async throws(HTTPError) -> JSONTree
    {
        let verb = topic.name
        let name = request.text("node") ?? ""
        let snapshot = try await self.context.snapshot()
        let peer = try snapshot.peer(named: name)
        guard !request.isDryRun else {
            let accepting = snapshot.peers.contains {
                $0.incarnation != peer.incarnation && $0.state == "active"
            }
            if verb == "drain", !request.flag("force"), !accepting, !peer.isDraining {
                throw HTTPError(.conflict, Self.lastNode(name))
            }
            let replies = await self.context.query(NodeVerbs.nodeRow, of: [peer], in: snapshot)
            let rows = NodeVerbs.rows(snapshot, replies).filter { $0["node"]?.stringValue == name }
            let plan =
                verb == "drain"
                ? Self.drainPlan(of: name, rows.first ?? .null, isAlone: !accepting)
                : "\(name) would accept clients and its share of the shards"
            return .document(
                [.init("nodes", .array(rows)), .init("summary", .string(plan))] + replies.counts)
        }
        let replies = await self.context.query(
            topic, request.orderArguments, of: [peer], in: snapshot)
        guard let answer = replies.byNode[peer.incarnation] else {
            throw HTTPError(.serviceUnavailable, self.silence(of: name, snapshot))
        }
        if let reason = answer["refused"]?.stringValue { throw HTTPError(.conflict, reason) }
        if answer == .bool(false) {
            throw HTTPError(.conflict, "\(name) is going down: it cannot be resumed.")
        }
        let clients = OperatorText.count(answer["connections"]?.integerValue ?? 0, "client")
        let result =
            verb == "drain"
            ? "\(name) closes \(clients) within \(answer["seconds"]?.text ?? "some") s; its row "
                + "shows the progress"
            : "\(name) accepts clients and its share of the shards"
        return .document(
            [.init("node", .string(name)), .init(verb, answer), .init("summary", .string(result))]
                + replies.counts)
    }

    /// - Parameter row: the node's row.
    private static func drainPlan(of name: String, _ row: JSONTree, isAlone: Bool) -> String {
        let shards = OperatorText.count(row["shards"]?.integerValue ?? 0, "shard")
        let clients =
            row["connections"]?.integerValue.map { OperatorText.count($0, "client") }
            ?? "an unknown number of clients"
        return isAlone
            ? "\(name) would keep \(shards) (there is no other node) and close \(clients)"
            : "\(name) would hand over \(shards) and close \(clients)"
    }

    /// Why an order did not reach a node. Orders go through Redis only, because a recorded order
    /// could be replayed elsewhere.
    private func silence(of name: String, _ snapshot: ClusterSnapshot) -> String {
        guard let redis = snapshot.redis, let silence = redis.silence else {
            return "\(name) does not answer."
        }
        return """
            Redis at \(redis.address) has not answered for \(ClusterDiagnosis.seconds(silence)), \
            so the order does not reach \(name). Send it to the admin listener of \(name), or stop \
            the process with SIGTERM.
            """
    }

    private static func lastNode(_ name: String) -> String {
        "\(name) is the last node that accepts clients; --force drains it anyway."
    }

    // MARK: This node

    /// Starts a drain, which continues in the background.
    ///
    /// - Parameter order: the `deadline` in seconds, the `rate` per second, `force`, and the
    ///   `operator`.
    /// - Returns: the number of clients and the seconds, or why the drain is `refused`.
    private func drain(_ gateway: Gateway, _ order: JSONTree) async -> JSONTree {
        let isForced = order["force"]?.boolValue ?? false
        if !isForced, gateway.health.status != .draining, let refusal = await self.drainRefusal() {
            return ["refused": .string(refusal)]
        }
        let connections = await gateway.reports(within: Self.localTimeout).clientCount
        let time = order["deadline"]?.doubleValue.map { Duration.seconds($0) }
        var over = time ?? self.defaultTime
        if let rate = order["rate"]?.integerValue, rate > 0 {
            let paced = Duration.seconds(Double(connections) / Double(rate))
            over = time.map { min($0, paced) } ?? paced
        }
        let limit = over
        self.context.logger.info(
            "drain started by operator",
            ["connections": .init(connections), "over": .init(limit)])
        let seconds = OperatorText.decimal(limit / .seconds(1))
        self.context.record(
            "drain", by: order["operator"]?.stringValue,
            detail:
                "\(OperatorText.count(connections, "connection")) to be closed within \(seconds) s")
        let link = self.context.link
        self.ownDrain.start {
            gateway.refuseClients()
            link?.drain()
        } then: { drain in
            await link?.waitUntilHandedOver(within: Self.handOverTimeout)
            guard drain.step({ gateway.drain(over: limit) }) else { return }
            await gateway.waitUntilDrained(within: limit + Self.closeTimeout)
            // Connections of health checks may stay open.
            guard await gateway.reports(within: Self.localTimeout).clientCount == 0 else { return }
            drain.step { self.context.record("drained", by: order["operator"]?.stringValue) }
        }
        return ["connections": .integer(connections), "seconds": .number(seconds)]
    }

    /// Asks the cluster's view whether this node may drain.
    ///
    /// - Returns: why not; nil if it may.
    private func drainRefusal() async -> String? {
        let name = self.context.record.name
        guard let link = self.context.link else { return Self.lastNode(name) }
        switch await link.requestDrain(within: Self.decisionTimeout) {
        case .accepted: return nil
        case .refused: return Self.lastNode(name)
        case .undecided:
            return """
                Redis does not answer, so \(name) cannot know whether another node accepts \
                clients; --force drains it anyway.
                """
        }
    }

    /// - Returns: whether the node accepts clients again.
    private func resume(_ gateway: Gateway, _ order: JSONTree) -> Bool {
        self.ownDrain.end {
            self.context.logger.info("node resumed by operator")
            self.context.record("resume", by: order["operator"]?.stringValue)
            self.context.link?.resume()
            gateway.resumeClients()
        }
    }
}
