internal import Cluster
internal import ClusterWire
internal import Configuration
internal import Gateway
internal import HTTPWire
internal import JSON
internal import NodeLink
internal import Telemetry

/// Takes nodes out of service and returns them.
extension ClusterAdmin {
    private static let handOverTimeout = Duration.seconds(10)
    /// Shorter than a query's timeout, because the node that was asked waits for it.
    private static let decisionTimeout = Duration.milliseconds(1200)
    /// The time that close handshakes may take after the last close.
    private static let closeTimeout = Duration.seconds(6)

    /// Drains or resumes a node.
    func changeService(_ request: AdminRequest) async throws(HTTPError) -> JSONTree {
        let verb = request.verb.name
        let name = request.text("node") ?? ""
        let snapshot = try await self.clusterSnapshot()
        let peer = try self.peer(named: name, in: snapshot)
        guard !request.isDryRun else {
            let accepting = snapshot.peers.contains {
                $0.incarnation != peer.incarnation && $0.state == "active"
            }
            if verb == "drain", !request.flag("force"), !accepting, !peer.isDraining {
                throw HTTPError(.conflict, Self.lastNode(name))
            }
            let replies = await self.query(.nodeRow, of: [peer], in: snapshot)
            let rows = Self.rows(snapshot, replies).filter { $0["node"]?.stringValue == name }
            let plan =
                verb == "drain"
                ? Self.drainPlan(of: name, rows.first ?? .null, isAlone: !accepting)
                : "\(name) would accept clients and its share of the shards"
            return Self.document(
                [.init("nodes", .array(rows)), .init("summary", .string(plan))] + replies.counts)
        }
        let order = NodeRequest(
            verb, request.values + [.init("operator", .string(request.operatorName))])
        let replies = await self.query(order, of: [peer], in: snapshot)
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
        return Self.document(
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
    func drain(_ gateway: Gateway, _ order: JSONTree) async -> JSONTree {
        let isForced = order["force"]?.boolValue ?? false
        if !isForced, gateway.health.status != .draining, let refusal = await self.drainRefusal() {
            return ["refused": .string(refusal)]
        }
        let connections = Self.connections(in: await gateway.reports(within: Self.localTimeout))
        let time = order["deadline"]?.doubleValue.map { Duration.seconds($0) }
        var over = time ?? self.defaultDrain
        if let rate = order["rate"]?.integerValue, rate > 0 {
            let paced = Duration.seconds(Double(connections) / Double(rate))
            over = time.map { min($0, paced) } ?? paced
        }
        let limit = over
        self.logger.info(
            "drain started by operator",
            ["connections": .init(connections), "over": .init(limit)])
        let seconds = OperatorText.decimal(limit / .seconds(1))
        self.record(
            "drain", by: order["operator"]?.stringValue,
            detail:
                "\(OperatorText.count(connections, "connection")) to be closed within \(seconds) s")
        let link = self.link
        _ = self.replaceDrain(
            with: Task {
                gateway.refuseClients()
                await link?.handOver(within: Self.handOverTimeout)
                guard !Task.isCancelled else { return }
                gateway.drain(over: limit)
                await gateway.waitUntilDrained(within: limit + Self.closeTimeout)
                // Connections of health checks may stay open.
                let reports = await gateway.reports(within: Self.localTimeout)
                guard !Task.isCancelled, Self.connections(in: reports) == 0 else { return }
                self.record("drained", by: order["operator"]?.stringValue)
            })
        return ["connections": .integer(connections), "seconds": .number(seconds)]
    }

    /// Asks the cluster's view whether this node may drain.
    ///
    /// - Returns: why not; nil if it may.
    private func drainRefusal() async -> String? {
        let name = self.record.name
        guard let link = self.link else { return Self.lastNode(name) }
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
    func resume(_ gateway: Gateway, _ order: JSONTree) -> Bool {
        guard self.replaceDrain(with: nil) else { return false }
        self.logger.info("node resumed by operator")
        self.record("resume", by: order["operator"]?.stringValue)
        self.link?.resume()
        gateway.resumeClients()
        return true
    }
}
