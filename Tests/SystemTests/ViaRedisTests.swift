import Glibc
import TestKit
import TestTraits
import Testing

@Suite("Operator commands with --via", .programs, .ownThread)
struct ViaRedisTests {
    private func runViaRedis(_ url: String, _ arguments: String...) throws -> CommandResult {
        // No node listens at this admin address.
        try confab(arguments + ["--via", url], at: freePort())
    }

    private func documents(_ arguments: [String], _ url: String, _ key: String) throws
        -> [JSONObject]
    {
        try confab(arguments + ["--via", url, "--output", "json"], at: freePort()).rows(key)
    }

    @Test(
        "match the nodes' answers, and work after all nodes were killed"
    )
    func runningAndKilledNodes() throws {
        let redis = try RedisServer()
        let nodes = try ["n1", "n2"].map {
            try ConfabServer(["--store", redis.url, "--node-id", $0, "--cluster-name", "c2"])
        }
        try nodes[0].awaitShardBalance(of: 2)
        let port = nodes[0].adminPort
        let alice = try nodes[0].connect("alice")
        try alice.post("one")
        let name = ["--cluster-name", "c2"]

        // Repeated until no shard has moved meanwhile.
        try Deadline.wait(for: "Redis and the nodes to agree") {
            let fromNodes = try confab("nodes", "--output", "json", at: port).rows("nodes")
            let fromRedis = try self.documents(["nodes"] + name, redis.url, "nodes")
            return fromRedis.map { $0["node"] } == ["n1", "n2"]
                && fromRedis.allSatisfy { $0["state"] == "active" }
                && ["address", "version"].allSatisfy { key in
                    fromNodes.map { $0[key] } == fromRedis.map { $0[key] }
                }
                && fromNodes.map { $0.number("shards") } == fromRedis.map { $0.number("shards") }
        }
        var messageCount = 1.0
        try Deadline.wait(for: "Redis and the owner to agree on a conversation") {
            let fromNodes = try confab("owner", "lobby", "--output", "json", at: port).document
            let fromRedis = try confab(
                ["owner", "lobby", "--via", redis.url, "--output", "json"] + name, at: freePort()
            ).document
            // On a busy machine a node may be evicted for a moment. The next owner claims the shard
            // only when a client needs it.
            guard fromRedis.number("epoch") != nil, fromNodes.number("epoch") != nil else {
                try alice.post("again")
                messageCount += 1
                return false
            }
            return fromRedis.number("head") == messageCount
                && ["shard", "epoch", "head", "revision"].allSatisfy {
                    fromNodes.number($0) == fromRedis.number($0)
                }
                && ["owner", "reason", "state"].allSatisfy { fromNodes[$0] == fromRedis[$0] }
        }
        for node in nodes { node.process.send(SIGKILL) }
        try Deadline.wait(for: "all nodes to be gone") {
            let rows = try self.documents(["nodes"] + name, redis.url, "nodes")
            return !rows.isEmpty && rows.allSatisfy { $0["state"] == "gone" }
        }
        let table = try confab(["nodes", "--via", redis.url] + name, at: freePort())
        #expect(table.status == 0 && table.output.contains("     gone "), "\(table)")
        // No node is left that could change the data.
        let owner = try confab(
            ["owner", "lobby", "--via", redis.url, "--output", "json"] + name, at: freePort()
        ).document
        let shards = try self.documents(["shards"] + name, redis.url, "shards")
        #expect(shards.count == 4096)
        let shard = try #require(shards.first { $0.number("shard") == owner.number("shard") })
        #expect(shard["owner"] == owner["owner"] && shard.number("epoch") == owner.number("epoch"))
        let own = try self.documents(
            ["shards", "--node", owner["owner"] ?? ""] + name, redis.url, "shards")
        #expect(
            own.contains { $0.number("shard") == owner.number("shard") }
                && own.allSatisfy { $0["owner"] == owner["owner"] })
    }

    @Test("read from every master of a Redis Cluster", .long)
    func cluster() throws {
        let servers = try RedisClusterServers()
        let node = try ConfabServer(["--store", servers.url(), "--node-id", "n1"])
        try node.connect("alice").post("one")
        let rows = try self.documents(["redis"], servers.url(), "redis")
        #expect(
            Set(rows.map { $0["servers"] }).count == 3
                && rows.allSatisfy { $0["role"] == "master" && $0["mode"] == "cluster" })
        #expect(
            try self.documents(["nodes"], servers.url(), "nodes").map { $0.number("shards") } == [
                4096
            ])
        let owner = try confab(
            "owner", "lobby", "--via", servers.url(), "--output", "json", at: freePort()
        ).document
        #expect(owner["owner"] == "n1" && owner.number("head") == 1)
        #expect(
            try self.documents(["shards"], servers.url(), "shards").contains {
                $0.number("epoch") == owner.number("epoch")
            })
    }

    @Test("report an error with its status if there is nothing to read", .long)
    func nothingToRead() throws {
        let redis = try RedisServer()
        let noNode = try self.runViaRedis(redis.url, "nodes")
        #expect(noNode.status == 1)
        #expect(
            noNode.errors.contains(
                "--via: the cluster confab has no nodes: none has started, or all have left"
            ))
        let node = try ConfabServer(["--store", redis.url, "--node-id", "n1"])
        let unknown = try self.runViaRedis(redis.url, "owner", "nowhere")
        #expect(
            unknown.status == 1
                && unknown.errors.contains("There is no conversation nowhere in tenant default."))
        let unknownNode = try self.runViaRedis(redis.url, "shards", "--node", "n7")
        #expect(
            unknownNode.status == 1
                && unknownNode.errors.contains("There is no node n7; there are n1."))
        #expect(try node.stop() == .exited(0))
        let noRedis = try self.runViaRedis("redis://127.0.0.1:\(freePort())", "redis")
        #expect(
            noRedis.status == 3
                && noRedis.errors.contains("refuses the connection: no Redis listens there."),
            "\(noRedis)")
        #expect(try self.runViaRedis("http://x", "nodes").status == 2)
    }

    @Test("repeat with --watch", .long)
    func watch() throws {
        let redis = try RedisServer()
        let node = try ConfabServer(["--store", redis.url, "--node-id", "n1"])
        let arguments = ["nodes", "--watch", "0.1", "--output", "json"]
        for source in [["--via", redis.url], ["--admin", "http://127.0.0.1:\(node.adminPort)"]] {
            let watcher = try ChildProcess(Checkout.confab, arguments + source)
            defer { watcher.kill() }
            for round in 0..<3 {
                #expect(
                    try JSONObject(
                        watcher.output.line(at: round, within: Deadline.defaultTimeout) {
                            watcher.errors.text
                        }
                    ).objects("nodes")?
                    .count == 1)
            }
        }
        // An invalid command is not repeated.
        #expect(try confab("nodes", "--watch", "--sort", "colour", at: node.adminPort).status == 2)
    }
}
