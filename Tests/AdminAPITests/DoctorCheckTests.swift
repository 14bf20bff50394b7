import JSON
import TestKit
import Testing

@testable import AdminAPI

@Suite("A check of confab doctor")
struct DoctorCheckTests {
    /// The finding of a check for a node with these facts.
    private static func finding(_ check: String, _ facts: JSONTree, others: [NodeFacts] = [])
        throws -> DoctorFinding?
    {
        let node = NodeFacts(name: "n1", incarnation: 1, document: facts)
        let check = try #require(DoctorCheck.all.first { $0.name == check })
        return check.examine(node, [node] + others)
    }

    private static func redis(
        info: [JSONTree.ObjectMember] = [], settings: [JSONTree.ObjectMember]? = [],
        _ others: [JSONTree.ObjectMember] = []
    ) -> JSONTree {
        let server: JSONTree = [
            "endpoint": "r:1", "info": .object(info),
            "settings": settings.map { .object($0) } ?? .null,
        ]
        return ["redis": .object([.init("servers", [server])] + others)]
    }

    private static let day: Int = 86_400_000

    private static func certificate(days: Int, file: Int? = nil) -> JSONTree {
        [
            "now": .integer(self.day * 1000),
            "settings": [
                "certificate_expiry": .integer(self.day * (1000 + days)),
                "certificate_file_expiry": file.map { .integer(self.day * (1000 + $0)) } ?? .null,
            ],
        ]
    }

    private static func process(
        resident: Int = 100, limit: Int = 1000, available: Int = 900, descriptors: Int = 10,
        descriptorLimit: Int = 2000, connections: Int = 1000
    ) -> JSONTree {
        [
            "connection_limit": .integer(connections),
            "process": [
                "resident": .integer(resident), "memory_limit": .integer(limit),
                "memory_available": .integer(available), "descriptors": .integer(descriptors),
                "descriptor_limit": .integer(descriptorLimit),
            ],
        ]
    }

    private static func clients(from count: Int, refusing: [JSONTree] = []) -> JSONTree {
        [
            "connection_limit": 100,
            "clients": [
                "refusing": .array(refusing), "address": "192.0.2.1",
                "address_connections": .integer(count),
            ],
        ]
    }

    private static func settings(_ members: [JSONTree.ObjectMember]) -> JSONTree {
        ["settings": .object(members)]
    }

    @Test(
        "of a node judges its facts",
        arguments: [
            ("health", ["health": ["status": "healthy"]], .ok),
            ("health", ["health": ["status": "draining"]], .warning),
            ("health", ["health": ["status": "degraded", "reason": "store: full"]], .failed),
            ("health", [:], nil),
            ("file-descriptors", process(), .ok),
            ("file-descriptors", process(descriptorLimit: 1063), .warning),
            ("file-descriptors", process(descriptorLimit: 1064), .ok),
            ("file-descriptors", process(descriptors: 1800), .failed),
            ("client-limits", clients(from: 25), .ok),
            ("client-limits", clients(from: 26), .warning),
            ("client-limits", clients(from: 1, refusing: ["connections"]), .warning),
            ("client-limits", [:], nil),
            ("process-memory", process(), .ok),
            ("process-memory", process(available: 144), .warning),
            ("process-memory", process(resident: 960), .failed),
            ("tls-certificate", [:], nil),
            ("tls-certificate", certificate(days: 15), .ok),
            ("tls-certificate", certificate(days: 13), .warning),
            ("tls-certificate", certificate(days: -1), .failed),
            ("token-keys", settings([.init("key_problem", "jwt.secret: missing")]), .failed),
            ("token-keys", settings([.init("skipped_keys", ["Key 1 of a is weak."])]), .warning),
            ("token-keys", settings([.init("skipped_keys", [])]), .ok),
            ("token-keys", settings([]), .ok), ("token-keys", [:], nil),
            (
                "token-keys",
                ["now": 2, "settings": ["key_expiry": 1, "key_problem": .null]], .warning
            ),
            (
                "anonymous-access",
                settings([.init("anonymous", false), .init("listen", "0.0.0.0:1")]), .ok
            ),
            (
                "anonymous-access",
                settings([.init("anonymous", true), .init("listen", "127.0.0.1:1")]), .ok
            ),
            (
                "anonymous-access",
                settings([
                    .init("anonymous", true), .init("listen", "0.0.0.0:1"),
                    .init("is_listen_public", true),
                ]), .warning
            ),
            ("webhooks", [:], nil),
            ("webhooks", ["webhooks": [["state": "ok", "oldest_age": 900]]], .ok),
            ("webhooks", ["webhooks": [["state": "failing", "oldest_age": 901]]], .warning),
            ("webhooks", ["webhooks": [["state": "ok"]], "dead_letters": 1], .warning),
            ("webhooks", ["webhooks": [["state": "gone"]]], .failed),
            ("admin-listener", settings([.init("admin", .null)]), .ok),
            ("admin-listener", settings([.init("admin", "127.0.0.1:1")]), .ok),
            (
                "admin-listener",
                settings([.init("admin", "127.0.0.1:1"), .init("has_admin_token", false)]),
                .warning
            ),
            (
                "secrets",
                settings([.init("exposed_secrets", []), .init("weak_admin_tokens", [])]), .ok
            ),
            (
                "secrets",
                settings([.init("exposed_secrets", ["a"]), .init("weak_admin_tokens", [])]),
                .warning
            ),
            (
                "secrets",
                settings([.init("exposed_secrets", []), .init("weak_admin_tokens", ["ops"])]),
                .warning
            ),
            ("secrets", settings([]), nil),
            (
                "admin-listener",
                settings([.init("admin", "0.0.0.0:1"), .init("is_admin_public", true)]), .failed
            ),
            (
                "admin-listener",
                settings([
                    .init("admin", "0.0.0.0:1"), .init("is_admin_public", true),
                    .init("has_admin_token", true),
                ]), .ok
            ),
            ("store", ["survives_restart": false], .warning),
            ("store", ["survives_restart": true], nil),
            (
                "disk-space",
                [
                    "database": [
                        "path": "a.db", "free_bytes": .integer(50 << 30),
                        "total_bytes": .integer(100 << 30),
                    ]
                ], .ok
            ),
            (
                "disk-space",
                [
                    "database": [
                        "path": "a.db", "free_bytes": .integer(500 << 20),
                        "total_bytes": .integer(100 << 30),
                    ]
                ], .warning
            ),
            (
                "disk-space",
                [
                    "database": [
                        "path": "a.db", "free_bytes": .integer(99 << 20),
                        "total_bytes": .integer(100 << 30),
                    ]
                ], .failed
            ),
            ("database-sync", ["database": ["journal_mode": "wal"]], .ok),
            ("database-sync", ["database": ["journal_mode": "delete"]], .failed),
            (
                "database-sync", ["database": ["journal_mode": "wal", "file_system": "tmpfs"]],
                .warning
            ),
            ("database-integrity", ["database": ["quick_check": "ok"]], .ok),
            ("database-integrity", ["database": ["quick_check": "unfinished"]], .warning),
            ("database-integrity", ["database": ["quick_check": "row 7 missing"]], .failed),
        ] as [(String, JSONTree, DoctorFinding.DoctorSeverity?)])
    func nodes(check: String, facts: JSONTree, severity: DoctorFinding.DoctorSeverity?) throws {
        let finding = try Self.finding(check, facts)
        #expect(finding?.severity == severity, "\(String(describing: finding))")
        #expect((finding?.remedy == nil) == (severity == .ok || severity == nil))
    }

    @Test(
        "of Redis judges its facts",
        arguments: [
            ("redis-answers", redis(), .ok),
            ("redis-answers", ["redis": ["failure": "refused"]], .failed),
            ("redis-answers", redis([.init("clock_error", 40)]), .warning),
            ("pub-sub", redis([.init("last_delivery", 2999)]), .ok),
            ("pub-sub", redis([.init("last_delivery", 3000)]), .failed),
            ("redis-commands", redis([.init("rejected", [])]), .ok),
            (
                "redis-commands",
                redis([
                    .init("rejected", [["command": "ROLE", "reason": "no", "required": false]])
                ]), .warning
            ),
            (
                "redis-commands",
                redis([
                    .init("rejected", [["command": "EVAL", "reason": "no", "required": true]])
                ]), .failed
            ),
            ("redis-version", redis(info: [.init("redis_version", "7.0.15")]), .ok),
            ("redis-version", redis(info: [.init("redis_version", "6.2.1")]), .failed),
            ("redis-settings", redis(settings: nil), .warning), ("redis-settings", redis(), nil),
            ("redis-eviction", redis(settings: [.init("maxmemory-policy", "noeviction")]), .ok),
            (
                "redis-eviction", redis(settings: [.init("maxmemory-policy", "allkeys-lru")]),
                .failed
            ),
            (
                "redis-eviction",
                redis(
                    info: [.init("maxmemory_policy", "volatile-ttl")],
                    settings: nil), .failed
            ),
            (
                "redis-persistence",
                redis(settings: [.init("appendonly", "yes"), .init("appendfsync", "always")]), .ok
            ),
            (
                "redis-persistence",
                redis(settings: [.init("appendonly", "yes"), .init("appendfsync", "no")]), .warning
            ),
            (
                "redis-persistence",
                redis(settings: [.init("appendonly", "no"), .init("save", "3600 1")]), .warning
            ),
            (
                "redis-persistence",
                redis(
                    info: [.init("aof_last_write_status", "err")],
                    settings: [.init("appendonly", "yes")]), .failed
            ),
            ("redis-replicas", redis(info: [.init("connected_slaves", "0")]), .warning),
            (
                "redis-replicas",
                redis(info: [.init("connected_slaves", "0")], [.init("mode", "standalone")]), .ok
            ),
            (
                "redis-replicas",
                redis(info: [.init("connected_slaves", "1")], [.init("wait_replicas", 0)]), .warning
            ),
            (
                "redis-replicas",
                redis(info: [.init("connected_slaves", "1")], [.init("wait_replicas", 2)]), .failed
            ),
            (
                "redis-memory",
                redis(info: [.init("used_memory", "79"), .init("maxmemory", "100")]), .ok
            ),
            (
                "redis-memory",
                redis(info: [.init("used_memory", "80"), .init("maxmemory", "100")]), .warning
            ),
            (
                "redis-memory",
                redis(info: [
                    .init("used_memory", "95"), .init("maxmemory", "0"),
                    .init("total_system_memory", "100"),
                ]), .failed
            ),
            (
                "redis-buffers",
                redis(settings: [
                    .init("client-output-buffer-limit", "normal 0 0 0 pubsub 33554432 8388608 60")
                ]), .ok
            ),
            (
                "redis-buffers",
                redis(settings: [
                    .init("client-output-buffer-limit", "normal 0 0 0 pubsub 1048576 8388608 60")
                ]), .warning
            ),
        ] as [(String, JSONTree, DoctorFinding.DoctorSeverity?)])
    func redisServers(check: String, facts: JSONTree, severity: DoctorFinding.DoctorSeverity?)
        throws
    {
        let finding = try Self.finding(check, facts)
        #expect(finding?.severity == severity, "\(String(describing: finding))")
        #expect((finding?.remedy == nil) == (severity == .ok || severity == nil))
    }

    @Test("of several Redis servers reports the worst")
    func worstServer() throws {
        func server(_ name: String, _ policy: String) -> JSONTree {
            [
                "endpoint": .string(name), "info": [:],
                "settings": ["maxmemory-policy": .string(policy)],
            ]
        }
        let facts: JSONTree = [
            "redis": [
                "servers": [
                    server("r:1", "noeviction"), server("r:2", "allkeys-lfu"),
                    server("r:3", "noeviction"),
                ]
            ]
        ]
        let finding = try Self.finding("redis-eviction", facts)
        #expect(finding?.severity == .failed && finding?.sentence.contains("r:2") == true)
    }

    @Test("says that a renewed certificate must be loaded")
    func renewedCertificate() throws {
        let stale = try Self.finding("tls-certificate", Self.certificate(days: -1, file: 90))
        #expect(stale?.remedy?.contains("SIGHUP") == true)
        #expect(stale?.remedy?.contains("Renew") == false)
    }

    @Test(
        "compares clocks by what is certain",
        arguments: [
            // The offsets and errors of two nodes, in milliseconds, and both findings.
            (900, 0, 0, 0, .ok, .ok), (1000, 0, 0, 0, .warning, .warning),
            (-1000, 0, 0, 0, .warning, .warning), (1000, 1, 0, 0, .ok, .ok),
            (600, 0, -600, 0, .ok, .warning), (600, 100, -600, 101, .ok, .ok),
            (10_000, 0, 0, 0, .failed, .failed), (5000, 0, -5000, 0, .warning, .failed),
        ] as [(Int, Int, Int, Int, DoctorFinding.DoctorSeverity, DoctorFinding.DoctorSeverity)])
    func clocks(
        offset: Int, error: Int, otherOffset: Int, otherError: Int,
        redis: DoctorFinding.DoctorSeverity, nodes: DoctorFinding.DoctorSeverity
    ) throws {
        func facts(_ offset: Int, _ error: Int) -> JSONTree {
            ["redis": ["clock_offset": .integer(offset), "clock_error": .integer(error)]]
        }
        let other = NodeFacts(
            name: "n2", incarnation: 2, document: facts(otherOffset, otherError))
        let own = facts(offset, error)
        #expect(try Self.finding("clock-redis", own, others: [other])?.severity == redis)
        #expect(try Self.finding("clock-nodes", own, others: [other])?.severity == nodes)
    }

    @Test("compares names and versions with those of other nodes")
    func comparisons() throws {
        let twin = NodeFacts(name: "n1", incarnation: 2, document: ["version": "2"])
        let silent = NodeFacts(name: "n3", incarnation: 3, document: nil)
        #expect(
            try Self.finding("node-name", ["version": "1"], others: [twin])?.severity == .failed)
        #expect(try Self.finding("node-name", [:], others: [silent])?.severity == .ok)
        let versions = try Self.finding("version", ["version": "1"], others: [twin, silent])
        #expect(versions?.sentence == "The node runs 1; other nodes run 2.")
        #expect(try Self.finding("version", ["version": "1"], others: [silent])?.severity == .ok)
    }

    @Test("of a silent node fails, and the worst findings come first")
    func order() {
        let findings = DoctorCheck.findings([
            NodeFacts(name: "n1", incarnation: 1, document: ["survives_restart": false]),
            NodeFacts(name: "n2", incarnation: 2, document: nil),
        ])
        #expect(findings.first?.check == DoctorCheck.answers && findings.first?.node == "n2")
        #expect(findings.map(\.finding.severity) == findings.map(\.finding.severity).sorted(by: >))
        #expect(findings.filter { $0.node == "n2" }.count == 1)
    }

    @Test("has an entry in the runbook, and a name of its own")
    func runbook() throws {
        let names = [DoctorCheck.answers] + DoctorCheck.all.map(\.name)
        #expect(Set(names).count == names.count)
        let page = try Checkout.read("docs/operating/runbook.md")
        let headings = page.split(separator: "\n").filter { $0.hasPrefix("### ") }.map {
            String($0.dropFirst(4))
        }
        for name in names { #expect(headings.filter { $0 == name }.count == 1, "\(name)") }
    }
}
