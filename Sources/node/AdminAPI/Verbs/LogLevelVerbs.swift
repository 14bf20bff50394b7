internal import Configuration
internal import HTTPWire
internal import JSON
internal import NodeLink
internal import Telemetry

/// The log level of running nodes.
struct LogLevelVerbs: VerbGroup {
    private static let order = NodeTopic("log-level")

    let context: AdminContext
    let levels: LogLevelControl

    var handlers: [String: AdminHandler] { ["log-level": self.setLevel] }

    var answers: [NodeTopic: NodeTopicAnswer] {
        [Self.order: { _, order in self.setLocalLevel(order) }]
    }

    /// Sets the level of one node or of all.
    private func setLevel(_ request: AdminRequest) async throws(HTTPError) -> JSONTree {
        let level = request.text("level") ?? ""
        let time = request.seconds("for").map { OperatorText.decimal($0) }
        let snapshot = try await self.context.snapshot()
        let peers =
            if let name = request.text("node") {
                [try snapshot.peer(named: name)]
            } else {
                snapshot.living
            }
        let names = peers.map(\.name).joined(separator: ", ")
        let effect = "the log level of \(names) to \(level)" + (time.map { " for \($0) s" } ?? "")
        if request.isDryRun { return .summary("would set \(effect)") }
        self.context.record("log-level", request, detail: effect)
        let replies = await self.context.query(
            Self.order, request.orderArguments, of: peers, in: snapshot)
        let rows = peers.map { peer -> JSONTree in
            [
                "node": .string(peer.name),
                "level": replies.byNode[peer.incarnation]?["level"] ?? .null,
            ]
        }
        return .document(
            [.init("summary", .string("set \(effect)")), .init("nodes", .array(rows))]
                + replies.counts)
    }

    /// Sets the level of this node.
    ///
    /// - Parameter order: the `level`, the time `for` in seconds, the `operator`.
    /// - Returns: the level that applies; nil for an order that this version does not understand.
    private func setLocalLevel(_ order: JSONTree) -> JSONTree? {
        guard let level = order["level"]?.stringValue.flatMap({ LogLevel(rawValue: $0) }) else {
            return nil
        }
        let time = order["for"]?.doubleValue.map { Duration.seconds($0) }
        self.levels.order(level, for: time, by: order["operator"]?.stringValue)
        return ["level": .string(level.rawValue)]
    }
}
