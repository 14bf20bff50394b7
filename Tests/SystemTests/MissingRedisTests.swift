import TestKit
import Testing

/// Redis is not there yet.
@Suite("A node that is started before its Redis")
struct MissingRedisTests {
    private let redis: RedisServer
    private let folder: TemporaryFolder
    private let port: UInt16

    init() throws {
        self.folder = try TemporaryFolder()
        self.redis = try RedisServer()
        try self.redis.crash()
        self.port = try freePort()
    }

    /// A node that is to listen at the port, when it has said that it waits.
    private func node() throws -> (process: ChildProcess, waiting: String) {
        let secret = try self.folder.write(ConfabServer.secret, to: "jwt.secret")
        let process = try ChildProcess(
            Checkout.confab,
            [
                "serve", "--listen", "127.0.0.1:\(self.port)", "--admin", "127.0.0.1:0", "--jwt-secret-file", secret,
                "--store", self.redis.url,
            ],
            folder: self.folder.path)
        return (process, try process.errors.line(with: "waiting for redis"))
    }

    @Test("waits for it, says so, takes no clients, and comes up when it comes")
    func waits() throws {
        let (node, line) = try self.node()
        defer { node.kill() }
        #expect(line.contains("127.0.0.1:\(self.redis.port)"), "\(line)")
        #expect(throws: TestFailure.self) { try HTTPReply.get("/api/health", port: self.port) }

        try self.redis.restart()
        try node.errors.line(with: "confab ready on ")
        // Each loop has its own way to Redis, and the last may be back a moment later.
        try Deadline.wait(for: "health to be good", untilTrue: { try HTTPReply.get("/api/health", port: self.port).status == 200 })
        let token = try ConfabServer.token(for: "alice")
        try Talker(try WebSocketClient("/conversations/lobby/?token=\(token)", port: self.port)).post("here")
    }

    @Test("and of two that are to listen at one address one alone comes up, and the other ends and says why")
    func twice() throws {
        let nodes = try [self.node().process, self.node().process]
        defer { for node in nodes { node.kill() } }
        try self.redis.restart()
        let loser = try Deadline.wait(for: "one of them to end") { nodes.first { !$0.isRunning } }
        #expect(try loser.end() == .exited(1))
        try loser.errors.line(with: "confab: Cannot listen on 127.0.0.1:\(self.port): the address is already in use.")
        for node in nodes where node !== loser { try node.errors.line(with: "confab ready on ") }
        _ = try HTTPReply.get("/api/health", port: self.port)
    }
}

@Suite("A node that is to have each write on a replica")
struct MissingReplicaTests {
    @Test("where there is none takes no sends, says so in its health, and heals when one comes")
    func waits() throws {
        let redis = try RedisServer()
        let node = try ConfabServer(["--store", "\(redis.url)?wait=1&wait-ms=100"])
        try Deadline.wait(for: "health to be degraded", untilTrue: { try node.health().status == 503 })
        #expect(try JSONObject(node.health().body)["status"] == "degraded")
        // Whoever asks while the first probe is at the end of its time is told that the store does not answer.
        try Deadline.wait(
            for: "health to name replicas",
            untilTrue: {
                try JSONObject(node.health().body)["reason"] == "store: no replica has confirmed the write in time; it may be stored"
            })

        let replica = try RedisServer(["--replicaof", "127.0.0.1 \(redis.port)"])
        defer { replica.process.kill() }
        try Deadline.wait(for: "health to be good", untilTrue: { try node.health().status == 200 })
        let alice = try node.connect("alice")
        try alice.post("safe")
        #expect(try replica.ask("KEYS", "*:log:default:lobby").contains("lobby"))

        try replica.crash()
        try alice.say("not safe", as: "a1")
        let refusal = try alice.next("message.failed")
        #expect(refusal["local_id"] == "a1")
        #expect(refusal["outcome"] == "unknown")
        try Deadline.wait(for: "health to be degraded", untilTrue: { try node.health().status == 503 })
    }
}
