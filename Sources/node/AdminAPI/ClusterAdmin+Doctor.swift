internal import Bytes
internal import ClusterWire
internal import Configuration
internal import Gateway
internal import HTTPWire
public import JSON
internal import NodeLink
internal import Telemetry
internal import Webhooks

/// A node's report about itself beyond its loops: its settings, files and logs.
public struct NodeInspection: Sendable {
    /// The members `settings`, `database` and `connection_limit` of the node's facts.
    public let facts: @Sendable () async -> [JSONTree.ObjectMember]
    /// The files of this node in a support archive, by name. They contain no secrets.
    public let supportFiles: @Sendable () async -> [(name: String, text: String)]

    public init(
        facts: @escaping @Sendable () async -> [JSONTree.ObjectMember],
        supportFiles: @escaping @Sendable () async -> [(name: String, text: String)]
    ) {
        self.facts = facts
        self.supportFiles = supportFiles
    }
}

/// `confab doctor`.
extension ClusterAdmin {
    func doctor() async throws(HTTPError) -> JSONTree {
        let snapshot = try await self.clusterSnapshot()
        let peers = snapshot.peers.filter { $0.evictedFor == nil }
        let replies = await self.query(.facts, of: peers, in: snapshot)
        let nodes = peers.map {
            NodeFacts(
                name: $0.name, incarnation: $0.incarnation,
                document: replies.byNode[$0.incarnation])
        }
        let findings = DoctorCheck.findings(nodes)
        let rows = findings.map { row -> JSONTree in
            [
                "check": .string(row.check), "node": .string(row.node),
                "result": .string(row.finding.severity.rawValue),
                "finding": .string(row.finding.sentence),
                "remedy": row.finding.remedy.map { .string($0) } ?? .null,
            ]
        }
        func count(_ severity: DoctorFinding.DoctorSeverity) -> JSONTree {
            .integer(findings.filter { $0.finding.severity == severity }.count)
        }
        return Self.document(
            [
                .init(
                    "passed", .bool(!findings.contains { $0.finding.severity == .failed })),
                .init("failed", count(.failed)), .init("warnings", count(.warning)),
                .init("ok", count(.ok)), .init("checks", .array(rows)),
            ] + replies.counts)
    }

    /// The facts about this node.
    func localFacts(_ gateway: Gateway) async -> JSONTree {
        let record = self.record
        let health: (status: String, reason: String?) =
            switch gateway.health.status {
            case .healthy: ("healthy", nil)
            case .starting: ("degraded", "the node is starting")
            case .degraded(let reason): ("degraded", reason)
            case .draining: ("draining", nil)
            }
        var facts: [JSONTree.ObjectMember] = [
            .init("version", .string(record.version)),
            .init("survives_restart", .bool(self.store.survivesRestart)),
            .init("now", .integer(WallClock.now.milliseconds)),
            .init(
                "health",
                [
                    "status": .string(health.status),
                    "reason": health.reason.map { .string($0) } ?? .null,
                ]),
            .init("process", Self.processFacts()),
            .init(
                "clients",
                [
                    "refusing": .array(gateway.health.refusingLimits.map { .string($0) }),
                    "address": gateway.largestAddress.map { .string("\($0.address)") } ?? .null,
                    "address_connections": .integer(gateway.largestAddress?.connections ?? 0),
                ]),
        ]
        if self.webhooks != nil {
            facts.append(.init("webhooks", self.localWebhooks()))
            facts.append(.init("dead_letters", .integer(self.webhooks?.summary.deadCount ?? 0)))
        }
        if let link = self.link { facts.append(.init("redis", await self.redisFacts(link))) }
        return .object(facts + (await self.inspection?.facts() ?? []))
    }

    private static func processFacts() -> JSONTree {
        guard let process = ProcessStatistics() else { return .null }
        let memory = MemoryLimits()
        return [
            "resident": .integer(process.residentBytes),
            "descriptors": process.openDescriptorCount.map { .integer($0) } ?? .null,
            "descriptor_limit": process.descriptorLimit.map { .integer($0) } ?? .null,
            "memory_limit": memory.map { .integer($0.limitBytes) } ?? .null,
            "memory_available": memory.map { .integer($0.availableBytes) } ?? .null,
        ]
    }

    private func redisFacts(_ link: NodeLink) async -> JSONTree {
        async let status = link.clusterStatus()
        let examination = await link.examineRedis()
        let cluster = await status
        var facts: [JSONTree.ObjectMember] = [
            .init("mode", .string(cluster.redisMode)),
            .init("last_delivery", .integer(cluster.lastDeliveryAge)),
            .init("rebuilds", .integer(cluster.mailboxResubscriptions)),
            .init("has_password", .bool(cluster.hasRedisPassword)),
            .init("wait_replicas", self.waitReplicas.map { .integer($0) } ?? .null),
        ]
        guard let offset = examination.clockOffset else {
            let reason = link.joinState.outage ?? "no reply within two seconds"
            return .object(facts + [.init("failure", .string(reason))])
        }
        facts.append(.init("clock_offset", .integer(offset)))
        facts.append(.init("clock_error", .integer(examination.clockError)))
        facts.append(.init("servers", .array(examination.servers.map(Self.facts))))
        facts.append(
            .init(
                "rejected",
                .array(
                    examination.rejections.map {
                        [
                            "command": .string($0.command), "reason": .string($0.reason),
                            "required": .bool($0.isRequired),
                        ]
                    })))
        return .object(facts)
    }

    private static let infoNames = [
        "redis_version", "role", "connected_slaves", "used_memory", "maxmemory",
        "total_system_memory", "maxmemory_policy", "aof_enabled", "aof_last_write_status",
    ]

    private static func facts(_ server: RedisExamination.ExaminedServer) -> JSONTree {
        [
            "endpoint": .string(server.endpoint),
            "info": server.info.map { info in
                .object(
                    self.infoNames.map { .init($0, info[$0].map { .string($0) } ?? .null) })
            } ?? .null,
            "settings": server.settings.map { settings in
                .object(settings.sorted { $0.key < $1.key }.map { .init($0, .string($1)) })
            } ?? .null,
        ]
    }
}
