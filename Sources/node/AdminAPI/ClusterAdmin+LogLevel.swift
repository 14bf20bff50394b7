internal import ClusterWire
internal import Configuration
internal import HTTPWire
internal import JSON
internal import NodeLink
internal import Telemetry

/// The log level of running nodes.
extension ClusterAdmin {
    /// Sets the level of one node or of all.
    func setLogLevel(_ request: AdminRequest) async throws(HTTPError) -> JSONTree {
        let level = request.text("level") ?? ""
        let time = request.seconds("for").map { OperatorText.decimal($0) }
        let snapshot = try await self.clusterSnapshot()
        let peers =
            if let name = request.text("node") {
                [try self.peer(named: name, in: snapshot)]
            } else {
                snapshot.peers.filter { $0.evictedFor == nil }
            }
        let names = peers.map(\.name).joined(separator: ", ")
        let effect = "the log level of \(names) to \(level)" + (time.map { " for \($0) s" } ?? "")
        guard !request.isDryRun else {
            return Self.document([.init("summary", .string("would set \(effect)"))])
        }
        self.record("log-level", request, detail: effect)
        let order = NodeRequest(
            "log-level", request.values + [.init("operator", .string(request.operatorName))])
        let replies = await self.query(order, of: peers, in: snapshot)
        let rows = peers.map { peer -> JSONTree in
            [
                "node": .string(peer.name),
                "level": replies.byNode[peer.incarnation]?["level"] ?? .null,
            ]
        }
        return Self.document(
            [.init("summary", .string("set \(effect)")), .init("nodes", .array(rows))]
                + replies.counts)
    }

    /// Sets the level of this node.
    ///
    /// - Parameter order: the `level`, the time `for` in seconds, the `operator`.
    /// - Returns: the level that applies; nil for an order that this version does not understand.
    func setLocalLogLevel(_ order: JSONTree) -> JSONTree? {
        guard let level = order["level"]?.stringValue.flatMap({ LogLevel(rawValue: $0) }) else {
            return nil
        }
        let time = order["for"]?.doubleValue.map { Duration.seconds($0) }
        self.logLevels.order(level, for: time, by: order["operator"]?.stringValue)
        return ["level": .string(level.rawValue)]
    }
}
