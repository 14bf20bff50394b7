import Foundation
import Glibc
import TestKit
import TestTraits
import Testing

/// `confab copy` between a node with SQLite and a cluster with Redis.
@Suite("confab copy", .programs, .serialized, .ownThread)
struct CopyCommandTests {
    private typealias Participant = DialectPairTests.DialectParticipant
    private static let history = ["--history", "100"]

    private func arguments(_ folder: TemporaryFolder, _ target: String) -> [String] {
        ["copy", "--from", "sqlite:\(folder.file("confab.db"))", "--to", target] + Self.history
    }

    private func copy(_ folder: TemporaryFolder, to redis: RedisServer, _ options: String...) throws
        -> CommandResult
    {
        try confab(self.arguments(folder, redis.url) + options, at: 0)
    }

    /// The two commands of the documentation, a dry run and a copy.
    private func documentedCommands(_ folder: TemporaryFolder, _ redis: RedisServer) throws
        -> [[String]]
    {
        try MarkdownPage("docs/operating/upgrade.md").blocks.flatMap {
            $0.text.split(separator: "\n")
        }
        .filter { $0.hasPrefix("confab copy ") }.map { line in
            line.replacing("/var/lib/confab/confab.db", with: folder.file("confab.db"))
                .replacing("redis://10.0.0.9:6379", with: redis.url)
                .split(separator: " ").dropFirst().map(String.init)
        }
    }

    private func room(_ adapter: ProtocolAdapter) -> String { "room-\(adapter.name)" }

    private func participant(
        _ adapter: ProtocolAdapter, at server: ConfabServer, after: Int? = nil
    ) throws -> Participant {
        try Participant(
            adapter, as: "ann", in: self.room(adapter), at: server.port,
            secret: ConfabServer.secret, after: after)
    }

    /// The newest messages of a conversation, with their times, ids and revisions.
    private func content(of room: String, at server: ConfabServer) throws -> String {
        let reply = try RESTClient("ann", at: server).request("GET", "/\(room)/messages?limit=100")
        guard reply.status == 200 else { throw TestFailure("\(room): \(reply)") }
        return reply.body
    }

    /// The messages and changes that a reader receives before the message with this content.
    private func lines(_ reader: ConversationClient, until content: String) throws -> [String] {
        var lines: [String] = []
        while true {
            let frame = try reader.next()
            if frame["type"] == "error" { lines.append("error \(frame["error"] ?? "")") }
            guard let message = frame.object("message"), let id = message["id"] else { continue }
            if message["content"] == content { return lines }
            lines.append("\(frame["type"] ?? "") \(id) \(message["content"] ?? "")")
        }
    }

    @Test("keeps everything: clients of all protocols resume at the cluster with their positions")
    func allProtocols() throws {
        let server = try ConfabServer(
            Self.history + ["--limit", "messages-per-second=1000"], store: .sqlite)
        var seen: [String: Int] = [:]
        for adapter in ProtocolAdapter.all {
            let ann = try self.participant(adapter, at: server)
            try ann.synchronize()
            let reader = try server.connect("bob", to: self.room(adapter))
            for content in ["one", "two", "three"] {
                try ann.sendMessage(content)
                #expect(try self.lines(reader, until: content) == [])
            }
            let author = try server.connect("ann", to: self.room(adapter))
            seen[adapter.name] = Int(try #require(author.post("four").number("rev")))
            try author.send(#"{"action":"edit_message","message_id":"2","content":"zwei"}"#)
            _ = try author.next("message.edited")
            try author.send(#"{"action":"delete_message","message_id":"1"}"#)
            _ = try author.next("message.deleted")
            try author.send(#"{"action":"read","message_ids":["3"]}"#)
            try author.synchronize()
        }
        let long = try server.connect("ann", to: "long")
        for number in 1...300 { try long.post("\(number)") }
        let ban = ["ban", "--user", "eve", "--reason", "Spam.", "--yes"]
        #expect(try confab(ban, at: server.adminPort).status == 0)
        let rooms = ProtocolAdapter.all.map(self.room) + ["long"]
        let before = try rooms.map { try self.content(of: $0, at: server) }
        let redis = try RedisServer()
        let refused = try self.copy(server.folder, to: redis)
        #expect(refused.status == 1 && refused.errors.contains("is in use by another process"))
        #expect(try server.stop() == .exited(0))

        let commands = try self.documentedCommands(server.folder, redis)
        try #require(commands.count == 2)
        let planned = try confab(commands[0] + Self.history, at: 0)
        #expect(planned.output.hasPrefix("would copy "), "\(planned)")
        #expect(try redis.execute("DBSIZE") == "0")
        let copied = try confab(commands[1] + Self.history, at: 0)
        #expect(copied.status == 0 && copied.output.hasPrefix("copied "), "\(copied)")
        #expect(copied.output.contains(", 1 ban, "), "\(copied)")

        let nodes = try ["n1", "n2"].map {
            try ConfabServer(["--store", redis.url, "--node-id", $0] + Self.history)
        }
        try nodes[0].awaitShardBalance(of: 2)
        let verified = try confab("verify", "--all", at: nodes[1].adminPort)
        #expect(verified.status == 0, "\(verified)")
        for node in nodes {
            #expect(try rooms.map { try self.content(of: $0, at: node) } == before)
            #expect(try RESTClient("eve", at: node).request("GET", "").status == 403)
        }
        for adapter in ProtocolAdapter.all {
            let room = self.room(adapter)
            let reader = try nodes[1].connect(
                "ann", to: room, query: "after=3&rev=\(try #require(seen[adapter.name]) - 1)")
            let ann = try self.participant(adapter, at: nodes[0], after: 2)
            try ann.catchUp(after: 2)
            try ann.awaitMessage(4, "ann", "four")
            try ann.sendMessage("five")
            #expect(
                try self.lines(reader, until: "five").sorted() == [
                    "chat_message 4 four", "message.deleted 1 ", "message.edited 2 zwei",
                ], "\(adapter)")
        }
        let reader = try nodes[1].connect("ann", to: "long", query: "after=250")
        let truncated = try nodes[0].connect("ann", to: "long", query: "after=5")
        try nodes[0].connect("bob", to: "long").post("end")
        #expect(
            try self.lines(reader, until: "end") == (251...300).map { "chat_message \($0) \($0)" })
        #expect(try self.lines(truncated, until: "end").first == "error history truncated")
    }

    /// Waits until Redis has this many keys.
    private func awaitKeys(_ count: Int, in redis: RedisServer) throws {
        try Deadline.wait(for: "\(count) keys") {
            try Int(redis.execute("DBSIZE")) ?? 0 >= count
        }
    }

    @Test("continues after it was killed and after Redis died, and only once at a time", .long)
    func faults() throws {
        let server = try ConfabServer(
            Self.history + ["--limit", "messages-per-second=1000"], store: .sqlite)
        let folder = server.folder
        let count = 600
        for number in 1...count { try server.connect("bob", to: "room\(number)").post("x") }
        #expect(try server.stop() == .exited(0))
        let redis = try RedisServer(["--appendonly", "yes", "--appendfsync", "always"])
        let options = ["--store", redis.url, "--node-id", "n1"] + Self.history

        let node = try ConfabServer(options)
        let early = try self.copy(folder, to: redis)
        #expect(early.status == 1 && early.errors.contains("node n1 of the cluster confab is "))
        #expect(try node.stop() == .exited(0))
        let empty = try Int(redis.execute("DBSIZE")) ?? 0

        // Each conversation takes a round trip, so the command still runs when it is killed.
        let proxy = try FaultProxy(to: redis.port)
        proxy.set(.slow(.toClient, .milliseconds(20)))
        let slow = self.arguments(folder, "redis://127.0.0.1:\(proxy.port)")
        let killed = try ChildProcess(Checkout.confab, slow)
        try self.awaitKeys(empty + 60, in: redis)
        killed.send(SIGKILL)
        #expect(try killed.waitForExit() == .killed(signal: SIGKILL))
        let waiting = try ChildProcess(
            Checkout.confab,
            [
                "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--admin-token",
                "off", "--jwt-secret-file",
                folder.file("jwt.secret"),
            ] + options)
        try waiting.errors.line(with: "repeat `confab copy`")
        waiting.kill()
        try waiting.waitForExit()

        let cut = try ChildProcess(Checkout.confab, slow)
        try self.awaitKeys(try #require(Int(redis.execute("DBSIZE"))) + 60, in: redis)
        try redis.crash()
        #expect(try cut.waitForExit(within: .seconds(60)) == .exited(3))
        #expect(cut.errors.text.contains("confab: --to: "), "\(cut.errors.text)")
        try redis.restart()

        let pair = try (0..<2).map { _ in
            try ChildProcess(Checkout.confab, self.arguments(folder, redis.url))
        }
        let ends = try pair.map { try $0.waitForExit(within: .seconds(60)) }
        #expect(ends.filter { $0 == .exited(0) }.count == 1, "\(pair.map(\.errors.text))")
        #expect(ends.filter { $0 == .exited(1) }.count == 1)
        let summary = pair.map(\.output.text).joined()
        let pattern = /copied 600 conversations \([0-9]+ by an earlier run\), 600 members/
        #expect(summary.contains(pattern), "\(summary)")
        let again = try self.copy(folder, to: redis)
        #expect(again.status == 1 && again.errors.contains("already has conversations"))

        let started = try ConfabServer(options)
        let document = try confab(
            "verify", "--all", "--output", "json", at: started.adminPort
        ).document
        #expect(document.number("conversations") == Double(count))
        #expect(document.objects("faults")?.count == 0)
    }

    @Test("refuses other stores, and names the option", .long)
    func usage() throws {
        for (arguments, words) in [
            (["--to", "redis://a"], "--from sqlite:PATH"), (["--from", "sqlite:a"], "--to redis"),
            (["--from", "memory:", "--to", "redis://a"], "--from: only a SQLite database"),
            (["--from", "sqlite:a", "--to", "sqlite:b"], "--to: the target must be Redis"),
            (["--from", "sqlite:a", "--to", "redis://a", "--history", "0"], "--history"),
        ] {
            let result = try confab(["copy"] + arguments, at: 0)
            #expect(result.status == 2 && result.errors.contains(words), "\(result)")
        }
        let missing = try confab(
            ["copy", "--from", "sqlite:/none/confab.db", "--to", "redis://127.0.0.1:1"], at: 0)
        #expect(missing.status == 1)
        #expect(missing.errors == "confab: --from: /none/confab.db: No such file or directory")
    }
}
