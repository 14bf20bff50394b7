import Glibc
import TestKit
import Testing

/// Several nodes with the same name.
@Suite("A node's name", .serialized)
struct NodeNameTests {
    /// A Redis deployment, alive for the duration of a test.
    private struct RedisDeployment {
        let url: String
        let servers: AnyObject
    }

    enum Kind: String, CaseIterable, Sendable { case plain, sentinel, cluster }

    private static func redisDeployment(_ kind: Kind) throws -> RedisDeployment {
        switch kind {
        case .plain:
            let redis = try RedisServer()
            return RedisDeployment(url: redis.url, servers: redis)
        case .sentinel:
            let trio = try RedisSentinelServers()
            return RedisDeployment(url: trio.url, servers: trio)
        case .cluster:
            let servers = try RedisClusterServers(failureTimeout: .seconds(60))
            return RedisDeployment(url: servers.url(), servers: servers)
        }
    }

    private let folder: TemporaryFolder

    init() throws { self.folder = try TemporaryFolder() }

    private func node(_ url: String, _ name: String = "web") throws -> ChildProcess {
        let secret = try self.folder.write(ConfabServer.secret, to: "jwt.secret")
        return try ChildProcess(
            Checkout.confab,
            [
                "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--jwt-secret-file",
                secret, "--store", url, "--node-id",
                name,
                "--drain-seconds", "1",
            ], folder: self.folder.path)
    }

    private static func isReady(_ node: ChildProcess) -> Bool {
        node.errors.lines.contains { $0.contains("confab ready on ") }
    }

    @Test(
        "belongs to one node: a second one waits, and joins after the first is killed",
        arguments: Kind.allCases)
    func secondNodeWaits(_ kind: Kind) throws {
        let place = try Self.redisDeployment(kind)
        let nodes = [try self.node(place.url), try self.node(place.url)]
        defer { for node in nodes { node.kill() } }
        let winner = try Deadline.wait(for: "one of them to be ready") {
            nodes.first(where: Self.isReady)
        }
        let loser = try #require(nodes.first { $0 !== winner })
        try loser.errors.line("that it waits") {
            $0.contains("name is in use by a living node") && $0.contains("name=web")
        }
        // Longer than a lease, which the winner renews meanwhile.
        try loser.errors.line("why it waits") {
            $0.contains("waiting for the name") && $0.contains("--node-id")
        }
        usleep(4_000_000)
        #expect(!Self.isReady(loser) && winner.isRunning)

        winner.send(SIGKILL)
        try winner.waitForExit()
        try loser.errors.line(with: "confab ready on ")
        // The name is free again after a kill, and immediately after an orderly stop.
        loser.send(SIGKILL)
        try loser.waitForExit()
        let third = try self.node(place.url)
        defer { third.kill() }
        try third.errors.line(with: "confab ready on ")
        third.send(SIGTERM)
        #expect(try third.waitForExit() == .exited(0))
        let fourth = try self.node(place.url)
        defer { fourth.kill() }
        try fourth.errors.line(with: "confab ready on ")
        #expect(!fourth.errors.lines.contains { $0.contains("name is in use") })
    }

    @Test(
        "stays with its node when Redis is unavailable and loses its data"
    )
    func nameSurvivesRedisRestart() throws {
        let redis = try RedisServer()
        let node = try ConfabServer(["--store", redis.url, "--node-id", "web"])
        let other = try self.node(redis.url)
        defer { other.kill() }
        try other.errors.line(with: "name is in use")
        try redis.crash()
        usleep(4_000_000)
        try redis.restart()
        try Deadline.wait(
            for: "the node to be well", untilTrue: { try node.health().status == 200 })
        try Deadline.wait(
            for: "the other to have found the name taken again",
            untilTrue: {
                try redis.execute("KEYS", "confab:{c}:node:*").split(separator: "\n").count == 2
            })
        usleep(4_000_000)
        #expect(!Self.isReady(other))
    }

    @Test("causes an error in every command if two nodes have it")
    func ambiguousName() throws {
        let redis = try RedisServer()
        let first = try ConfabServer(["--store", redis.url, "--node-id", "web"])
        let second = try self.node(redis.url)
        defer { second.kill() }
        // Give the name to the second process, as if Redis had lost its data, or a node of an older
        // Confab had joined.
        let holder = try redis.execute("GET", "confab:{c}:name:web")
        try second.errors.line(with: "name is in use")
        let beats = try Deadline.wait(for: "both to beat") { () -> [String]? in
            let keys = try redis.execute("KEYS", "confab:{c}:node:*").split(separator: "\n").map {
                String($0.split(separator: ":").last!)
            }
            return keys.count == 2 ? keys : nil
        }
        let process = try #require(beats.first { $0 != holder })
        try redis.execute("SET", "confab:{c}:name:web", process, "PX", "3000")
        try second.errors.line(with: "confab ready on ")
        try first.process.errors.line(with: "another node goes by the same name")
        try first.awaitShardBalance(of: 2)
        let port = first.adminPort
        for words in [
            ["drain", "web", "--yes"], ["drain", "web", "--dry-run"], ["resume", "web", "--yes"],
            ["shards", "--node", "web"],
        ] {
            let said = try Deadline.wait(for: "an answer") { () -> CommandResult? in
                let said = try confab(words, at: port)
                return said.errors.contains("unknown address") ? nil : said
            }
            #expect(said.status == 1, "\(words): \(said)")
            #expect(
                said.errors.contains("2 nodes have the name web: ")
                    && said.errors.contains("127.0.0.1:\(first.port)"), "\(said)")
            #expect(said.errors.contains(holder) && said.errors.contains(process), "\(said)")
        }
        let via = try confab("shards", "--node", "web", "--via", redis.url, at: freePort())
        #expect(via.status == 1 && via.errors.contains("2 nodes have the name web: "), "\(via)")
        #expect(try confab("status", at: port).output.contains("! 2 nodes have the name web: "))
        #expect(
            try confab("nodes", "--output", "json", at: port).rows("nodes").allSatisfy {
                $0["state"] == "active"
            })
    }
}
