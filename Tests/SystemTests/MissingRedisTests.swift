import TestKit
import Testing

/// Redis is not there yet.
@Suite("A node that is started before its Redis")
struct MissingRedisTests {
    @Test("waits for it, says so, takes no clients, and comes up when it comes")
    func waits() throws {
        let redis = try RedisServer()
        try redis.crash()
        let folder = try TemporaryFolder()
        let secret = try folder.write(ConfabServer.secret, to: "jwt.secret")
        let port = try freePort()
        let node = try ChildProcess(
            Checkout.confab,
            ["serve", "--listen", "127.0.0.1:\(port)", "--admin", "127.0.0.1:0", "--jwt-secret-file", secret, "--store", redis.url],
            folder: folder.path)
        defer { node.kill() }
        let line = try node.errors.line(with: "waiting for redis")
        #expect(line.contains("127.0.0.1:\(redis.port)"), "\(line)")
        #expect(throws: TestFailure.self) { try HTTPReply.get("/api/health", port: port) }

        try redis.restart()
        try node.errors.line(with: "confab ready on ")
        #expect(try HTTPReply.get("/api/health", port: port).status == 200)
        let token = try ConfabServer.token(for: "alice")
        try Talker(try WebSocketClient("/conversations/lobby/?token=\(token)", port: port)).post("here")
    }
}
