import Bytes
import ChatModel
import Configuration
import EventLoop
import Gateway
import GatewayTestSupport
import HTTPWire
import JSON
import Telemetry
import TestKit
import TestTraits
import Testing

@testable import AdminAPI

/// Three nodes in this process; the verbs are those of `confab`, on any of them.
@Suite("Service, settings and faults of several nodes", .ownThread)
struct ClusterServiceTests {
    private let cluster: MemoryCluster

    init() throws { self.cluster = try MemoryCluster("n1", "n2", "n3") }

    /// The row of a node.
    private func row(_ name: String, at number: Int = 1) async throws -> JSONTree {
        try #require(
            try await self.cluster.rows("nodes", "nodes", at: number).first {
                $0["node"]?.stringValue == name
            })
    }

    @Test("drains a node, which then owns no shard and refuses clients, until it is resumed")
    func drain() async throws {
        let ann = try self.cluster.client("ann", at: 2)
        try ann.post("one")
        let plan = try await self.cluster.ask("drain", ["node": "n2", "dry_run": true])
        let summary = plan["summary"]?.stringValue ?? ""
        #expect(summary.hasPrefix("n2 would hand over 1") && summary.hasSuffix("close 1 client"))
        let drain = try await self.cluster.ask("drain", ["node": "n2", "deadline": "0.1"])
        #expect(drain["summary"] == "n2 closes 1 client within 0.1 s; its row shows the progress")
        guard case .close(1012, _) = try ann.closeEvent() else { throw TestFailure("not closed") }
        let drained = try await Deadline.waitAsync(for: "the drain") {
            let row = try await self.row("n2", at: 3)
            return row["state"] == "drained" ? .some(row) : .none
        }
        #expect(drained["shards"] == 0 && drained["connections"] == 0)
        func events() async throws -> [JSONTree?] {
            try await self.cluster.rows("events", "events", ["node": "n2"]).map { $0["event"] }
        }
        // A drain that a resume ends earlier does not record its end.
        try await Deadline.waitAsync(for: "the end of the drain") {
            try await events() == ["drain", "drained"] ? () : nil
        }
        let port = self.cluster.node(2).port
        #expect(try HTTPReply.get("/api/health", port: port).status == 503)
        #expect(
            try RawWebSocketClient.refusal(
                of: try TestNode.path("bob", in: "lobby"), port: port
            ).status == 503)
        // Its conversations have another owner, and are whole.
        let bob = try self.cluster.client("bob", at: 1)
        try bob.post("two")
        #expect(try await self.cluster.ask("verify", ["conversation": "lobby"])["messages"] == 2)

        let resumed = try await self.cluster.ask("resume", ["node": "n2"], at: 3)
        #expect(resumed["summary"] == "n2 accepts clients and its share of the shards")
        #expect(try HTTPReply.get("/api/health", port: port).status == 200)
        #expect(try await self.row("n2")["shards"]?.integerValue ?? 0 > 1000)
        try self.cluster.client("cid", at: 2).post("three")
        #expect(try await events() == ["drain", "drained", "resume"])
    }

    @Test("does not drain the last node that accepts clients, unless it is forced")
    func lastNode() async throws {
        for name in ["n1", "n2"] {
            _ = try await self.cluster.ask("drain", ["node": .string(name), "deadline": "0.1"])
        }
        let refusal =
            "409 n3 is the last node that accepts clients; --force drains it anyway."
        for number in 1...3 {
            #expect(await self.cluster.error(of: "drain", ["node": "n3"], at: number) == refusal)
        }
        #expect(
            await self.cluster.error(of: "drain", ["node": "n3", "dry_run": true]) == refusal)
        #expect(try await self.row("n3")["state"] == "active")
        _ = try await self.cluster.ask("drain", ["node": "n3", "force": true, "deadline": "0.1"])
        #expect(try await self.row("n3")["state"] == "drained")
        let problems = try #require(
            try await self.cluster.ask("status", at: 3)["problems"]?.elements)
        #expect(problems.contains { $0.stringValue?.hasPrefix("n3 is drained") == true })
        for name in ["n1", "n2", "n3"] {
            _ = try await self.cluster.ask("resume", ["node": .string(name)])
            #expect(try await self.row(name)["state"] == "active")
        }
    }

    @Test("resumes a node whose drain has just begun, for good")
    func resumeAtOnce() async throws {
        for _ in 0..<100 {
            _ = try await self.cluster.ask("drain", ["node": "n2"])
            _ = try await self.cluster.ask("resume", ["node": "n2"])
        }
        // A step of a drain that comes too late would follow now.
        try await Task.sleep(for: .milliseconds(50))
        #expect(try await self.row("n2")["state"] == "active")
        #expect(self.cluster.node(2).gateway.health.status == .healthy)
        try self.cluster.client("ann", at: 2).post("welcome")
    }

    @Test("is refused by a node that is shutting down")
    func shutdown() async throws {
        self.cluster.members[1].admin.beginShutdown()
        #expect(
            await self.cluster.error(of: "resume", ["node": "n2"])
                == "409 n2 is going down: it cannot be resumed.")
    }

    @Test("spreads clients evenly, and not while the clients of a node are unknown")
    func rebalance() async throws {
        let clients = try (1...4).map { try self.cluster.client("user\($0)", at: 1) }
        let plan = try await self.cluster.ask("rebalance", ["dry_run": true], at: 2)
        #expect(
            plan["summary"]?.stringValue?.hasPrefix("would close 2 of 4 clients of n1 with 1012")
                == true)
        #expect(plan["nodes"]?.elements?.map { $0["surplus"] } == [2, 0, 0])
        _ = try await self.cluster.ask("rebalance", ["rate": "1000"], at: 3)
        try self.cluster.node(1).waitForConnections(2)
        self.cluster.membership.silence(2)
        #expect(
            await self.cluster.error(of: "rebalance", ["dry_run": true])
                == "503 n2 does not answer, so the number of its clients is unknown.")
        withExtendedLifetime(clients) {}
    }

    @Test("changes the log level of all nodes or of one, for a time")
    func logLevel() async throws {
        func levels() -> [String] { self.cluster.members.map { $0.node.logger.level.rawValue } }
        let plan = try await self.cluster.ask("log-level", ["level": "debug", "dry_run": true])
        #expect(plan["summary"] == "would set the log level of n1, n2, n3 to debug")
        #expect(levels() == ["info", "info", "info"])
        let one = try await self.cluster.ask("log-level", ["level": "debug", "node": "n2"], at: 3)
        #expect(one["summary"] == "set the log level of n2 to debug")
        #expect(levels() == ["info", "debug", "info"])
        let all = try await self.cluster.ask("log-level", ["level": "warning", "for": "1s"])
        #expect(all["nodes"]?.elements?.map { $0["level"] } == ["warning", "warning", "warning"])
        #expect(levels() == ["warning", "warning", "warning"])
        try await Deadline.waitAsync(for: "the levels before") {
            levels() == ["info", "debug", "info"] ? () : nil
        }
        let event = try await self.cluster.rows(
            "events", "events", ["type": "log-level", "last": "1"])
        #expect(event.first?["detail"] == "the log level of n1, n2, n3 to warning for 1 s")
        #expect(
            await self.cluster.error(of: "log-level", ["level": "debug", "node": "n9"])
                == "404 There is no node n9; there are n1, n2, n3.")
    }

    // MARK: Faults

    @Test("covers the nodes that answer, and counts the one that does not")
    func silentNode() async throws {
        let clients = try [1, 2, 3].map { try self.cluster.client("user\($0)", at: $0) }
        self.cluster.membership.silence(3)
        let list = try await self.cluster.ask("connections", ["sort": "user"])
        #expect(list["nodes_asked"] == 3 && list["nodes_answered"] == 2)
        #expect(list["connections"]?.elements?.map { $0["user"] } == ["user1", "user2"])
        // Its connection may be on the node that did not answer.
        let user = try await self.cluster.ask("user", ["user": "user3"])
        #expect(user["online"] == .null && user["nodes_answered"] == 2)
        let node = try await self.cluster.ask("node", ["node": "n3"])
        #expect(node["state"] == "suspect" && node["loops"] == .null)
        #expect(node["nodes_answered"] == 0)
        let levels = try await self.cluster.ask("log-level", ["level": "debug"])
        #expect(levels["nodes"]?.elements?.map { $0["level"] } == ["debug", "debug", .null])
        let trace = try await self.cluster.ask("trace", ["user": "user1"])
        #expect(trace["nodes_answered"] == 2)
        let drain = await self.cluster.error(of: "drain", ["node": "n3"])
        #expect(drain == "503 n3 does not answer.")

        self.cluster.membership.evict(3)
        let rows = try await self.cluster.rows("nodes", "nodes", at: 2)
        #expect(rows.map { $0["state"] } == ["active", "active", "gone"])
        #expect(rows[2]["unreachable_for"] == 14 && rows[2]["shards"] == 0)
        let status = try await self.cluster.ask("status")
        #expect(status["nodes_answered"] == 2)
        let problems = try #require(status["problems"]?.elements)
        #expect(problems.contains { $0.stringValue?.hasPrefix("n3 ") == true }, "\(problems)")
        withExtendedLifetime(clients) {}
    }

    @Test("reads directly while Redis is silent, and sends no order")
    func silentRedis() async throws {
        let ann = try self.cluster.client("ann", at: 2)
        self.cluster.membership.silenceRedis(for: 3000)
        let list = try await self.cluster.ask("connections")
        #expect(list["count"] == 1 && list["nodes_answered"] == 3)
        let nodes = try await self.cluster.ask("nodes")
        #expect(nodes["redis_up"] == false && nodes["nodes_answered"] == 3)
        #expect(nodes["nodes"]?.elements?.allSatisfy { $0["state"] == "active" } == true)
        #expect(
            await self.cluster.error(of: "drain", ["node": "n2"])
                == """
                503 Redis at redis:1 has not answered for 3.0 s, so the order does not reach n2. \
                Send it to the admin listener of n2, or stop the process with SIGTERM.
                """)
        #expect(
            await self.cluster.error(of: "drain", ["node": "n1"])
                == """
                409 Redis does not answer, so n1 cannot know whether another node accepts \
                clients; --force drains it anyway.
                """)
        #expect(
            await self.cluster.error(of: "events", [:]) == "503 Redis does not answer.")
        let own = try await self.cluster.ask("log-level", ["level": "debug", "node": "n1"])
        #expect(own["nodes"] == [["node": "n1", "level": "debug"]])
        let redis = try await self.cluster.rows("redis", "redis")
        #expect(
            redis.map { $0["failure"] }
                == Array(repeating: "Redis has not answered for 3.0 s", count: 3))
        withExtendedLifetime(ann) {}
    }

    @Test("pages through the events, and selects them by node, type and time")
    func events() async throws {
        for number in 0..<6 {
            _ = try await self.cluster.ask(
                "log-level", ["level": number % 2 == 0 ? "debug" : "info"], at: number % 3 + 1)
        }
        _ = try await self.cluster.ask("resume", ["node": "n3"], at: 1)
        let all = try await self.cluster.rows("events", "events", at: 2)
        #expect(all.count == 7 && all.last?["event"] == "resume" && all.last?["node"] == "n3")
        let newest = try await self.cluster.rows("events", "events", ["last": "2"], at: 3)
        #expect(newest == Array(all.suffix(2)))
        let after = try #require(all[2]["id"])
        #expect(
            try await self.cluster.rows("events", "events", ["after": after]) == Array(all[3...]))
        let own = try await self.cluster.rows("events", "events", ["node": "n2"])
        #expect(own.count == 2 && own.allSatisfy { $0["node"] == "n2" })
        #expect(try await self.cluster.rows("events", "events", ["type": "resume"]).count == 1)
        #expect(try await self.cluster.rows("events", "events", ["since": "1h"]) == all)
        #expect(all.allSatisfy { $0["view"]?.integerValue ?? 0 > 0 })
    }

    @Test("names nodes that have the same name")
    func sameName() async throws {
        let twins = try MemoryCluster("n1", "n2", "n2")
        let error = await twins.error(of: "node", ["node": "n2"])
        #expect(error?.hasPrefix("409 2 nodes have the name n2: ") == true, "\(error ?? "")")
        let problems = try #require(try await twins.ask("status")["problems"]?.elements)
        #expect(problems.contains { $0.stringValue?.contains("have the name n2") == true })
    }
}
