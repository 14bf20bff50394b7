internal import Bytes
internal import ClusterWire
internal import Configuration
internal import Gateway
internal import HTTPWire
internal import JSON
internal import NodeLink

/// `confab node NAME`.
extension NodeVerbs {
    /// This node in full: its settings, limits, loops and links to Redis.
    func localDetails(_ gateway: Gateway) async -> JSONTree {
        async let redis = self.localRedisLinks()
        let reports = await gateway.loopReports(within: Self.localTimeout)
        let links = self.context.link?.loopLinkStates
        let limitPrefix = "limit "
        let settings = self.context.settings
        let details: [JSONTree.ObjectMember] = [
            .init("started", .string(self.context.record.startedAt.text)),
            .init("incarnation", .string(String(self.context.record.incarnation, radix: 36))),
            .init(
                "settings",
                .array(
                    settings.filter { !$0.name.hasPrefix(limitPrefix) }.map {
                        Self.row($0, $0.name)
                    })),
            .init(
                "limits",
                .array(
                    settings.filter { $0.name.hasPrefix(limitPrefix) }.map {
                        Self.row($0, String($0.name.dropFirst(limitPrefix.count)))
                    })),
            .init(
                "loops",
                .array(reports.enumerated().map { Self.row(ofLoop: $0, $1, link: links?[$0]) })),
        ]
        return .object(details + (await redis))
    }

    private static func row(_ setting: NodeSetting, _ name: String) -> JSONTree {
        [
            "name": .string(name), "value": setting.value.map { .string($0) } ?? .null,
            "source": .string(setting.source),
        ]
    }

    /// - Parameters:
    ///   - report: nil for a loop that does not answer.
    ///   - link: the state of its connection to Redis; nil without Redis.
    private static func row(ofLoop number: Int, _ report: LoopReport?, link: String?) -> JSONTree {
        func value(_ read: (LoopReport) -> JSONTree) -> JSONTree { report.map(read) ?? .null }
        return [
            "loop": .integer(number), "answered": .bool(report != nil),
            "redis": link.map { .string($0) } ?? .null,
            "connections": value { .integer($0.connections) },
            "users": value { .integer($0.users) },
            "conversations": value { .integer($0.conversations) },
            "in_s": value { .number(OperatorText.decimal($0.messagesIn)) },
            "out_s": value { .number(OperatorText.decimal($0.messagesOut)) },
            "slow": value { .integer($0.slowConnections) },
            "pending": value { .integer($0.pendingBytes) },
            "loop_lag_p99": value { report in
                report.turnPercentile99.map {
                    .number(OperatorText.decimal(Double($0) / 1e6))
                }
                    ?? .null
            },
        ]
    }

    /// The node's Redis; nothing without Redis.
    private func localRedisLinks() async -> [JSONTree.ObjectMember] {
        guard let link = self.context.link else { return [] }
        let status = await link.clusterStatus()
        return [
            .init("redis_mode", .string(status.redisMode)),
            .init("redis_servers", .array(status.redisServers.map { .string($0) })),
            .init("redis_outage", link.joinState.outage.map { .string($0) } ?? .null),
            .init("redis_rebuilds", .integer(status.mailboxResubscriptions)),
        ]
    }

    // MARK: On the node that was asked

    func node(_ request: AdminRequest) async throws(HTTPError) -> JSONTree {
        let name = request.text("node") ?? ""
        let snapshot = try await self.context.snapshot()
        let peer = try snapshot.peer(named: name)
        async let details = self.context.query(Self.details, of: [peer], in: snapshot)
        let load = await self.context.query(Self.nodeRow, of: [peer], in: snapshot)
        let replies = await details
        let row = Self.rows(snapshot, load).first { $0["node"]?.stringValue == name }
        let found = replies.byNode[peer.incarnation]?.members ?? []
        return .document(
            // The imbalance is a comparison with the other nodes, which were not asked.
            (row?.members ?? []).filter { $0.name != "imbalance" } + found
                + replies.counts)
    }
}
