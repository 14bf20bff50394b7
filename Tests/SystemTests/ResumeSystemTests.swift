import Foundation
import TestKit
import TestTraits
import Testing

/// The answers to a client that resumes: at another node, after the failure of an owner, and at a
/// server restored from a backup.
@Suite("Resuming at nodes and after restarts", .programs, .serialized, .ownThread)
struct ResumeSystemTests {
    /// The messages that a client receives before the one with this content, one per line.
    private func deliveredLines(_ reader: ConversationClient, until content: String) throws
        -> [String]
    {
        var lines: [String] = []
        while true {
            let frame = try reader.next()
            if frame["type"] == "error" {
                lines.append(
                    "error \(frame["error"] ?? "") \(frame["oldest_id"] ?? frame["head"] ?? "")")
            }
            guard let message = frame.object("message"), let type = frame["type"],
                let id = message["id"]
            else { continue }
            if type == "chat_message", message["content"] == content { return lines }
            lines.append("\(type) \(id) \(message["content"] ?? "")")
        }
    }

    /// An agent that joins the channel at a position.
    private func agent(_ query: String, at server: ConfabServer) throws -> RawWebSocketClient {
        try RawWebSocketClient(
            "/v1/ws?channel_id=lobby&token=\(ConfabServer.token(for: "agent"))&\(query)",
            port: server.port)
    }

    private func next(_ type: String, by agent: RawWebSocketClient) throws -> JSONObject {
        let deadline = Deadline()
        while true {
            guard case .text(let text) = try agent.next(within: deadline.remaining) else {
                throw TestFailure("the connection ended before \(type)")
            }
            let frame = try JSONObject(text)
            if frame["type"] == type { return frame }
        }
    }

    private func revision(of message: JSONObject) throws -> Int {
        Int(try #require(message.number("rev")))
    }

    @Test(
        "delivers edits and deletions at every node, also after the owner was killed",
        arguments: TestRun.isLong ? [false, true] : [true])
    func resumeAtEveryNode(isRedisCluster: Bool) throws {
        let redis = isRedisCluster ? nil : try RedisServer()
        let servers = isRedisCluster ? try RedisClusterServers() : nil
        let url = redis?.url ?? servers!.url()
        let nodes = try ["n1", "n2"].map { try ConfabServer(["--store", url, "--node-id", $0]) }
        try nodes[0].awaitShardBalance(of: 2)
        let author = try nodes[0].connect("author")
        for content in ["one", "two"] { try author.post(content) }
        let seen = try self.revision(of: author.post("three"))
        try author.send(#"{"action":"edit_message","message_id":"2","content":"zwei"}"#)
        _ = try author.next("message.edited")
        try author.send(#"{"action":"delete_message","message_id":"1"}"#)
        let now = Int(try #require(try author.next("message.deleted").number("rev")))
        for node in nodes {
            for query in ["after=3&rev=\(seen)", "after=3"] {
                let reader = try node.connect("reader", query: query)
                try author.post("end")
                #expect(
                    try self.deliveredLines(reader, until: "end").prefix(2) == [
                        "message.edited 2 zwei", "message.deleted 1 ",
                    ])
                let agent = try self.agent(query, at: node)
                #expect(try self.next("message.edited", by: agent)["content"] == "zwei")
                #expect(try self.next("message.deleted", by: agent).number("seq") == 1)
            }
            let upToDate = try node.connect("reader", query: "after=3&rev=\(now)")
            #expect(
                try self.next("chat_message", by: upToDate.socket).object("message")?["id"] == "4")
            for query in ["after=99", "after=99&rev=999"] {
                let head = try #require(Int(author.history(#""limit":1"#).first?["id"] ?? ""))
                let reader = try node.connect("reader", query: query)
                let error = try reader.next("error")
                #expect(error["error"] == "history reset" && error["head"] == "\(head)")
                try author.post("live")
                #expect(try reader.next("chat_message").object("message")?["id"] == "\(head + 1)")
                let agent = try self.next("ERROR", by: self.agent(query, at: node))
                #expect(
                    agent["error"] == "history reset" && agent.number("head") == Double(head + 1))
            }
            let ahead = try node.connect("reader", query: "after=2&rev=999")
            try author.post("the end")
            #expect(
                try self.deliveredLines(ahead, until: "the end").prefix(4) == [
                    "error history truncated 1", "chat_message 1 ", "chat_message 2 zwei",
                    "chat_message 3 three",
                ])
        }

        // Crash the owner, which may be either node.
        let owner = try confab("owner", "lobby", "--output", "json", at: nodes[0].adminPort)
            .document["owner"]
        let (crashed, surviving) = owner == "n1" ? (nodes[0], nodes[1]) : (nodes[1], nodes[0])
        try crashed.crash()
        // A client is closed if the killed node's shards have no owner within five seconds.
        let newAuthor = try Deadline.wait(for: "the next owner") { () -> ConversationClient? in
            let client = try surviving.connect("author")
            return (try? client.synchronize()) == nil ? nil : client
        }
        try newAuthor.send(#"{"action":"edit_message","message_id":"3","content":"drei"}"#)
        _ = try newAuthor.next("message.edited")
        let reader = try surviving.connect("reader", query: "after=3&rev=\(now)")
        #expect(
            try self.next("message.edited", by: reader.socket).object("message")?["content"]
                == "drei")
        let agent = try self.agent("after=3&rev=\(now)", at: surviving)
        #expect(try self.next("message.edited", by: agent)["content"] == "drei")
    }

    @Test("reports a restored backup, and continues with live messages", .long)
    func restoredBackup() throws {
        var server = try ConfabServer(store: .sqlite)
        let folder = server.folder
        let files = ["confab.db", "confab.db-wal", "confab.db-shm"]
        var author = try server.connect("author")
        for number in 1...5 { try author.post("\(number)") }
        #expect(try server.stop() == .exited(0))
        let backup = try TemporaryFolder()
        for file in files where folder.hasFile(file) {
            try FileManager.default.copyItem(atPath: folder.file(file), toPath: backup.file(file))
        }

        server = try ConfabServer(store: .sqlite, in: folder)
        author = try server.connect("author")
        for number in 6...9 { try author.post("\(number)") }
        let revision = try self.revision(of: author.post("10"))
        #expect(try server.stop() == .exited(0))
        for file in files {
            try? FileManager.default.removeItem(atPath: folder.file(file))
            if backup.hasFile(file) {
                try FileManager.default.copyItem(
                    atPath: backup.file(file), toPath: folder.file(file))
            }
        }

        server = try ConfabServer(store: .sqlite, in: folder)
        author = try server.connect("author")
        let readers = try ["after=10", "after=10&rev=\(revision)"].map {
            try server.connect("reader", query: $0)
        }
        for reader in readers {
            let error = try reader.next("error")
            #expect(error["error"] == "history reset" && error["head"] == "5")
        }
        let agent = try self.agent("after=10&rev=\(revision)", at: server)
        let error = try self.next("ERROR", by: agent)
        #expect(error["error"] == "history reset" && error.number("head") == 5)
        // The messages that were lost with the backup.
        for number in 6...10 { try author.post("another \(number)") }
        try author.post("end")
        for reader in readers {
            #expect(
                try self.deliveredLines(reader, until: "end")
                    == (6...10).map { "chat_message \($0) another \($0)" })
        }
        #expect(try self.next("message", by: agent).number("seq") == 6)

        // A client with fewer messages than the backup, and with changes that the backup lacks.
        let behind = try server.connect("reader", query: "after=4&rev=\(revision + 100)")
        try author.post("the end")
        #expect(
            try self.deliveredLines(behind, until: "the end").first == "error history truncated 1")
    }

    @Test("works in confab chat after a server was restored from a backup", .long)
    func chatCommand() throws {
        let server = try ConfabServer()
        let author = try server.connect("author")
        try author.post("one")
        let token = try server.folder.write(ConfabServer.token(for: "reader"), to: "reader.jwt")
        let chat = try ChildProcess(
            Checkout.confab,
            [
                "chat", "ws://127.0.0.1:\(server.port)/conversations/lobby/?after=7",
                "--token-file", token,
            ])
        defer { chat.kill() }
        let line = try chat.errors.line("that the history was replaced") {
            $0.contains("history was replaced")
        }
        #expect(line.contains("#1"))
        try author.post("two")
        _ = try chat.output.line(with: "two")
    }
}
