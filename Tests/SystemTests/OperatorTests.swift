import Glibc
import TestKit
import TestTraits
import Testing

@Suite("Metrics, logs and the admin listener:", .programs, .ownThread)
struct OperatorTests {
    /// Clients that join, send, make errors and leave.
    private func makeTraffic(on server: ConfabServer) throws {
        let alice = try server.connect("alice")
        let bob = try server.connect("bob")
        try bob.synchronize()
        try alice.post("something private", as: "a1")
        try alice.post("something private", as: "a1")
        try alice.send(
            #"{"action":"edit_message","message_id":"1","content":"something else that is "#
                + #"private"}"#
        )
        _ = try alice.next("message.edited")
        try alice.send(#"{"action":"typing","is_typing":true}"#)
        try alice.send("this private thing is no JSON")
        _ = try alice.next("error")
        try bob.send(#"{"action":"read","message_ids":["1"]}"#)
        _ = try alice.next("read")
        let forged = try ConfabServer.token(
            for: "eve", secret: "another secret, which the server does not have")
        _ = try server.connect(token: forged).closeEvent()
        let broken = try server.connect("carol")
        try broken.synchronize()
        try broken.socket.stream.send([0x83, 0x00])
        _ = try broken.closeEvent()
        try bob.socket.close()
        _ = try server.health()
        _ = try HTTPReply.get("/private?token=\(forged)", port: server.port)
    }

    @Test("promtool accepts the metrics", .long)
    func promtool() throws {
        let server = try ConfabServer(["--echo-path", "/_echo"], store: .sqlite)
        try self.makeTraffic(on: server)
        // Loops publish their metrics once per second.
        try Deadline.wait(
            for: "the message to be counted",
            untilTrue: { try server.metric("confab_store_writes_total") ?? 0 > 0 })
        let result = try run(
            Checkout.program("promtool"), ["check", "metrics"], input: server.metrics())
        #expect(result.exitStatus == .exited(0), "\(result.output)\(result.errors)")
    }

    @Test("the metrics count connections, messages and deliveries", .long)
    func metrics() throws {
        let server = try ConfabServer(store: .sqlite)
        let clients = try (0..<3).map { try server.connect("user \($0)") }
        for client in clients { try client.synchronize() }
        try clients[0].post("one")
        try clients[1].post("two")
        for client in [clients[0], clients[2]] {
            while try client.next("chat_message").object("message")?["content"] != "two" {}
        }

        let dialect = #"{dialect="conversations"}"#
        try Deadline.wait(
            for: "six deliveries",
            untilTrue: { try server.metric("confab_messages_delivered_total\(dialect)") == 6 })
        #expect(try server.metric("confab_connections\(dialect)") == 3)
        #expect(try server.metric("confab_messages_received_total\(dialect)") == 2)
        let text = try server.metrics()
        for name in [
            "process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds",
            "confab_loop_turn_seconds_bucket",
            "confab_store_write_seconds_bucket",
        ] {
            #expect(text.contains("\n\(name)"), "there is no \(name)")
        }
    }

    @Test(
        "a log contains no token or content, at any level and in any format",
        arguments: ["text", "json"])
    func logs(_ format: String) throws {
        let server = try ConfabServer(
            ["--log-level", "debug", "--log-format", format], store: .sqlite)
        try self.makeTraffic(on: server)
        try server.stop()

        let log = try server.process.errors.wholeText()
        #expect(log.contains("protocol error"))
        #expect(!log.contains("private"))
        #expect(!log.contains("eyJ"), "a token, or a part of it")
        #expect(!log.contains(ConfabServer.secret))
        if format == "json" {
            for line in log.split(separator: "\n") {
                let event = try JSONObject(String(line))
                #expect(event["time"]?.isEmpty == false)
                #expect(event["level"]?.isEmpty == false)
                #expect(event["msg"]?.isEmpty == false)
            }
        }
    }
}
