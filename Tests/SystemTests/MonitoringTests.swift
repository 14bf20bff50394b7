import TestKit
import TestTraits
import Testing

/// The files of cluster/monitoring, without a Prometheus; `script/test monitoring` has one.
@Suite("The files for monitoring", .programs, .ownThread)
struct MonitoringTests {
    private static let folder = "cluster/monitoring"

    @Test("are valid for promtool, and each alert fires for its fault only")
    func rules() throws {
        for arguments in [
            ["check", "config", Checkout.file("\(Self.folder)/prometheus.yml")],
            ["check", "rules", Checkout.file("\(Self.folder)/alerts.yml")],
            ["test", "rules", Checkout.file("\(Self.folder)/alerts_test.yml")],
        ] {
            let result = try run(Checkout.program("promtool"), arguments)
            #expect(result.exitStatus == .exited(0), "\(result.output)\(result.errors)")
        }
    }

    @Test("have a section of the runbook and a test for each alert")
    func runbook() throws {
        let rules = try Checkout.read("\(Self.folder)/alerts.yml")
        let tests = try Checkout.read("\(Self.folder)/alerts_test.yml")
        let alerts = rules.matches(of: /- alert: (\w+)/).map { String($0.1) }
        let links = rules.matches(of: /runbook_url: (\S+)/).map { String($0.1) }
        #expect(alerts.count > 20 && Set(alerts).count == alerts.count)
        #expect(links == alerts.map { "docs/operating/runbook.md#\($0.lowercased())" })
        let anchors = try MarkdownPage("docs/operating/runbook.md").anchors
        for alert in alerts {
            #expect(anchors.contains(alert.lowercased()), "the runbook has no section \(alert)")
            #expect(tests.contains("- name: \(alert)\n"), "alerts_test.yml does not test \(alert)")
        }
    }

    @Test("query only metrics that the documentation describes")
    func queriedMetrics() throws {
        let documented = try Self.documentedMetrics()
        for file in ["alerts.yml", "dashboard.json"] {
            let names = try Checkout.read("\(Self.folder)/\(file)").matches(of: /confab_[a-z_]+/)
                .map { Self.family(String($0.0)) }
            #expect(names.count > 20)
            for name in Set(names) {
                #expect(documented.contains(name), "\(file): \(name) is not documented")
            }
        }
    }

    @Test("are complete: the documentation describes every metric that a node publishes")
    func publishedMetrics() throws {
        let documented = try Self.documentedMetrics()
        let redis = try RedisServer()
        for options in [["--store", redis.url], []] {
            let server = try ConfabServer(options, store: .sqlite)
            try server.connect("ann").synchronize()
            try Deadline.wait(
                for: "the first snapshot",
                untilTrue: { try server.metrics().contains("confab_users") })
            let names = try server.metrics().matches(of: /# TYPE (confab_[a-z_]+)/).map {
                String($0.1)
            }
            #expect(names.count > 25)
            for name in names { #expect(documented.contains(name), "\(name)") }
            let checked = try run(
                Checkout.program("promtool"), ["check", "metrics"], input: server.metrics())
            #expect(checked.exitStatus == .exited(0), "\(checked.output)\(checked.errors)")
        }
    }

    private static func documentedMetrics() throws -> Set<String> {
        let page = try Checkout.read("docs/operating/health-and-metrics.md")
        let rows = page.split(separator: "\n").filter { $0.hasPrefix("| `confab_") }
        return Set(
            rows.flatMap { row in
                row.split(separator: "|")[0].matches(of: /confab_[a-z_]+/).map { String($0.0) }
            })
    }

    /// A histogram's family, for the name of one of its series.
    private static func family(_ name: String) -> String {
        name.hasSuffix("_bucket") ? String(name.dropLast("_bucket".count)) : name
    }

    @Test("show that Redis has failed, and that a node is drained", .long)
    func faults() throws {
        let redis = try RedisServer()
        let server = try ConfabServer(["--store", redis.url, "--node-id", "n1"])
        func awaitSample(_ sample: String, _ value: Double) throws {
            try Deadline.wait(
                for: "\(sample) \(value)", untilTrue: { try server.metric(sample) == value })
        }
        try awaitSample("confab_redis_up", 1)
        try awaitSample("confab_healthy", 1)
        try awaitSample("confab_cluster_nodes", 1)
        try awaitSample("confab_shards_moving", 0)
        // Each loop publishes its counters once a second.
        try Deadline.wait(
            for: "the shards of all loops",
            untilTrue: { try server.metric("confab_shards_owned") == 4096 })
        #expect(try server.metric("confab_redis_probe_age_seconds") ?? 9 < 5)
        let info = #"confab_build_info{version="0.1.0",node="n1",store="redis"}"#
        #expect(try server.metric(info) == 1)

        let client = try server.connect("ann")
        try client.synchronize()
        try client.post("stored")
        // The join was written, too; it has no bytes of contents.
        try awaitSample("confab_store_write_bytes_total", 6)
        try Deadline.wait(
            for: "the answer of Redis",
            untilTrue: { try server.metric("confab_store_writes_total") ?? 0 > 1 })
        #expect(try server.metric("confab_store_errors_total") == 0)

        try redis.crash()
        try awaitSample("confab_redis_up", 0)
        try awaitSample("confab_healthy", 0)
        try Deadline.wait(
            for: "errors of the store and an old probe",
            untilTrue: {
                try server.metric("confab_store_errors_total") ?? 0 > 0
                    && server.metric("confab_redis_probe_age_seconds") ?? 0 > 2
            })
        try redis.restart()
        try awaitSample("confab_redis_up", 1)
        try awaitSample("confab_healthy", 1)

        let other = try ConfabServer(["--store", redis.url, "--node-id", "n2"])
        try other.awaitShardBalance(of: 2)
        try awaitSample("confab_cluster_nodes", 2)
        // A node that does not know that the other one accepts clients refuses.
        try Deadline.wait(
            for: "the drain",
            untilTrue: { try confab("drain", "n1", "--yes", at: server.adminPort).status == 0 })
        try awaitSample("confab_draining", 1)
        try awaitSample("confab_shards_owned", 0)
        #expect(try other.metric("confab_draining") == 0)
    }
}
