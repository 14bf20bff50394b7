internal import Bytes
internal import ClusterWire
internal import Configuration
internal import Gateway
internal import HTTPWire
internal import JSON
internal import NodeLink
internal import Telemetry
internal import Webhooks

/// `confab doctor` and the files for `confab support`.
struct InspectionVerbs: VerbGroup {
    /// The facts that `confab doctor` checks.
    private static let facts = NodeTopic("facts")
    /// The node's files in a support archive.
    private static let supportFiles = NodeTopic("support")

    let context: AdminContext
    let webhooks: WebhookVerbs

    var handlers: [String: AdminHandler] {
        [
            "doctor": { _ async throws(HTTPError) in try await self.doctor() },
            "support": { _ async throws(HTTPError) in try await self.supportFiles() },
        ]
    }

    var answers: [NodeTopic: NodeTopicAnswer] {
        [
            Self.facts: { gateway, _ in await self.localFacts(gateway) },
            Self.supportFiles: { _, _ in await self.localSupportFiles() },
        ]
    }

    private func doctor() async throws(HTTPError) -> JSONTree {
        let snapshot = try await self.context.snapshot()
        let peers = snapshot.living
        let replies = await self.context.query(Self.facts, of: peers, in: snapshot)
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
        return .document(
            [
                .init(
                    "passed", .bool(!findings.contains { $0.finding.severity == .failed })),
                .init("failed", count(.failed)), .init("warnings", count(.warning)),
                .init("ok", count(.ok)), .init("checks", .array(rows)),
            ] + replies.counts)
    }

    /// The facts about this node.
    private func localFacts(_ gateway: Gateway) async -> JSONTree {
        let record = self.context.record
        let health = gateway.health.status.words
        var facts: [JSONTree.ObjectMember] = [
            .init("version", .string(record.version)),
            .init("survives_restart", .bool(self.context.store.survivesRestart)),
            .init("now", .integer(WallClock.now.milliseconds)),
            .init(
                "health",
                [
                    "status": .string(health.state),
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
        if let summary = self.webhooks.service?.summary {
            facts.append(.init("webhooks", self.webhooks.localRows()))
            facts.append(.init("dead_letters", .integer(summary.deadCount)))
        }
        if let link = self.context.link {
            facts.append(.init("redis", await self.redisFacts(link)))
        }
        return .object(facts + (await self.context.inspection?.facts() ?? []))
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

    private func redisFacts(_ link: any ClusterLink) async -> JSONTree {
        async let status = link.clusterStatus()
        let examination = await link.examineRedis()
        let cluster = await status
        var facts: [JSONTree.ObjectMember] = [
            .init("mode", .string(cluster.redisMode)),
            .init("last_delivery", .integer(cluster.lastDeliveryAge)),
            .init("rebuilds", .integer(cluster.mailboxResubscriptions)),
            .init("has_password", .bool(cluster.hasRedisPassword)),
            .init("wait_replicas", self.context.waitReplicas.map { .integer($0) } ?? .null),
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

    // MARK: Support

    private func supportFiles() async throws(HTTPError) -> JSONTree {
        let snapshot = try await self.context.snapshot()
        let peers = snapshot.living
        let replies = await self.context.query(Self.supportFiles, of: peers, in: snapshot)
        let rows = peers.map { peer -> JSONTree in
            [
                "node": .string(peer.name), "incarnation": .string(String(peer.incarnation)),
                "version": peer.record.map { .string($0.version) } ?? .null,
                "files": replies.byNode[peer.incarnation] ?? .null,
            ]
        }
        return .document([.init("nodes", .array(rows))] + replies.counts)
    }

    private func localSupportFiles() async -> JSONTree? {
        guard let inspection = self.context.inspection else { return nil }
        return .array(
            await inspection.supportFiles().map {
                ["name": .string($0.name), "text": .string($0.text)]
            })
    }
}
