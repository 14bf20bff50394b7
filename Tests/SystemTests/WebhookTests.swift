import Foundation
import TestKit
import TestTraits
import Testing

/// One node, and receivers whose behaviour changes.
@Suite("Webhooks", .programs, .serialized, .ownThread)
struct WebhookTests {
    private static let secret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"

    @Test("reach the published receiver, which verifies them")
    func publishedReceiver() throws {
        let page = try MarkdownPage("docs/operating/webhooks.md")
        let block = try #require(page.blocks.first { $0.language == "python" })
        let folder = try TemporaryFolder()
        let script = try folder.write(block.text, to: "receiver.py")
        let secret = try folder.write(Self.secret, to: "secret")
        let receiver = try ChildProcess(
            Checkout.python(), [script, secret, "0"], folder: folder.path)
        defer { receiver.kill() }
        let line = try receiver.output.line(with: "receiver on port ")
        let port = try #require(line.split(separator: " ").last.flatMap { UInt16($0) })
        let server = try ConfabServer([
            "--webhook", "http://127.0.0.1:\(port)/", "--webhook-allow", "127.0.0.1",
            "--webhook-secret-file", secret,
            "--webhook-events", "message,member.joined,member.left,conversation",
        ])
        let alice = try server.connect("alice")
        try alice.post("first \u{e4}")
        try alice.send(#"{"action":"edit_message","message_id":"1","content":"edited"}"#)
        _ = try alice.next("message.edited")
        try alice.send(#"{"action":"delete_message","message_id":"1"}"#)
        _ = try alice.next("message.deleted")
        try receiver.output.line(with: "message.deleted lobby")
        let types = receiver.output.lines.compactMap { line -> String? in
            let words = line.split(separator: " ")
            return words.count == 3 && words[2] == "lobby" ? String(words[1]) : nil
        }
        #expect(
            types == [
                "conversation.created", "member.joined", "message.created", "message.edited",
                "message.deleted",
            ])
    }

    @Test("show the path and the query of a URL nowhere, because they may contain a secret")
    func secretPath() throws {
        let receiver = try WebhookReceiver("fail")
        let origin = "http://127.0.0.1:\(receiver.port)"
        let options = [
            "--webhook", "\(origin)/T0PSECRET?key=T0PSECRET", "--webhook",
            "\(origin)/other/T0PSECRET", "--log-level", "debug",
        ]
        let server = try ConfabServer(options + ["--webhook-allow", "127.0.0.1"])
        try server.connect("alice").post("Hello")
        let rows = try Deadline.wait(for: "failures") { () -> [JSONObject]? in
            let rows = try confab("webhooks", "--output", "json", at: server.adminPort).rows(
                "webhooks")
            return rows.allSatisfy { $0["last_error"] != nil } ? rows : nil
        }
        #expect(rows.map { $0["url"] } == [origin, "\(origin) (2)"])
        let metrics = try server.metrics()
        #expect(metrics.contains("confab_webhook_events_pending{endpoint=\"\(origin) (2)\"}"))
        let archive = server.folder.file("support.tar.gz")
        #expect(try confab("support", archive, at: server.adminPort).status == 0)
        let content = try run("/bin/sh", ["-c", "tar xzOf '\(archive)'"]).output
        #expect(content.contains(origin))
        let shown = try run(Checkout.confab, ["config", "show"] + options).output
        let invalid = try run(
            Checkout.confab, ["config", "check", "--webhook", "chat.example/T0PSECRET"])
        let texts = [
            metrics, content, shown, invalid.errors, server.process.errors.text,
            try confab("webhooks", at: server.adminPort).output,
            try confab("node", server.folder.path, at: server.adminPort).output,
            try confab("doctor", at: server.adminPort).output,
        ]
        for text in texts { #expect(!text.contains("T0PSECRET"), "\(text)") }
    }

    @Test("connect to no private address that is not listed")
    func privateAddress() throws {
        let receiver = try WebhookReceiver()
        for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
            let server = try ConfabServer(["--webhook", "http://\(host):\(receiver.port)/"])
            try server.connect("alice").post("secret")
            let row = try Deadline.wait(for: "an error") { () -> JSONObject? in
                let rows = try confab("webhooks", "--output", "json", at: server.adminPort).rows(
                    "webhooks")
                return rows.first?["last_error"] == nil ? nil : rows.first
            }
            #expect(row["last_error"]?.contains("is not public") == true, "\(host)")
            #expect(row["state"] == "failing")
        }
        #expect(receiver.requests.isEmpty)
    }

    @Test("reach the other receivers while one sends informational responses for ever")
    func endlessAnswer() throws {
        let (endless, unix) = (try WebhookReceiver("endless"), try WebhookReceiver("unix"))
        let server = try ConfabServer(endless.options + ["--webhook", unix.url])
        let alice = try server.connect("alice")
        let contents = (1...5).map { "m\($0)" }
        for content in contents { try alice.post(content) }
        try unix.awaitMessages(contents)
        let rows = try Deadline.wait(for: "the reason") { () -> [JSONObject]? in
            let rows = try confab("webhooks", "--output", "json", at: server.adminPort).rows(
                "webhooks")
            return rows.first?["state"] == "failing" && rows.last?["state"] == "ok" ? rows : nil
        }
        #expect(
            rows.first?["last_error"]?.hasPrefix("no final response within 65536 bytes") == true)
        #expect(try server.stop() == .exited(0))
    }

    @Test("survive kill -9 between storing and sending, with SQLite")
    func kill() throws {
        let receiver = try WebhookReceiver("fail")
        let server = try ConfabServer(receiver.options, store: .sqlite)
        let alice = try server.connect("alice")
        let contents = (1...20).map { "m\($0)" }
        for content in contents { try alice.post(content) }
        try receiver.awaitRequest("500")
        try server.crash()
        try receiver.behave("ok")
        #expect(receiver.messages().isEmpty)
        let revived = try ConfabServer(receiver.options, store: .sqlite, in: server.folder)
        try receiver.awaitMessages(contents)
        // Nothing is sent again, and nothing waits.
        try Deadline.wait(
            for: "an empty outbox",
            untilTrue: {
                let rows = try confab("webhooks", "--output", "json", at: revived.adminPort).rows(
                    "webhooks")
                return rows.first?.number("pending") == 0 && rows.first?["state"] == "ok"
            })
        let secret = try revived.folder.read("confab.db.webhook-secret")
        #expect(secret.hasPrefix("whsec_"))
        let attributes = try FileManager.default.attributesOfItem(
            atPath: revived.folder.file("confab.db.webhook-secret"))
        #expect(attributes[.posixPermissions] as? Int == 0o600)
    }

    @Test("delay neither other receivers nor other conversations when one hangs", .long)
    func hanging() throws {
        let (slow, fast) = (try WebhookReceiver("hang"), try WebhookReceiver())
        let server = try ConfabServer(
            slow.options + ["--webhook", fast.url, "--webhook-events", "message"])
        let alice = try server.connect("alice")
        try alice.post("one")
        try fast.awaitMessages(["one"], within: .seconds(10))
        try slow.awaitRequest("begun")
        #expect(slow.requests.isEmpty)
        // Now only one conversation hangs.
        try slow.behave("hang lobby")
        let bob = try server.connect("bob", to: "other")
        try bob.post("two")
        try slow.awaitMessages(["two"], in: "other", within: .seconds(10))
        try alice.post("three")
        try slow.behave("ok")
        try slow.awaitMessages(["one", "three"])
        try fast.awaitMessages(["one", "three"])
    }

    @Test("arrive in order when a receiver recovers", .long)
    func recovery() throws {
        let receiver = try WebhookReceiver("fail")
        let server = try ConfabServer(receiver.options)
        let alice = try server.connect("alice")
        let contents = (1...30).map { "m\($0)" }
        for content in contents.prefix(15) { try alice.post(content) }
        // Presence is sent once, and has no order among the other events.
        func isStored(_ type: String) -> Bool {
            !["member.online", "member.offline"].contains(type)
        }
        try Deadline.wait(
            for: "a stored event to fail",
            untilTrue: {
                receiver.requests.contains { $0.status == 500 && isStored($0.type) }
            })
        try receiver.behave("ok")
        for content in contents.dropFirst(15) { try alice.post(content) }
        try receiver.awaitMessages(contents)
        let failures = receiver.requests.filter { $0.status == 500 }
        let ordered = failures.filter { isStored($0.type) }
        #expect(Set(ordered.map(\.id)).count == 1, "only the first event was tried")
        #expect(
            try server.metric(
                #"confab_webhook_attempts_failed_total{endpoint="\#(receiver.origin)"}"#)
                == Double(failures.count))
    }

    @Test("become dead letters beyond the backlog, and are sent again on demand", .long)
    func deadLetters() throws {
        let receiver = try WebhookReceiver("fail")
        let server = try ConfabServer(
            receiver.options + [
                "--webhook-events", "message", "--limit", "webhook-backlog=100",
                "--limit", "message-burst=1000",
            ])
        let alice = try server.connect("alice")
        let contents = (1...105).map { "m\($0)" }
        for content in contents { try alice.post(content) }
        func letters() throws -> [JSONObject] {
            try confab("webhooks", "--dead", "--output", "json", at: server.adminPort).rows(
                "dead_letters")
        }
        let dead = try Deadline.wait(for: "five dead letters") {
            let letters = try letters()
            return letters.count == 5 ? letters : nil
        }
        #expect(dead[0]["type"] == "message.created")
        #expect(dead[0]["conversation"] == "lobby")
        #expect(dead[0]["url"] == receiver.origin)
        #expect(dead[0]["last_error"] == "more than 100 events waited")
        let table = try confab("webhooks", "--dead", at: server.adminPort)
        #expect(table.output.contains(try #require(dead[0]["id"])))

        let id = try #require(dead[4]["id"])
        #expect(try confab("webhooks", "--drop", id, at: server.adminPort).status == 2)
        let dropped = try confab("webhooks", "--drop", id, "--yes", at: server.adminPort)
        #expect(dropped.output == "1 dead letter dropped")
        #expect(
            try confab("webhooks", "--drop", id, "--yes", at: server.adminPort).status == 1)
        try receiver.behave("ok")
        // Otherwise the retried events would exceed the bound again.
        try Deadline.wait(
            for: "100 messages", untilTrue: { receiver.messages().count == 100 })
        let retried = try confab("webhooks", "--retry", "all", "--yes", at: server.adminPort)
        #expect(retried.output == "4 dead letters sent again")
        try Deadline.wait(
            for: "104 messages", untilTrue: { receiver.messages().count == 104 })
        #expect(try letters().isEmpty)
        let order = receiver.messages().compactMap { Int($0.dropFirst()) }
        #expect(order.prefix(100) == order.prefix(100).sorted()[...])
        // The retried events follow, each once. An event that was being sent was given up later.
        #expect(Set(order).count == 104)
    }

    @Test("stop for a receiver that answers 410", .long)
    func gone() throws {
        let receiver = try WebhookReceiver("gone")
        let server = try ConfabServer(receiver.options)
        let alice = try server.connect("alice")
        try alice.post("one")
        try server.process.errors.line(with: "webhook disabled")
        try alice.post("two")
        let rows = try Deadline.wait(for: "the state") { () -> [JSONObject]? in
            let rows = try confab("webhooks", "--output", "json", at: server.adminPort).rows(
                "webhooks")
            return rows.first?["state"] == "gone" ? rows : nil
        }
        #expect((rows.first?.number("pending") ?? 0) > 0)
        #expect(receiver.requests.allSatisfy { $0.status == 410 })
    }
}

@Suite("Webhooks of a cluster", .programs, .serialized, .ownThread)
struct WebhookClusterTests {
    private let redis: RedisServer
    private let receiver: WebhookReceiver
    private let folder: TemporaryFolder

    init() throws {
        self.redis = try RedisServer(["--appendonly", "yes", "--appendfsync", "always"])
        self.receiver = try WebhookReceiver("fail")
        self.folder = try TemporaryFolder()
        _ = try self.folder.write(
            "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n", to: "webhook.secret")
    }

    private func server(_ name: String) throws -> ConfabServer {
        try ConfabServer(
            self.receiver.options + [
                "--store", self.redis.url, "--node-id", name,
                "--webhook-secret-file", self.folder.file("webhook.secret"),
            ])
    }

    /// So many that each node owns some of them.
    private let conversations = (1...24).map { "c\($0)" }
    private let contents = (1...5).map { "m\($0)" }

    private func post(at server: ConfabServer) throws {
        for conversation in self.conversations {
            let client = try server.connect("alice", to: conversation)
            for content in self.contents { try client.post(content) }
        }
    }

    private func awaitAll() throws {
        for conversation in self.conversations {
            try self.receiver.awaitMessages(
                self.contents, in: conversation, within: .seconds(120))
        }
    }

    @Test("are sent by the other node after one is killed")
    func kill() throws {
        let servers = [try self.server("n1"), try self.server("n2")]
        try servers[0].awaitShardBalance(of: 2)
        try self.post(at: servers[0])
        // Both nodes have conversations, and both have tried.
        let failed = #"confab_webhook_attempts_failed_total{endpoint="\#(self.receiver.origin)"}"#
        for server in servers {
            try Deadline.wait(
                for: "attempts of both nodes", untilTrue: { (try server.metric(failed) ?? 0) > 0 })
        }
        let rows = try confab("webhooks", "--output", "json", at: servers[0].adminPort).rows(
            "webhooks")
        #expect(Set(rows.compactMap { $0["node"] }) == ["n1", "n2"])
        try servers[0].crash()
        try self.receiver.behave("ok")
        try self.awaitAll()
        try Deadline.wait(
            for: "an empty outbox", within: .seconds(60),
            untilTrue: { try self.redis.execute("--scan", "--pattern", "*:outbox").isEmpty })
    }

    @Test("survive a restart of Redis and of the only node", .long)
    func redisRestart() throws {
        let server = try self.server("n1")
        try self.post(at: server)
        try self.receiver.awaitRequest("500", of: "c1")
        try self.redis.stop()
        try self.redis.restart()
        try self.receiver.behave("ok")
        try self.awaitAll()
        try self.receiver.behave("fail")
        let client = try server.connect("bob", to: "late")
        try client.post("after")
        try self.receiver.awaitRequest("500", of: "late")
        try server.crash()
        try self.receiver.behave("ok")
        let next = try self.server("n2")
        try self.receiver.awaitMessages(["after"], in: "late", within: .seconds(120))
        #expect(try next.health().status == 200)
    }
}
