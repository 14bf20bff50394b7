import Foundation
import TestKit
import TestTraits
import Testing

/// Reactions, replies, mentions, pins and search on real servers, also in the middle of faults.
@Suite("Message features", .programs, .serialized, .ownThread)
struct MessageFeatureTests {
    private func react(
        _ client: ConversationClient, to id: String, _ emoji: String, on isOn: Bool = true
    ) throws {
        try client.send(
            #"{"action":"react","message_id":"\#(id)","emoji":"\#(emoji)","on":\#(isOn)}"#)
    }

    /// The reactions in a frame or a fetched message: emoji, users and a mark for the own one.
    private func reactions(_ fields: JSONObject) -> [String] {
        (fields.objects("reactions") ?? []).map {
            "\($0["emoji"] ?? "") \(($0.strings("users") ?? []).joined(separator: ","))"
                + ($0.bool("mine") == true ? " mine" : "")
        }
    }

    private func fetch(_ id: Int, by client: ConversationClient) throws -> JSONObject {
        let page = try client.history(#""before_id":"\#(id + 1)","limit":1"#)
        return try #require(page.first)
    }

    @Test(
        "are stored by every store and survive a crash of the node",
        arguments: [true, false])
    func crash(isRedis: Bool) throws {
        let redis = isRedis ? try RedisServer() : nil
        let options = redis.map { ["--store", $0.url] }
        let folder = try TemporaryFolder()
        func start() throws -> ConfabServer {
            if let options { return try ConfabServer(options) }
            return try ConfabServer(store: .sqlite, in: folder)
        }
        var server = try start()
        var ann = try server.connect("ann")
        let bob = try server.connect("bob")
        try bob.synchronize()
        _ = try ann.post("first")
        try ann.send(
            #"{"action":"send_message","content":"answer","reply_to":"1","mentions":["bob","eve"]}"#
        )
        let reply = try #require(try ann.next("chat_message").object("message"))
        #expect(reply["reply_to"] == "1" && reply["thread"] == "1")
        #expect(reply.strings("mentions") == ["bob"] && reply.strings("not_members") == ["eve"])
        try self.react(ann, to: "1", "👍")
        #expect(try ann.next("reacted").number("rev") != nil)
        try self.react(bob, to: "1", "👍")
        _ = try bob.next("reacted")
        try ann.send(#"{"action":"pin","message_id":"1"}"#)
        #expect(try bob.next("pinned").object("message")?["id"] == "1")
        try ann.send(#"{"action":"edit_message","message_id":"1","content":"erste"}"#)
        _ = try ann.next("message.edited")

        try server.crash()
        server = try start()
        if isRedis { try server.awaitEviction() }
        ann = try server.connect("ann")
        let first = try self.fetch(1, by: ann)
        #expect(first["content"] == "erste")
        #expect(self.reactions(first) == ["👍 ann,bob mine"])
        #expect(first.number("replies") == 1 && first["last_reply_id"] == "2")
        #expect(first.object("pinned")?["by"] == "ann")
        let answer = try self.fetch(2, by: ann)
        #expect(answer.object("reply_excerpt")?["content"] == "erste")
        try ann.send(#"{"action":"pins"}"#)
        #expect(try ann.next("pins").objects("messages")?.map { $0["content"] } == ["erste"])
        try ann.send(#"{"action":"search","text":"ERS"}"#)
        #expect(try ann.next("search_results").objects("messages")?.map { $0["id"] } == ["1"])
        try ann.send(#"{"action":"delete_message","message_id":"1"}"#)
        _ = try ann.next("message.deleted")
        try ann.send(#"{"action":"search","text":"erste"}"#)
        #expect(try ann.next("search_results").objects("messages")?.isEmpty == true)
        let deleted = try self.fetch(1, by: ann)
        #expect(deleted.objects("reactions") == nil && deleted.object("pinned") == nil)
    }

    @Test("reach clients that resume at another node after the owner was killed")
    func killedOwner() throws {
        let redis = try RedisServer()
        let nodes = try ["n1", "n2"].map {
            try ConfabServer(["--store", redis.url, "--node-id", $0])
        }
        try nodes[0].awaitShardBalance(of: 2)
        // Only an existing conversation has an owner.
        try nodes[0].connect("zoe").synchronize()
        let owner = try confab("owner", "lobby", "--output", "json", at: nodes[0].adminPort)
            .document["owner"]
        let (dying, surviving) = owner == "n1" ? (nodes[0], nodes[1]) : (nodes[1], nodes[0])
        let ann = try surviving.connect("ann")
        let bob = try dying.connect("bob")
        try bob.synchronize()
        for content in ["one", "two"] { try ann.post(content) }
        let seen = Int(try #require(ann.post("three").number("rev")))
        // The second reaction to each message waits for its interval when the owner dies. Its node
        // sends it to the next owner.
        for id in ["1", "2"] {
            try self.react(ann, to: id, "👍")
            try self.react(ann, to: id, "🎉")
        }
        _ = try ann.next("reacted")
        try dying.crash()
        for _ in 0..<3 { _ = try ann.next("reacted") }
        try ann.send(#"{"action":"pin","message_id":"2"}"#)
        _ = try ann.next("pinned")
        for id in [1, 2] {
            #expect(
                try Set(self.reactions(self.fetch(id, by: ann))) == ["👍 ann mine", "🎉 ann mine"])
        }

        // A client that saw nothing of this gets the present state of each message once.
        let carol = try surviving.connect("carol", query: "after=3&rev=\(seen)")
        try ann.post("end")
        var changes: [String] = []
        while true {
            let frame = try carol.next()
            if frame.object("message")?["content"] == "end" { break }
            guard let type = frame["type"], frame.number("rev") != nil else { continue }
            changes.append(
                "\(type) \(frame["message_id"] ?? frame.object("message")?["id"] ?? "") "
                    + "\(self.reactions(frame).count)")
        }
        #expect(changes.sorted() == ["pinned 2 0", "reactions 1 2", "reactions 2 2"])
    }

    @Test("to one message from two nodes at once are all stored, in few events", .long)
    func concurrentReactions() throws {
        let redis = try RedisServer()
        let nodes = try ["n1", "n2"].map {
            try ConfabServer(["--store", redis.url, "--node-id", $0])
        }
        try nodes[0].awaitShardBalance(of: 2)
        let ann = try nodes[0].connect("ann")
        try ann.post("vote")
        let voters = try (0..<20).map { try nodes[$0 % 2].connect("voter-\($0)") }
        for voter in voters { try voter.synchronize() }
        try ann.synchronize()
        for voter in voters { try self.react(voter, to: "1", "👍") }
        for voter in voters { _ = try voter.next("reacted") }
        // The last event has all reactions.
        var counts: [Int] = []
        while counts.last != 20 {
            let event = try ann.next("reactions")
            counts.append(Int(event.objects("reactions")?.first?.number("count") ?? 0))
        }
        #expect(counts.count < 20)
        #expect(counts == counts.sorted())
        #expect(
            try self.fetch(1, by: ann).objects("reactions")?.first?.number("count") == 20)
    }

    @Test("continue after Redis was killed in the middle of a burst of reactions", .long)
    func killedRedis() throws {
        let redis = try RedisServer(["--appendonly", "yes", "--appendfsync", "always"])
        let server = try ConfabServer(["--store", redis.url])
        let ann = try server.connect("ann")
        try ann.post("one")
        try self.react(ann, to: "1", "👍")
        _ = try ann.next("reacted")
        try redis.crash()
        for number in 0..<5 { try self.react(ann, to: "1", ":e\(number):") }
        try redis.restart(["--appendonly", "yes", "--appendfsync", "always"])
        // Each of the requests is answered: it is stored, or it failed.
        var stored: Set<String> = ["👍"]
        for number in 0..<5 {
            let answer = try ann.next()
            var frame = answer
            while frame["type"] != "reacted" && frame["type"] != "error" {
                frame = try ann.next()
            }
            if frame["type"] == "reacted" { stored.insert(":e\(number):") }
        }
        try self.react(ann, to: "1", "🎉")
        _ = try ann.next("reacted")
        let emoji = try Set(self.fetch(1, by: ann).objects("reactions")!.compactMap { $0["emoji"] })
        #expect(emoji.contains("👍") && emoji.contains("🎉"))
        #expect(emoji.count >= stored.count)
    }

    @Test("are in REST: reactions, pins, threads, and a search in all conversations of a user")
    func overREST() throws {
        let server = try ConfabServer()
        let ann = try RESTClient("ann", at: server)
        let eve = try RESTClient("eve", at: server)
        let room = try ann.create()
        let other = try ann.create()
        for (place, content) in [(room, "apple pie"), (room, "plum"), (other, "Apple juice")] {
            // A search has no order for messages of two conversations in one millisecond.
            usleep(2000)
            #expect(try ann.send(content, to: place).status == 201)
        }
        let sent = try ann.request(
            "POST", "/\(room)/messages", #"{"content":"yes","reply_to":"1","mentions":"all"}"#)
        let message = try #require(try JSONObject(sent.body).object("message"))
        #expect(message["thread"] == "1" && message["mentions"] == "all")
        let heart = "/\(room)/messages/1/reactions/%E2%9D%A4%EF%B8%8F"
        let put = try ann.request("PUT", heart)
        #expect(put.status == 200)
        #expect(try self.reactions(JSONObject(put.body)) == ["❤ ann mine"])
        #expect(try ann.request("PUT", heart).body == put.body)
        #expect(try self.reactions(JSONObject(ann.request("DELETE", heart).body)) == [])
        #expect(try ann.request("PUT", "/\(room)/messages/1/reactions/no").status == 400)
        #expect(try ann.request("PUT", "/\(room)/messages/9/reactions/:x:").status == 404)
        #expect(try eve.request("PUT", heart).status == 403)

        #expect(try ann.request("PUT", "/\(room)/messages/2/pin").status == 200)
        let pins = try JSONObject(ann.request("GET", "/\(room)/pins").body)
        #expect(pins.objects("messages")?.map { $0["content"] } == ["plum"])
        #expect(try ann.request("DELETE", "/\(room)/messages/2/pin").status == 200)
        #expect(try ann.request("DELETE", "/\(room)/messages/2/pin").status == 404)

        let thread = try JSONObject(ann.request("GET", "/\(room)/messages?thread=1").body)
        #expect(thread.objects("messages")?.map { $0["id"] } == ["1", "3"])
        let found = try JSONObject(ann.request("GET", "/\(room)/messages?search=app").body)
        #expect(found.objects("messages")?.map { $0["id"] } == ["1"])
        #expect(try ann.request("GET", "/\(room)/messages?search=*").status == 400)

        func searchAll(_ token: String) throws -> JSONObject {
            try JSONObject(
                HTTPReply.get(
                    "/api/search?text=apple", port: server.port,
                    fields: ["Authorization": "Bearer \(token)"]
                ).body)
        }
        let all = try searchAll(ann.token)
        #expect(
            all.objects("results")?.map { $0.object("message")?["content"] } == [
                "Apple juice", "apple pie",
            ])
        #expect(all.bool("incomplete") == false)
        #expect(try searchAll(eve.token).objects("results")?.isEmpty == true)
        #expect(try HTTPReply.get("/api/search?text=apple", port: server.port).status == 401)
    }

    @Test("of a conversation whose creator keeps the pins are refused for other members", .long)
    func pinPolicy() throws {
        let server = try ConfabServer()
        let ann = try RESTClient("ann", at: server)
        let bob = try RESTClient("bob", at: server)
        let created = try ann.request("POST", "/create", #"{"title":"T","pin_policy":"creator"}"#)
        let room = try #require(try JSONObject(created.body)["room_id"])
        #expect(
            try ann.request("POST", "/create", #"{"title":"T","pin_policy":"x"}"#).status == 400)
        #expect(
            try ann.request("POST", "/\(room)/members", #"{"user_id":"bob"}"#).status == 201)
        #expect(try ann.send("one", to: room).status == 201)
        #expect(try bob.request("PUT", "/\(room)/messages/1/pin").status == 403)
        #expect(try ann.request("PUT", "/\(room)/messages/1/pin").status == 200)
        #expect(try bob.request("DELETE", "/\(room)/messages/1/pin").status == 403)
    }

    @Test("count unread mentions next to unread messages", .long)
    func unreadMentions() throws {
        let server = try ConfabServer()
        let ann = try server.connect("ann")
        let bob = try server.connect("bob")
        try bob.synchronize()
        try ann.post("no mention")
        try ann.send(#"{"action":"send_message","content":"x","mentions":["bob"]}"#)
        try ann.send(#"{"action":"send_message","content":"y","mentions":"all"}"#)
        for _ in 0..<2 { _ = try ann.next("chat_message") }
        let chats = try RawWebSocketClient(
            "/ws/chats/?token=\(ConfabServer.token(for: "bob"))", port: server.port)
        try chats.send(#"{"type":"getChats","data":{}}"#)
        let deadline = Deadline()
        while true {
            guard case .text(let text) = try chats.next(within: deadline.remaining) else {
                throw TestFailure("the connection ended")
            }
            guard text.contains("chatsList") else { continue }
            #expect(text.contains(#""unread_count":3,"unread_mentions":2"#), "\(text)")
            break
        }
    }
}
