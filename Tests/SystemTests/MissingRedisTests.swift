import TestKit
import TestTraits
import Testing

/// Redis is not running at the start of the node.
@Suite("A node that is started before its Redis", .programs, .ownThread)
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

    /// Starts a node at the port, and waits until it reports that it is waiting.
    private func waitingNode() throws -> (process: ChildProcess, waiting: String) {
        let process = try self.start()
        return (process, try process.errors.line(with: "waiting for redis"))
    }

    private func start() throws -> ChildProcess {
        let secret = try self.folder.write(ConfabServer.secret, to: "jwt.secret")
        return try ChildProcess(
            Checkout.confab,
            [
                "serve", "--listen", "127.0.0.1:\(self.port)", "--admin", "127.0.0.1:0",
                "--admin-token", "off",
                "--jwt-secret-file", secret,
                "--store", self.redis.url,
            ],
            folder: self.folder.path)
    }

    @Test(
        "waits for it, logs that, rejects clients, and is live with and without it"
    )
    func waitsForRedis() throws {
        let (node, line) = try self.waitingNode()
        defer { node.kill() }
        #expect(line.contains("127.0.0.1:\(self.redis.port)"), "\(line)")
        func expectLive() throws {
            let live = try HTTPReply.get("/api/live", port: self.port)
            #expect(try live.status == 200 && JSONObject(live.body)["status"] == "live")
        }
        try expectLive()
        let health = try HTTPReply.get("/api/health", port: self.port)
        #expect(
            try health.status == 503 && JSONObject(health.body)["reason"] == "the node is starting")
        for path in [
            "/api/conversations", "/socket.io/?EIO=4&transport=polling",
            "/socket.io/?EIO=4&transport=polling&sid=a.0.b", "/ws/",
        ] {
            let reply = try HTTPReply.get(path, port: self.port)
            #expect(reply.status == 503 && reply.fields["retry-after"] == "1", "\(path)")
        }
        for path in [
            "/ws/", "/ws/chats/", "/v1/ws", "/conversations/lobby/?token=x",
            "/socket.io/?EIO=4&transport=websocket",
        ] {
            #expect(
                try RawWebSocketClient.refusal(of: path, port: self.port).status == 503, "\(path)")
        }

        try self.redis.restart()
        try node.errors.line(with: "confab ready on ")
        // Each loop has its own connection to Redis, and the last one may recover later.
        try Deadline.wait(
            for: "health to be good",
            untilTrue: { try HTTPReply.get("/api/health", port: self.port).status == 200 })
        let token = try ConfabServer.token(for: "alice")
        try ConversationClient(
            try RawWebSocketClient("/conversations/lobby/?token=\(token)", port: self.port)
        ).post("here")
        try expectLive()

        // The node is live even if Redis is down or hangs.
        try self.redis.crash()
        try Deadline.wait(
            for: "health to be bad",
            untilTrue: { try HTTPReply.get("/api/health", port: self.port).status == 503 })
        try expectLive()
    }

    @Test("keeps its address, so that a second node on it exits with an error", .long)
    func secondNodeOnSameAddress() throws {
        let (first, _) = try self.waitingNode()
        defer { first.kill() }
        let second = try self.start()
        defer { second.kill() }
        #expect(try second.waitForExit() == .exited(1))
        try second.errors.line(
            with: "confab: Cannot listen on 127.0.0.1:\(self.port): the address is already in use.")
        try self.redis.restart()
        try first.errors.line(with: "confab ready on ")
        _ = try HTTPReply.get("/api/health", port: self.port)
    }
}
