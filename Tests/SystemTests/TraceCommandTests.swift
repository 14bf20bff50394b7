import Foundation
import TestKit
import TestTraits
import Testing

/// Two nodes with one loop each and their Redis.
@Suite("confab trace", .programs, .serialized, .ownThread)
struct TraceCommandTests {
    private let redis: RedisServer
    private let nodes: [ConfabServer]

    init() throws {
        let redis = try RedisServer()
        self.redis = redis
        self.nodes = try ["n1", "n2"].map {
            try ConfabServer(["--store", redis.url, "--node-id", $0, "--loops", "1"])
        }
        let port = self.nodes[0].adminPort
        try Deadline.wait(
            for: "both nodes to be active",
            untilTrue: {
                let rows = try confab("nodes", "--output", "json", at: port).rows("nodes")
                return rows.count == 2 && rows.allSatisfy { $0["state"] == "active" }
            })
    }

    private func trace(_ message: Int, at node: Int = 0, conversation: String = "lobby") throws
        -> CommandResult
    {
        try confab(
            "trace", "\(message)", "--conversation", conversation, "--output", "json",
            at: self.nodes[node].adminPort)
    }

    private func number(_ message: JSONObject?) throws -> Int {
        try #require(message?["id"].flatMap { Int($0) })
    }

    @Test("says why there is no trace, and rejects contradictory options", .long)
    func absence() throws {
        let alice = try self.nodes[0].connect("alice")
        _ = try alice.post("hello")
        let missing = try self.trace(999)
        #expect(missing.status == 1)
        #expect(missing.errors.contains("lobby has no message 999; its newest is "))
        let unknown = try self.trace(1, conversation: "nowhere")
        #expect(unknown.status == 1)
        #expect(unknown.errors.contains("There is no conversation nowhere in tenant default."))
        let port = self.nodes[0].adminPort
        for arguments in [
            ["trace"], ["trace", "1"], ["trace", "--conversation", "lobby"],
            ["trace", "1", "--conversation", "lobby", "--user", "alice"],
            ["trace", "1", "--conversation", "lobby", "--for", "5"], ["trace", "0"],
        ] { #expect(try confab(arguments, at: port).status == 2, "\(arguments)") }
    }

    @Test("says that a message has left the ring", .long)
    func leftTheRing() throws {
        let server = try ConfabServer([
            "--limit", "trace-steps=1024", "--limit", "message-burst=1000", "--loops", "1",
        ])
        let alice = try server.connect("alice")
        let first = try self.number(alice.post("first"))
        for number in 0..<300 { try alice.sendMessage("message \(number)") }
        try Deadline.wait(
            for: "the first message to leave the ring",
            untilTrue: {
                let result = try confab(
                    "trace", "\(first)", "--conversation", "lobby", at: server.adminPort)
                return result.status == 1
                    && result.errors.contains(
                        """
                        No node has a step of message \(first) of lobby any more: each loop keeps \
                        the last 1024 steps (--limit trace-steps).
                        """)
            })
    }

    @Test("follows the messages from and to a user, each once, and ends in time", .long)
    func user() throws {
        let alice = try self.nodes[0].connect("alice")
        let bob = try self.nodes[1].connect("bob")
        try bob.synchronize()
        let command = try ChildProcess(
            Checkout.confab,
            [
                "trace", "--user", "bob", "--for", "10", "--output", "json", "--admin",
                "http://127.0.0.1:\(self.nodes[0].adminPort)",
            ])
        defer { command.kill() }
        // The command looks back one second, and starting it may take longer.
        try Deadline.wait(
            for: "the first line",
            untilTrue: {
                try alice.post("early")
                return !command.output.lines.isEmpty
            })
        let sent = try [alice.post("to bob"), bob.post("from bob")].map(self.number)
        #expect(try command.waitForExit(within: .seconds(40)) == .exited(0))
        let rows = try command.output.lines.map { try JSONObject($0) }
        let own = rows.filter { row in sent.contains { row.number("message") == Double($0) } }
        #expect(own.count == 2, "\(rows)")
        #expect(
            Set(own.compactMap { $0["direction"] }) == ["from", "to"])
        #expect(Set(own.compactMap { $0["accepted_on"] }) == ["n1", "n2"])
        #expect(own.allSatisfy { $0["state"] == "delivered" && ($0.number("sockets") ?? 0) >= 2 })
    }

    @Test("shows what the living node knows if the other one was killed or is stopped", .long)
    func otherNodeIsGone() throws {
        let alice = try self.nodes[0].connect("alice")
        let bob = try self.nodes[1].connect("bob")
        try bob.synchronize()
        let message = try self.number(alice.post("hello"))
        _ = try bob.next("chat_message")
        try self.nodes[1].process.freeze()
        let stopped = try self.trace(message)
        kill(self.nodes[1].process.id, SIGCONT)
        #expect(stopped.status == 3)
        #expect(try stopped.document.number("nodes_answered") == 1)
        #expect(try stopped.rows("steps").allSatisfy { $0["node"] == "n1" })
        #expect(try stopped.rows("steps").contains { $0["step"] == "accepted" })

        self.nodes[1].process.kill()
        let killed = try self.trace(message)
        #expect(killed.status == 3)
        #expect(try killed.rows("steps").contains { $0["step"] == "written" })
        // The next message has one path, through the node that is left.
        let next = try self.number(alice.post("after the end of n2"))
        #expect(try self.trace(next).document["owner"] == "n1")
    }

    @Test("shows the steps on the asked node while Redis is down", .long)
    func redisIsDown() throws {
        let alice = try self.nodes[0].connect("alice")
        let message = try self.number(alice.post("before"))
        self.redis.process.kill()
        let result = try self.trace(message)
        // The other node answers only if the nodes can also ask each other without Redis.
        #expect([0, 3].contains(result.status), "\(result.errors)")
        let steps = try result.rows("steps").filter { $0["node"] == "n1" }.compactMap { $0["step"] }
        #expect(Set(steps).isSuperset(of: ["accepted", "received", "written", "answered"]))
    }

    @Test("shows a message that waited for Redis, and the nodes' clocks after its restart", .long)
    func redisRestarts() throws {
        let alice = try self.nodes[0].connect("alice")
        _ = try alice.post("before")
        try self.redis.process.freeze()
        try alice.sendMessage("during", as: "during")
        // The message has been accepted.
        try alice.synchronize()
        usleep(700_000)
        kill(self.redis.process.id, SIGCONT)
        let message = try Deadline.wait(for: "the message to be stored") { () -> Int? in
            let event = try alice.next("chat_message")
            let message = event.object("message")
            return message?["content"] == "during" ? try self.number(message) : nil
        }
        let steps = try Deadline.wait(for: "the trace") { () -> [JSONObject]? in
            let result = try self.trace(message)
            return result.status == 0 ? try result.rows("steps") : nil
        }
        let stored = try #require(steps.first { $0["step"] == "stored" }?.number("since_accepted"))
        #expect(stored >= 500)
    }
}
