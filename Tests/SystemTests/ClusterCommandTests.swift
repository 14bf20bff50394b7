import Foundation
import Glibc
import TestKit
import TestTraits
import Testing

@Suite("Operator commands for a cluster", .programs, .ownThread)
struct ClusterCommandTests {
    private func connect(
        _ user: String, to node: LocalCluster.ServiceProcess, of cluster: LocalCluster
    ) throws -> ConversationClient {
        let secret = try cluster.folder.read("jwt.secret").trimmingCharacters(in: .newlines)
        let token = try ConfabServer.token(for: user, secret: secret)
        let client = ConversationClient(
            try RawWebSocketClient("/conversations/lobby/?token=\(token)", port: node.port))
        try client.synchronize()
        return client
    }

    /// The row of a node in `nodes`.
    private func row(_ node: String, at port: UInt16) throws -> JSONObject? {
        try confab("nodes", "--output", "json", at: port).rows("nodes").first { $0["node"] == node }
    }

    @Test("get answers for all nodes from any node, as tables and as JSON")
    func commands() throws {
        let cluster = try LocalCluster(["3"])
        let ports = try cluster.nodes.map { try #require($0.adminPort) }
        let alice = try self.connect("alice", to: cluster.nodes[0], of: cluster)
        try alice.post("one")
        try self.checkStatusAndNodes(cluster, ports)
        try self.checkOwnerAndShards(cluster, ports)
        try self.checkMessages(alice, ports)
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

    private func checkOwnerAndShards(_ cluster: LocalCluster, _ ports: [UInt16]) throws {
        // On a busy machine, a node may be evicted for a moment. Repeated until no shard has moved
        // meanwhile.
        let (owner, shards, shard, own) = try Deadline.wait(for: "an owner to stay one") {
            () -> (JSONObject, [JSONObject], JSONObject, CommandResult)? in
            let owner = try confab("owner", "lobby", "--output", "json", at: ports[0]).document
            let shards = try confab("shards", "--output", "json", at: ports[1]).rows("shards")
            let own = try confab(
                "shards", "--all", "--node", owner["owner"] ?? "?", "--sort", "-conversations",
                "--limit", "1", at: ports[2])
            let isSame = try confab("owner", "lobby", at: ports[2]).output.contains(
                "OWNER         \(owner["owner"] ?? "?")\n")
            let shard = shards.first { $0.number("shard") == owner.number("shard") }
            guard let shard, isSame, owner.number("head") != nil, let epoch = owner.number("epoch"),
                shard.number("epoch") == epoch,
                own.output.contains("  SINCE  ")
            else { return nil }
            return (owner, shards, shard, own)
        }
        #expect(shards.count == 4096)
        let byNode = try confab("shards", at: ports[2])
        #expect(byNode.output.hasPrefix("NODE   SHARDS  CLAIMED"), "\(byNode)")
        #expect(byNode.output.split(separator: "\n").count <= 6, "\(byNode)")
        #expect(shard["owner"] == owner["owner"])
        // The nodes started one after the other, so the shard may have had another owner.
        #expect(shard.number("epoch") ?? 0 >= 1)
        #expect(shard["since"]?.hasSuffix("Z") == true && shard.number("msg_s") != nil)
        #expect(owner.number("head") == 1)
        #expect(
            own.output.hasPrefix(
                "SHARD  OWNER  LOOP  EPOCH  SINCE                     CONVERSATIONS  MSG/S  STATE\n"
            ))
    }

    private func checkMessages(_ alice: ConversationClient, _ ports: [UInt16]) throws {
        let sent = try confab(
            "send", "lobby", "two", "--as", "ops", "--yes", "--output", "json", at: ports[2])
        #expect(try sent.rows("messages").map { $0["id"] } == ["2"])
        #expect(try alice.next("chat_message").object("message")?["content"] == "two")
        #expect(
            try confab("send", "--dry-run", "lobby", "three", "--as", "ops", at: ports[2]).status
                == 0)

        let history = try confab("history", "lobby", "--output", "json", at: ports[1]).rows(
            "messages")
        #expect(
            history.map { "\($0["id"] ?? "")\($0["sender_id"] ?? "")\($0["content"] ?? "")" } == [
                "1aliceone", "2opstwo",
            ])
        #expect(history.allSatisfy { $0["timestamp"]?.hasSuffix("Z") == true })
        #expect(
            try confab("history", "lobby", "--after", "1", at: ports[0]).output.split(
                separator: "\n"
            ).count == 2)

        let whole = try confab("verify", "lobby", at: ports[1])
        #expect(
            whole.status == 0 && whole.output.contains("The stream is complete."), "\(whole.output)"
        )
        let verified = try confab("verify", "lobby", "--output", "json", at: ports[0]).document
        #expect(
            verified.bool("complete") == true && verified.number("messages") == 2
                && verified.number("owner_head") == 2)
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
        let owner = try confab("owner", "lobby", "--output", "json", at: port).document
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

    @Test("show a killed node as a row, with a footer and status 3, without hanging")
    func killedNode() throws {
        let cluster = try LocalCluster(["3"])
        let port = try #require(cluster.nodes[0].adminPort)

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
        cluster.script.send(SIGCONT)
        try cluster.awaitRestart(of: cluster.nodes[2])
        try Deadline.wait(
            for: "all nodes to answer", untilTrue: { try confab("nodes", at: port).status == 0 })
    }

    @Test("drain a node, which then owns no shard and rejects clients until it is resumed")
    func drain() throws {
        let cluster = try LocalCluster(["2"])
        let port = try #require(cluster.nodes[0].adminPort)
        let node = cluster.nodes[1]
        let alice = try self.connect("alice", to: node, of: cluster)
        try alice.post("one")
        // Such as a load balancer's health check, which is not a client.
        let other = try ByteStream(port: node.port)
        defer { other.close() }

        let plan = try confab("drain", "n2", "--dry-run", at: port)
        #expect(
            plan.status == 0 && plan.output.contains("n2 would hand over")
                && plan.output.contains("1 client"), "\(plan.output)")
        try Deadline.wait(
            for: "n2 to be as it was",
            untilTrue: { try self.row("n2", at: port)?["state"] == "active" })
        let drained = try Deadline.wait(for: "the drain to be accepted") { () -> CommandResult? in
            let result = try confab("drain", "n2", "--yes", "--deadline", "0.2", at: port)
            // While a heartbeat of n1 is late, n2 counts as the last node that accepts clients.
            return result.status == 1 ? nil : result
        }
        #expect(
            drained.status == 0 && drained.output.contains("n2 is drained: it owns no shards"),
            "\(drained)")
        guard case .close(let code, _) = try alice.closeEvent() else {
            throw TestFailure("no close frame")
        }
        #expect(code == 1012)
        // The node may be suspect for a moment; its data are then older.
        let row = try Deadline.wait(for: "n2 not to be suspect") {
            try self.row("n2", at: port).flatMap { $0["state"] == "suspect" ? nil : $0 }
        }
        #expect(
            row["state"] == "drained" && row.number("shards") == 0
                && row.number("connections") == 0, "\(row)")
        let health = try HTTPReply.get("/api/health", port: node.port)
        #expect(health.status == 503 && health.body.contains("draining"))
        let secret = try cluster.folder.read("jwt.secret").trimmingCharacters(in: .newlines)
        let token = try ConfabServer.token(for: "bob", secret: secret)
        #expect(
            try RawWebSocketClient.refusal(
                of: "/conversations/lobby/?token=\(token)", port: node.port
            ).status == 503)

        let follower = try ChildProcess(
            Checkout.confab,
            ["events", "--follow", "--last", "500", "--admin", "http://127.0.0.1:\(port)"])
        defer { follower.kill() }
        let drain = try follower.output.line(with: "  drain: ")
        #expect(drain.hasSuffix("n2  drain: 1 connection to be closed within 0.2 s"), "\(drain)")
        let resumed = try confab("resume", "n2", "--yes", "--output", "json", at: port)
        #expect(resumed.status == 0, "\(resumed)")
        try Deadline.wait(
            for: "n2 to be well",
            untilTrue: { try HTTPReply.get("/api/health", port: node.port).status == 200 })
        #expect(try follower.output.line(with: "  resume").hasSuffix("  n2  resume"))
        let bob = try self.connect("bob", to: node, of: cluster)
        try bob.post("two")
        try Deadline.wait(
            for: "n2 to own shards again",
            untilTrue: { try self.row("n2", at: port)?.number("shards") ?? 0 > 1000 })
        try bob.post("three")
        #expect(try confab("verify", "lobby", at: port).status == 0)
    }
}
