import Foundation
import Glibc
import TestKit
import TestTraits
import Testing

@Suite("Operator commands for a cluster", .programs, .ownThread)
struct ClusterCommandTests {
    private func connect(
        _ user: String, in conversation: String = "lobby", to node: LocalCluster.ServiceProcess,
        of cluster: LocalCluster
    ) throws -> ConversationClient {
        let secret = try cluster.folder.read("jwt.secret").trimmingCharacters(in: .newlines)
        let token = try ConfabServer.token(for: user, secret: secret)
        let client = ConversationClient(
            try RawWebSocketClient(
                "/conversations/\(conversation)/?token=\(token)", port: node.port))
        try client.synchronize()
        return client
    }

    @Test("get answers for all nodes from any node, as tables and as JSON")
    func commands() throws {
        let cluster = try LocalCluster(["3"])
        let ports = try cluster.nodes.map { try #require($0.adminPort) }
        let alice = try self.connect("alice", to: cluster.nodes[0], of: cluster)
        try alice.post("one")
        try self.checkStatusAndNodes(cluster, ports)
        #expect(
            try confab("send", "lobby", "two", "--as", "ops", "--yes", at: ports[2]).status == 0)
        try self.checkRedisAndEvents(cluster, ports)
    }

    private func checkStatusAndNodes(_ cluster: LocalCluster, _ ports: [UInt16]) throws {
        // Waits until all shards have moved to their owners.
        try Deadline.wait(
            for: "a status without problems",
            untilTrue: { try confab("status", at: ports[1]).output.hasSuffix("\nNo problems.") })
        let status = try confab("status", at: ports[1])
        #expect(status.status == 0)
        #expect(status.output.contains("STORE          redis\n"), "\(status.output)")
        #expect(
            status.output.contains(
                "DURABILITY     in the memory of Redis, on its disk within a second\n"),
            "\(status.output)")
        #expect(
            try confab("status", "--output", "json", at: ports[2]).document.number("connections")
                == 1)

        let nodes = try confab("nodes", at: ports[2])
        #expect(nodes.output.hasPrefix("NODE   STATE "))
        #expect(
            nodes.output.split(separator: "\n").map { $0.prefix(5) } == [
                "NODE ", "n1   ", "n2   ", "n3   ", "total",
            ])
        let rows = try Deadline.wait(for: "all nodes to be active") { () -> [JSONObject]? in
            let rows = try confab(
                "nodes", "--output", "json", "--sort", "-connections", at: ports[1]
            ).rows("nodes")
            return rows.allSatisfy { $0["state"] == "active" } ? rows : nil
        }
        #expect(rows.map { $0["node"] } == ["n1", "n2", "n3"])
        #expect(rows.compactMap { $0.number("connections") } == [1, 0, 0])
        #expect(rows.compactMap { $0.number("shards") }.reduce(0, +) == 4096)
        #expect(rows[0].number("imbalance") == 200 && rows[1].number("imbalance") == -100)
        #expect(rows[0]["address"] == "127.0.0.1:\(cluster.nodes[0].port)")
    }

    private func checkRedisAndEvents(_ cluster: LocalCluster, _ ports: [UInt16]) throws {
        let redis = try confab("redis", "--output", "json", at: ports[0]).rows("redis")
        #expect(
            redis.count == 3
                && redis.allSatisfy { $0["role"] == "master" && $0.number("round_trip") != nil })
        #expect(redis.allSatisfy { $0.number("stream_bytes") ?? 0 > 100 })
        let server = try #require(cluster.services.first { $0.name == "redis" })
        #expect(
            redis.allSatisfy {
                $0["mode"] == "standalone" && $0["servers"] == "127.0.0.1:\(server.port)"
            })
        #expect(try confab("redis", at: ports[0]).output.contains("STREAM BYTES"))

        let events = try confab("events", "--last", "1000", "--output", "json", at: ports[2]).rows(
            "events")
        // On a busy machine, a node may be evicted for a moment, and join again.
        let send = events.last { $0["event"] == "send" }
        #expect(send?["node"] == "n3", "\(events)")
        #expect(send?["detail"] == "message 2 of lobby of tenant default, as ops")
        func nodes(_ event: String) -> [String] {
            events.filter { $0["event"] == event }.compactMap { $0["node"] }
        }
        #expect(
            nodes("joins").sorted() == (["n1", "n2", "n3"] + nodes("dies")).sorted(), "\(events)")
        #expect(
            events.allSatisfy {
                $0["timestamp"]?.hasSuffix("Z") == true && $0.number("view") != nil
            })
        #expect(
            try confab("events", "--last", "1", at: ports[0]).output.split(separator: "\n").count
                == 2)
    }

    @Test("find and name a gap in a stream", .long)
    func hole() throws {
        let cluster = try LocalCluster(["2"])
        let port = try #require(cluster.nodes[0].adminPort)
        let alice = try self.connect("alice", to: cluster.nodes[0], of: cluster)
        for number in 1...3 { try alice.post("message \(number)") }
        let owner = try self.owner(of: "lobby", at: port)
        let shard = try #require(owner.number("shard"))
        let redis = try #require(cluster.services.first { $0.name == "redis" })
        let key = "confab:{s\(Int(shard))}:log:default:lobby"
        let deleted = try run(
            Checkout.program("redis-cli"), ["-p", "\(redis.port)", "XDEL", key, "2-0"])
        #expect(deleted.output == "1", "\(deleted.errors)")

        let broken = try confab("verify", "lobby", at: port)
        #expect(broken.status == 1)
        #expect(
            broken.output.hasSuffix("\n\n! default/lobby: the Redis key \(key) lacks message 2"),
            "\(broken.output)")
    }

    private func owner(of conversation: String, at port: UInt16) throws -> JSONObject {
        try confab("owner", conversation, "--output", "json", at: port).document
    }

    @Test("show a killed node as a row, with a footer and status 3, without hanging")
    func killedNode() throws {
        let cluster = try LocalCluster(["3"])
        let port = try #require(cluster.nodes[0].adminPort)
        let room = try #require(
            try (1...100).lazy.map { "room-\($0)" }.first {
                try self.connect("alice", in: $0, to: cluster.nodes[0], of: cluster).post("hi")
                return try self.owner(of: $0, at: port)["owner"] == "n3"
            })

        // The script must not restart the node before the commands have shown that it is gone.
        try cluster.script.freeze()
        defer { cluster.script.send(SIGCONT) }
        kill(cluster.nodes[2].process, SIGKILL)

        let gone = try confab("nodes", "--output", "json", at: port)
        #expect(gone.status == 3 && gone.errors == "2 of 3 nodes answered")
        #expect(try confab("status", at: port).output.contains("! n3 "))
        try Deadline.wait(
            for: "n3 to be evicted",
            untilTrue: {
                let nodes = try confab("nodes", at: port)
                #expect(nodes.status == 3)
                #expect(nodes.output.hasSuffix("2 of 3 nodes answered"), "\(nodes.output)")
                let line = nodes.output.split(separator: "\n").first { $0.hasPrefix("n3") } ?? ""
                #expect(line.contains("gone") || line.contains("suspect"), "\(line)")
                return line.contains("gone")
            })
        let owner = try self.owner(of: room, at: port)
        #expect(owner["owner"] != "n3" && owner.number("epoch") != nil, "\(owner)")
        cluster.script.send(SIGCONT)
        try cluster.awaitRestart(of: cluster.nodes[2])
        try Deadline.wait(
            for: "all nodes to answer", untilTrue: { try confab("nodes", at: port).status == 0 })
    }
}
