import Foundation
import Glibc
import TestKit
import TestTraits
import Testing

@Suite("Lookups of connections, conversations, users and nodes", .programs, .ownThread)
struct LookupCommandTests {
    @Test("find clients of every protocol on a single node")
    func singleNode() throws {
        let server = try ConfabServer(
            ["--node-id", "solo", "--limit", "ping-seconds=1"], store: .sqlite)
        let port = server.adminPort
        let clients = try ProtocolAdapter.all.map {
            try ProtocolConnection($0, "user-of-\($0.name)", in: "lobby-\($0.name)", at: server)
        }
        let polling = try PollingClient(port: server.port)
        try polling.connectNamespace(token: ConfabServer.token(for: "poller"))

        let listed = try confab(
            "connections", "--sort", "user", "--output", "json", at: port)
        #expect(listed.status == 0, "\(listed)")
        let rows = try listed.rows("connections")
        #expect(
            rows.map { $0["user"] }
                == ["poller"] + ProtocolAdapter.all.map { "user-of-\($0.name)" }.sorted())
        #expect(Set(rows.map { $0["dialect"] }).count == ProtocolAdapter.all.count)
        #expect(rows[0]["transport"] == "polling" && rows[0].number("in") == nil)
        #expect(rows[1...].allSatisfy { $0["transport"] == "websocket" })
        #expect(rows[1...].allSatisfy { $0.number("in") ?? 0 > 0 && $0.number("out") ?? 0 > 0 })
        for row in rows {
            let id = try #require(row["id"])
            #expect(id.hasPrefix("solo/"))
            let found = try confab("connection", id, "--output", "json", at: port)
            #expect(try found.status == 0 && found.document["user"] == row["user"], "\(found)")
        }

        let conversations = try confab("conversations", "--output", "json", at: port).rows(
            "conversations")
        let ids = Set(conversations.compactMap { $0["id"] })
        #expect(
            ids.isSuperset(of: ["lobby-Conversations", "lobby-Agents", "lobby-Chats"]), "\(ids)")
        #expect(conversations.allSatisfy { $0["owner"] == "solo" })

        let user = try confab("user", "user-of-Conversations", at: port)
        #expect(user.status == 0 && user.output.contains("ONLINE       yes\n"), "\(user)")
        #expect(user.output.contains("\nCONVERSATIONS: 1\n"))
        let node = try confab("node", "solo", at: port)
        #expect(node.status == 0 && node.output.contains("\nLOOPS: 3\n"), "\(node)")
        #expect(
            node.output.contains(/\nping-seconds +1 +command line\n/), "\(node.output)")
        #expect(!node.output.contains(ConfabServer.secret))
        withExtendedLifetime(clients) {}
    }

    @Test("cover all nodes of a cluster, and name those that do not answer", .long)
    func cluster() throws {
        let cluster = try LocalCluster(["3"])
        let ports = try cluster.nodes.map { try #require($0.adminPort) }
        let secret = try cluster.folder.read("jwt.secret").trimmingCharacters(in: .newlines)
        let clients = try cluster.nodes.enumerated().map { index, node in
            let token = try ConfabServer.token(for: "user\(index)", secret: secret)
            let client = ConversationClient(
                try RawWebSocketClient("/conversations/lobby/?token=\(token)", port: node.port))
            try client.synchronize()
            return client
        }
        try clients[0].post("hello")
        try self.checkFrozenRedis(cluster, ports)
        try self.checkKilledNode(cluster, ports)
        withExtendedLifetime(clients) {}
    }

    /// The answer of all nodes, as JSON. A busy one may miss its time.
    private func answer(_ arguments: String..., at port: UInt16) throws -> CommandResult {
        try Deadline.wait(for: "all nodes to answer") {
            let result = try confab(arguments + ["--output", "json"], at: port)
            return result.status == 0 ? result : nil
        }
    }

    /// While Redis is frozen, nodes ask each other directly. What only the store knows is missing.
    private func checkFrozenRedis(_ cluster: LocalCluster, _ ports: [UInt16]) throws {
        _ = try self.answer("connections", at: ports[0])
        let redis = try #require(cluster.services.first { $0.name == "redis" })
        try ChildProcess.freeze(redis.process)
        defer { kill(redis.process, SIGCONT) }
        let list = try confab("connections", "--node", "n1", "--output", "json", at: ports[0])
        #expect(list.status == 0, "\(list)")
        let all = try self.answer("connections", at: ports[0])
        #expect(
            try Set(all.rows("connections").map { $0["user"] }) == ["user0", "user1", "user2"])
        let user = try confab("user", "user0", "--output", "json", at: ports[0])
        #expect(user.status == 3, "\(user)")
        #expect(try user.document["store_error"] != nil, "\(user)")
    }

    /// A node that dies while lists are read: each list is complete, or its exit status is 3.
    private func checkKilledNode(_ cluster: LocalCluster, _ ports: [UInt16]) throws {
        try Deadline.wait(
            for: "all nodes to answer",
            untilTrue: { try confab("connections", at: ports[0]).status == 0 })
        kill(cluster.nodes[1].process, SIGKILL)
        var hasMissed = false
        for _ in 0..<5 {
            let list = try confab("connections", "--output", "json", at: ports[0])
            let asked = try list.document.number("nodes_asked")
            let answered = try list.document.number("nodes_answered")
            #expect((list.status == 3) == (asked != answered), "\(list)")
            if list.status == 3 { hasMissed = true }
        }
        #expect(hasMissed)
        try cluster.awaitRestart(of: cluster.nodes[1])
        try Deadline.wait(
            for: "all nodes to answer",
            untilTrue: { try confab("conversations", at: ports[0]).status == 0 })
    }
}
