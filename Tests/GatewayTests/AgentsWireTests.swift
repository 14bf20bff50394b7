import Bytes
import ChatModel
import EventLoop
import GatewayTestSupport
import Identity
import TestKit
import TestTraits
import Testing

@testable import Gateway

@Suite("Agents on a node", .ownThread)
struct AgentsWireTests {
    private func node(history: Int = 10_000) throws -> TestNode {
        try TestNode(history: history, dialects: TestNode.allDialects) {
            $0.live.limits.allowEverything()
        }
    }

    /// Connects an agent, optionally one that another user acts as.
    private func connect(
        _ agent: String, as user: String? = nil, channel: String? = nil, at node: TestNode
    ) throws -> FrameClient {
        let claims = Claims(
            subject: user ?? agent, agent: agent, grants: .all,
            expiry: Timestamp(milliseconds: WallClock.now.milliseconds + 3_600_000))
        let token = try TokenSigner(secret: TestNode.secret).sign(claims)
        return try FrameClient(
            "/v1/ws?token=\(token)\(channel.map { "&channel_id=\($0)" } ?? "")", port: node.port)
    }

    private func send(_ content: String, to agent: String, by client: FrameClient) throws {
        try client.request(
            #"{"type":"message","to":"\#(agent)","content":"\#(content)"}"#, for: "ACK")
    }

    /// The contents of the messages up to this one.
    private func receive(until last: String, by client: FrameClient) throws -> [String] {
        var contents: [String] = []
        while contents.last != last {
            contents.append(try #require(try client.next("message")["content"]))
        }
        return contents
    }

    /// Returns when every pending ping, and the one after it, has been answered and the answers
    /// have been processed.
    private func exchangePings(_ client: FrameClient) throws {
        for _ in 1...3 { try client.request(#"{"type":"nonsense"}"#, for: "ERROR") }
    }

    @Test("a refused upgrade names the scheme of authorization")
    func challenge() throws {
        let node = try self.node()
        for query in ["", "?token=x", "?token=a.b.c%0A"] {
            let stream = try ByteStream(port: node.port)
            try stream.send(TestNode.upgradeRequest("/v1/ws\(query)"))
            let reply = try HTTPReply(from: stream)
            #expect(reply.status == 401)
            #expect(reply.fields["www-authenticate"] == "Bearer")
            if query.hasSuffix("%0A") { #expect(reply.body.contains("line break")) }
        }
    }

    @Test("an agent that was offline gets its messages in sending order, once")
    func missedMessages() throws {
        let node = try self.node()
        let ann = try self.connect("ann", at: node)
        let names = (1...20).map { "message \($0)" }
        for name in names { try self.send(name, to: "bob", by: ann) }
        let bob = try self.connect("bob", at: node)
        #expect(try self.receive(until: "message 20", by: bob) == names)
        try self.exchangePings(bob)
        bob.socket.dropConnection()
        let again = try self.connect("bob", at: node)
        try self.send("marker", to: "bob", by: ann)
        #expect(try self.receive(until: "marker", by: again) == ["marker"])
    }

    @Test("a connection that breaks before it answers the ping gets the same messages again")
    func brokenConnection() throws {
        let node = try self.node()
        let ann = try self.connect("ann", at: node)
        for name in ["one", "two"] { try self.send(name, to: "bob", by: ann) }
        for _ in 1...2 {
            let bob = try self.connect("bob", at: node)
            bob.socket.stopAnsweringPings()
            #expect(try self.receive(until: "two", by: bob) == ["one", "two"])
            try self.exchangePings(bob)
            bob.socket.dropConnection()
        }
        let bob = try self.connect("bob", at: node)
        #expect(try self.receive(until: "two", by: bob) == ["one", "two"])
    }

    @Test("an agent's messages are delivered once, even if another user acts as it next")
    func shared() throws {
        let node = try self.node()
        let ann = try self.connect("ann", at: node)
        for name in ["one", "two"] { try self.send(name, to: "helper", by: ann) }
        let first = try self.connect("helper", as: "bob", at: node)
        #expect(try self.receive(until: "two", by: first) == ["one", "two"])
        try self.exchangePings(first)
        let second = try self.connect("helper", as: "cid", at: node)
        try self.send("three", to: "helper", by: ann)
        #expect(try self.receive(until: "three", by: second) == ["three"])
        #expect(try self.receive(until: "three", by: first) == ["three"])
    }

    @Test(
        "truncated direct messages are reported without a message id of the channel"
    )
    func truncated() throws {
        let node = try self.node(history: 10)
        let ann = try self.connect("ann", at: node)
        for number in 1...30 { try self.send("message \(number)", to: "bob", by: ann) }
        let bob = try self.connect("bob", channel: "c", at: node)
        let error = try bob.next("ERROR")
        #expect(error["error"] == "direct messages truncated: the oldest are not kept any more")
        #expect(error.number("oldest_id") == nil)
        let received = try self.receive(until: "message 30", by: bob)
        #expect(received == (21...30).map { "message \($0)" })
    }

    @Test(
        "an admin joins only what its grants allow, and otherwise gets 403 before the upgrade"
    )
    func admins() throws {
        let node = try self.node()
        // One closed conversation and one open one.
        try node.conversationClient("ann", in: "closed").post("secret")
        let chats = try FrameClient("/ws/chats/?token=\(TestNode.token("ann"))", port: node.port)
        let created = try chats.request(#"{"type":"createEmptyChat"}"#, for: "emptyChatCreated")
        let open = Int(try #require(created.object("data")?.number("id")))
        func status(_ path: String, _ grants: Grants = .none) throws -> Int {
            let token = try TestNode.token("root", grants: grants, isAdmin: true)
            let path = "\(path)\(path.contains("?") ? "&" : "?")token=\(token)"
            let stream = try ByteStream(port: node.port)
            try RawWebSocketClient.requestUpgrade(path, port: node.port, on: stream)
            return try HTTPReply(from: stream, within: Deadline.defaultTimeout).status
        }
        let path = "/v1/ws/tenant/default/agent/root/channel"
        #expect(try status("/v1/ws?channel_id=closed") == 403)
        #expect(try status("\(path)/closed") == 403)
        #expect(try status("/v1/ws?channel_id=nowhere") == 403)
        #expect(try status("\(path)/\(open)") == 403)
        #expect(try status("/v1/ws?channel_id=\(open)") == 101)
        // The admin is a member since the request above.
        #expect(try status("\(path)/\(open)") == 101)
        #expect(try status("\(path)/closed", .listed(["closed"])) == 101)

        // In Chats an admin reads the chats that it has joined.
        let other = try FrameClient(
            "/ws/chats/?token=\(TestNode.token("eve", grants: .none, isAdmin: true))",
            port: node.port)
        for (request, id, sentence) in [
            ("getChatDetails", "\"closed\"", "no such chat"),
            ("getChatMessages", "\"closed\"", "no such chat"),
            ("getChatDetails", "\(open)", "not a member of this conversation"),
        ] {
            let error = try other.request(
                #"{"type":"\#(request)","data":{"chatId":\#(id)}}"#, for: "error")
            #expect(error.object("data")?["message"] == "chatId: \(sentence)")
        }
    }

    @Test(
        "an offline user is listed by its agent with every protocol, even after a restart",
        arguments: ["/ws/chats/", "/ws/", "rooms"])
    func offline(_ path: String) throws {
        let folder = try TemporaryFolder()
        func node() throws -> TestNode {
            try TestNode(store: .sqlite, in: folder, dialects: TestNode.allDialects)
        }
        let claims = Claims(
            subject: "bob", agent: "helper", grants: .listed(["c"]),
            expiry: Timestamp(milliseconds: WallClock.now.milliseconds + 3_600_000))
        let token = try TokenSigner(secret: TestNode.secret).sign(claims)
        func list(by client: FrameClient) throws -> [String] {
            let list =
                try client.request(#"{"type":"status_query"}"#, for: "status_list").objects(
                    "agents") ?? []
            return list.map { "\($0["agent_id"] ?? "") \($0["status"] ?? "")" }
        }
        do {
            let node = try node()
            let ann = try self.connect("ann", channel: "c", at: node)
            #expect(try list(by: ann) == ["ann online"])
            let bob: RawWebSocketClient
            if path == "rooms" {
                bob = try RawWebSocketClient(
                    "/socket.io/?EIO=4&transport=websocket&token=\(token)", port: node.port)
                try bob.send("40")
                try bob.send(#"42["join_room",{"room_id":"c"}]"#)
            } else {
                bob = try RawWebSocketClient("\(path)?token=\(token)", port: node.port)
            }
            let status = try ann.next("status")
            #expect(status["agent_id"] == "helper")
            bob.dropConnection()
            let gone = try ann.next("status")
            #expect([gone["agent_id"], gone["status"]] == ["helper", "offline"])
            #expect(try list(by: ann) == ["ann online", "helper offline"])
        }
        let again = try node()
        #expect(
            try list(by: self.connect("ann", channel: "c", at: again)) == [
                "ann online", "helper offline",
            ])
    }
}
