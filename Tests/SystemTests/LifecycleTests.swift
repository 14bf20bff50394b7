import Glibc
import TestKit
import TestTraits
import Testing

@Suite("A node", .programs, .ownThread)
struct LifecycleTests {
    @Test("reports that it is ready in one line, and is then healthy")
    func ready() throws {
        let server = try ConfabServer(["--node-id", "n1"])
        let line = try server.process.errors.line(with: "confab ready")
        #expect(line == "confab ready on http://127.0.0.1:\(server.port) (node n1, store memory)")

        let reply = try server.health()
        #expect(reply.status == 200)
        let health = try JSONObject(reply.body)
        #expect(health["status"] == "healthy")
        #expect(health["node"] == "n1")
        #expect(health.number("uptime_seconds") != nil)
        #expect(health["version"]?.isEmpty == false)
    }

    @Test(
        "closes its clients with 1012 on SIGTERM, and exits with 0",
        arguments: TestRun.isLong ? [SIGTERM, SIGINT] : [SIGTERM])
    func drain(_ signal: Int32) throws {
        let server = try ConfabServer(store: .sqlite)
        let clients = try (0..<3).map { try server.connect("user \($0)") }
        for client in clients { try client.synchronize() }

        server.process.send(signal)

        for client in clients {
            guard case .close(let code, _) = try client.closeEvent() else {
                Issue.record("a client was left without a close frame")
                continue
            }
            #expect(code == 1012)
        }
        #expect(try server.process.waitForExit() == .exited(0))
        #expect(throws: TestFailure.self) { try ByteStream(port: server.port) }
    }

    @Test("does not wait for the drain after a second SIGTERM")
    func secondSignal() throws {
        let server = try ConfabServer(["--drain-seconds", "3600"])
        let clients = try (0..<4).map { try server.connect("user \($0)") }
        for client in clients { try client.synchronize() }

        server.process.send(SIGTERM)
        try server.process.errors.line(with: "drain started")
        server.process.send(SIGTERM)

        #expect(try server.process.waitForExit() == .exited(0))
    }

    @Test("waits for a message in flight while it drains")
    func lastMessage() throws {
        let server = try ConfabServer(["--drain-seconds", "1"], store: .sqlite)
        let client = try server.connect("alice")
        try client.synchronize()

        try client.sendMessage("the last one", as: "last")
        server.process.send(SIGTERM)
        try server.process.waitForExit()

        let revived = try ConfabServer(store: .sqlite, in: server.folder)
        let contents = try revived.connect("alice").wholeHistory().compactMap { $0["content"] }
        var isAnswered = false
        while case .text(let frame) = try client.socket.next() {
            isAnswered = isAnswered || frame.contains("the last one")
        }
        #expect(contents == (isAnswered ? ["the last one"] : []))
    }

    @Test("reloads the secret on SIGHUP, rejects old tokens, and keeps connections")
    func reloadSecret() throws {
        let server = try ConfabServer()
        let client = try server.connect("alice")
        try client.synchronize()
        let secret = "another secret of the tests, long enough"
        try server.folder.write(secret, to: "jwt.secret")

        server.process.send(SIGHUP)
        try server.process.errors.line(with: "reloaded")

        #expect(
            try server.connect("bob").closeEvent()
                == .close(code: 4003, reason: "the token is not valid"))
        let carol = try server.connect(token: ConfabServer.token(for: "carol", secret: secret))
        try carol.post("hello")
        try client.post("still here")
    }

    @Test("reloads limits and the log level on SIGHUP")
    func reloadConfiguration() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write(
            #"{"log-level":"info","limit":{"content-bytes":3}}"#, to: "confab.json")
        let server = try ConfabServer(["--config", file], in: folder)
        func send(_ content: String) throws -> CommandResult {
            try confab("send", "lobby", content, "--as", "ops", "--yes", at: server.adminPort)
        }
        #expect(try send("five!").errors.contains("content: longer than 3 bytes"))
        try folder.write(#"{"log-level":"debug","limit":{"content-bytes":5}}"#, to: "confab.json")

        server.process.send(SIGHUP)
        try server.process.errors.line(with: "reloaded")

        // A protocol error is logged only at the debug level.
        let broken = try server.connect("alice")
        try broken.synchronize()
        try broken.socket.stream.send([0x01, 0x00])
        _ = try broken.closeEvent()
        try server.process.errors.line(with: "debug protocol error")
        let client = try server.connect("alice")
        try client.sendMessage("longer than five bytes")
        #expect(try client.next("message.failed")["error"] == "content: longer than 5 bytes")
        #expect(try send("five!").status == 0)
        #expect(try send("longer").errors.contains("content: longer than 5 bytes"))
    }

    @Test("keeps its configuration after a failed reload", .long)
    func failedReload() throws {
        let server = try ConfabServer()
        try server.folder.write("short", to: "jwt.secret")

        server.process.send(SIGHUP)
        try server.process.errors.line(with: "reload failed")

        try server.connect("alice").post("hello")
        #expect(try server.health().status == 200)
    }

    @Test("creates a private secret beside the database, and keeps it")
    func generatedSecret() throws {
        let folder = try TemporaryFolder()
        let options = [
            "serve", "--listen", "127.0.0.1:0", "--admin", "off", "--store", "sqlite:chat.db",
            "--drain-seconds", "0",
        ]
        func serve(_ work: (UInt16) throws -> Void) throws {
            let process = try ChildProcess(Checkout.confab, options, folder: folder.path)
            defer { process.kill() }
            let ready = try process.errors.line(with: "confab ready")
            try work(UInt16(ready.firstMatch(of: /:([0-9]+) \(/)?.1 ?? "") ?? 0)
            process.send(SIGTERM)
            #expect(try process.waitForExit() == .exited(0))
        }
        func token() throws -> String {
            let result = try run(
                Checkout.confab,
                ["token", "--sub", "alice", "--conversations", "*", "--database", "chat.db"],
                folder: folder.path)
            #expect(result.exitStatus == .exited(0))
            return result.output
        }

        try serve { port in
            var status = stat()
            #expect(stat(folder.file("chat.db.secret"), &status) == 0)
            #expect(status.st_mode & 0o777 == 0o600)
            try ConversationClient(
                RawWebSocketClient("/conversations/1/?token=\(token())", port: port)
            ).post("hello")
        }
        let secret = try folder.read("chat.db.secret")
        try serve { port in
            let history = try ConversationClient(
                RawWebSocketClient("/conversations/1/?token=\(token())", port: port)
            ).history()
            #expect(history.count == 1)
        }
        #expect(try folder.read("chat.db.secret") == secret)
    }
}
