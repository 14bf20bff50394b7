import Glibc
import TestKit
import TestTraits
import Testing

/// Several nodes with the same name.
@Suite("A node's name", .programs, .serialized, .ownThread)
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
            let sentinelServers = try RedisSentinelServers()
            return RedisDeployment(url: sentinelServers.url, servers: sentinelServers)
        case .cluster:
            let servers = try RedisClusterServers()
            return RedisDeployment(url: servers.url(), servers: servers)
        }
    }

    private let folder: TemporaryFolder
    private let secret: String

    init() throws {
        self.folder = try TemporaryFolder()
        self.secret = try self.folder.write(ConfabServer.secret, to: "jwt.secret")
    }

    private func node(_ url: String, _ name: String = "web") throws -> ChildProcess {
        try ChildProcess(
            Checkout.confab,
            [
                "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--admin-token",
                "off", "--jwt-secret-file",
                self.secret, "--store", url, "--node-id",
                name,
                "--drain-seconds", "1",
            ], folder: self.folder.path)
    }

    private static func isReady(_ node: ChildProcess) -> Bool {
        node.errors.lines.contains { $0.contains("confab ready on ") }
    }

    @Test(
        "belongs to one node: a second one waits, and joins after the first is killed",
        arguments: TestRun.isLong ? Kind.allCases : [.plain])
    func secondNodeWaits(_ kind: Kind) throws {
        let redis = try Self.redisDeployment(kind)
        let nodes = [try self.node(redis.url), try self.node(redis.url)]
        defer { for node in nodes { node.kill() } }
        let activeNode = try Deadline.wait(for: "one of them to be ready") {
            nodes.first(where: Self.isReady)
        }
        let waitingNode = try #require(nodes.first { $0 !== activeNode })
        try waitingNode.errors.line("that it waits") {
            $0.contains("node name in use") && $0.contains("name=web")
        }
        // Longer than a lease, which the winner renews meanwhile.
        try waitingNode.errors.line("why it waits") {
            $0.contains("waiting for the name") && $0.contains("--node-id")
        }
        usleep(4_000_000)
        #expect(!Self.isReady(waitingNode) && activeNode.isRunning)

        activeNode.send(SIGKILL)
        try activeNode.waitForExit()
        try waitingNode.errors.line(with: "confab ready on ")
        // The name is free again after a kill, and immediately after an orderly stop.
        waitingNode.send(SIGKILL)
        try waitingNode.waitForExit()
        let third = try self.node(redis.url)
        defer { third.kill() }
        try third.errors.line(with: "confab ready on ")
        third.send(SIGTERM)
        #expect(try third.waitForExit() == .exited(0))
        let fourth = try self.node(redis.url)
        defer { fourth.kill() }
        try fourth.errors.line(with: "confab ready on ")
        #expect(!fourth.errors.lines.contains { $0.contains("node name in use") })
    }

    @Test(
        "stays with its node when Redis is unavailable and loses its data", .long
    )
    func nameSurvivesRedisRestart() throws {
        let redis = try RedisServer()
        let node = try ConfabServer(["--store", redis.url, "--node-id", "web"])
        let other = try self.node(redis.url)
        defer { other.kill() }
        try other.errors.line(with: "node name in use")
        try redis.crash()
        usleep(4_000_000)
        try redis.restart()
        try node.awaitHealthy()
        try Deadline.wait(
            for: "both nodes to be registered again",
            untilTrue: {
                try redis.execute("KEYS", "confab:{c}:node:*").split(separator: "\n").count == 2
            })
        usleep(4_000_000)
        #expect(!Self.isReady(other))
    }

    @Test("causes an error in every command if two nodes have it", .long)
    func ambiguousName() throws {
        let redis = try RedisServer()
        let first = try ConfabServer(["--store", redis.url, "--node-id", "web"])
        let second = try self.node(redis.url)
        defer { second.kill() }
        // Give the name to the second process, as if Redis had lost its data, or a node of an older
        // Confab had joined.
        let nameOwner = try redis.execute("GET", "confab:{c}:name:web")
        try second.errors.line(with: "node name in use")
        let incarnations = try Deadline.wait(for: "both nodes to send heartbeats") {
            () -> [String]? in
            let keys = try redis.execute("KEYS", "confab:{c}:node:*").split(separator: "\n").map {
                String($0.split(separator: ":").last!)
            }
            return keys.count == 2 ? keys : nil
        }
        let process = try #require(incarnations.first { $0 != nameOwner })
        try redis.execute("SET", "confab:{c}:name:web", process, "PX", "60000")
        try second.errors.line(with: "confab ready on ")
        try first.process.errors.line(with: "node name used by another node")
        try first.awaitShardBalance(of: 2)
        let port = first.adminPort
        for arguments in [
            ["drain", "web", "--yes"], ["drain", "web", "--dry-run"], ["resume", "web", "--yes"],
            ["shards", "--node", "web"],
        ] {
            let result = try Deadline.wait(for: "an answer") { () -> CommandResult? in
                let result = try confab(arguments, at: port)
                return result.errors.contains("unknown address") ? nil : result
            }
            #expect(result.status == 1, "\(arguments): \(result)")
            #expect(
                result.errors.contains("2 nodes have the name web: ")
                    && result.errors.contains("127.0.0.1:\(first.port)"), "\(result)")
            #expect(
                result.errors.contains(nameOwner) && result.errors.contains(process), "\(result)")
        }
        let via = try confab("shards", "--node", "web", "--via", redis.url, at: freePort())
        #expect(via.status == 1 && via.errors.contains("2 nodes have the name web: "), "\(via)")
        #expect(try confab("status", at: port).output.contains("! 2 nodes have the name web: "))
        try Deadline.wait(
            for: "both nodes to be active",
            untilTrue: {
                try confab("nodes", "--output", "json", at: port).rows("nodes").map { $0["state"] }
                    == ["active", "active"]
            })
    }
}
