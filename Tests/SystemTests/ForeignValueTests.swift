import TestKit
import TestTraits
import Testing

/// Another program has written to the Redis keys of one conversation.
@Suite("A conversation with foreign values in its Redis keys", .programs, .serialized, .ownThread)
struct ForeignValueTests {
    private static let damagedError =
        "the stored data of this conversation is damaged; the service's log names the cause"

    private let redis: RedisServer
    private let confab: ConfabServer
    private let lobbyClient: ConversationClient

    init() throws {
        self.redis = try RedisServer()
        self.confab = try ConfabServer([
            "--store", self.redis.url, "--node-id", "n1", "--loops", "1",
        ])
        self.lobbyClient = try self.confab.connect("alice", to: "lobby")
        try self.lobbyClient.post("well")
    }

    /// The conversation's key of this kind.
    private func key(_ kind: String, of conversation: String) throws -> String {
        let reply = try HTTPReply.get(
            "/api/cluster/owner?conversation=\(conversation)", port: self.confab.adminPort)
        guard let shard = try JSONObject(reply.body).number("shard") else {
            throw TestFailure("no shard: \(reply.body)")
        }
        return "confab:{s\(Int(shard))}:\(kind)"
            + (kind == "lease" ? "" : ":default:\(conversation)")
    }

    /// Replaces the value with a foreign one.
    private func overwrite(_ key: String) throws {
        try self.redis.execute("DEL", key)
        try self.redis.execute("SET", key, "somebody else's")
    }

    @Test(
        "is refused to all clients, logged with its cause, and affects no other",
        arguments: TestRun.isLong ? ["conv", "members", "log", "lease"] : ["log"])
    func damagedBeforeLoading(kind: String) throws {
        try self.confab.connect("bob", to: "broken").post("one")
        let key = try self.key(kind, of: "broken")
        try self.confab.crash()
        try self.overwrite(key)
        // A node without the conversation in memory.
        let next = try ConfabServer(["--store", self.redis.url, "--node-id", "n2", "--loops", "1"])
        try next.awaitEviction()
        for user in ["bob", "carol"] {
            let closeEvent = try next.connect(user, to: "broken").closeEvent()
            #expect(
                closeEvent
                    == .close(code: 1011, reason: "the stored data of this conversation is damaged")
            )
        }
        let token = try ConfabServer.token(for: "bob")
        let reply = try HTTPReply.get(
            "/api/conversations/broken", port: next.port,
            fields: ["Authorization": "Bearer \(token)"])
        #expect(
            reply.status == 500 && reply.body.contains("room_id: \(Self.damagedError)"),
            "\(reply.body)")
        let outsiderToken = try ConfabServer.token(for: "eve", conversations: [])
        let agent = try RawWebSocketClient.refusal(
            of: "/v1/ws?channel_id=broken&token=\(outsiderToken)", port: next.port)
        #expect(
            agent.status == 500 && agent.body.contains("channel_id: \(Self.damagedError)"),
            "\(agent.body)")
        // A connection with several conversations stays open.
        let pets = try RawWebSocketClient("/ws/?token=\(token)", port: next.port)
        try pets.send(
            #"{"event":"message","data":{"conversation_id":"lobby","content":"from Pets"}}"#)
        while case .text(let text) = try pets.next(), !text.contains("message_sent") {}
        try next.connect("alice", to: "lobby").post("still well")
        let line = try next.process.errors.line("why") {
            $0.contains("WRONGTYPE") || $0.contains("the Redis key")
        }
        let shard = key.dropFirst("confab:{s".count).prefix { $0 != "}" }
        let cause =
            kind == "lease"
            ? "shard \(shard): A Redis key holds a value of another type"
            : "default/broken: the Redis key \(key) is not a "
        #expect(line.contains(cause), "\(line)")
    }

    @Test(
        "rejects sends at once with a reason, and recovers when it is repaired", .long,
        arguments: ["conv", "log"])
    func damagedWhileOpen(kind: String) throws {
        let bob = try self.confab.connect("bob", to: "broken")
        try bob.post("one")
        let key = try self.key(kind, of: "broken")
        try self.redis.execute("COPY", key, "kept")
        try self.overwrite(key)
        for number in 1...2 {
            try bob.sendMessage("two", as: "two \(number)")
            let refusal = try bob.next("message.failed")
            #expect(refusal["local_id"] == "two \(number)")
            #expect(refusal["error"] == Self.damagedError)
        }
        try self.lobbyClient.post("still well")

        try self.redis.execute("COPY", "kept", key, "REPLACE")
        try bob.post("two", as: "two 1")
        #expect(try bob.wholeHistory().map { $0["content"] } == ["one", "two"])
    }

    @Test("returns no page across a gap in its stream, and all other pages", .long)
    func hole() throws {
        let bob = try self.confab.connect("bob", to: "broken")
        for number in 1...6 { try bob.post("\(number)") }
        try self.redis.execute("XDEL", self.key("log", of: "broken"), "4-0")
        for (after, limit, isWhole) in [
            (0, 3, true), (0, 4, false), (3, 2, false), (4, 2, true), (1, 4, false),
        ] {
            try bob.send(#"{"action":"fetch_messages","after_id":"\#(after)","limit":\#(limit)}"#)
            let answer = try Deadline.wait(for: "an answer") {
                let answer = try bob.next()
                return ["messages_fetched", "error"].contains(answer["type"]) ? answer : nil
            }
            #expect((answer["type"] == "messages_fetched") == isWhole, "after \(after): \(answer)")
        }
    }
}
