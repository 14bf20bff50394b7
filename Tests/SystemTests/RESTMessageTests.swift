import TestKit
import TestTraits
import Testing

@Suite("A message that is sent over REST", .programs, .serialized, .ownThread)
struct RESTMessageTests {
    @Test(
        "reaches the clients of every protocol, as its changes do",
        arguments: TestRun.isLong ? [StoreDeployment.memory, .redis, .cluster] : [.redis])
    func everyProtocol(_ storeDeployment: StoreDeployment) throws {
        let deployment = try AnonymousDeployment(storeDeployment)
        let bot = try RESTClient("bot", at: deployment.guestServer, name: "Bot")
        let room = try bot.create()
        let readers = try ProtocolAdapter.all.map {
            try ProtocolConnection($0, "reader-\($0.name)", in: room, at: deployment.readerServer)
        }
        let sent = try bot.send("from a bot", to: room, as: "m-1")
        #expect(sent.status == 201)
        let message = try #require(try JSONObject(sent.body).object("message"))
        #expect(message["id"] == "1" && message["user_id"] == "bot" && message["username"] == "Bot")
        for reader in readers { try reader.awaitFrame("from a bot") }
        try readers[0].awaitFrame(#""sender_id":"bot","username":"Bot""#, #""local_id":"m-1""#)

        let edited = try bot.request("PATCH", "/\(room)/messages/1", #"{"content":"edited"}"#)
        #expect(edited.status == 200)
        try readers[0].awaitFrame("message.edited", #""content":"edited""#)
        try readers[3].awaitFrame("message.edited", #""content":"edited""#)
        let other = try RESTClient("eve", at: deployment.readerServer)
        #expect(try other.request("DELETE", "/\(room)/messages/1").status == 403)
        let admin = try RESTClient("root", at: deployment.readerServer, isAdmin: true)
        #expect(try admin.request("DELETE", "/\(room)/messages/1").status == 200)
        try readers[0].awaitFrame("message.deleted")
        #expect(try bot.request("PATCH", "/\(room)/messages/1", #"{"content":"x"}"#).status == 410)
        let history = try bot.history(of: room)
        #expect(history.map { $0.bool("is_deleted") } == [true])
    }

    @Test("is not shown to an admin that changes it without the right to read it")
    func unseen() throws {
        let server = try ConfabServer()
        let owner = try server.connect("owner", to: "plan")
        try owner.post("private words")
        let admin = try RESTClient("root", at: server, conversations: [], isAdmin: true)
        #expect(try admin.request("GET", "/plan").status != 200)
        for (method, path, body) in [
            ("PUT", "/plan/messages/1/pin", ""), ("DELETE", "/plan/messages/1/pin", ""),
            ("PATCH", "/plan/messages/1", #"{"content":"moderated"}"#),
            ("DELETE", "/plan/messages/1", ""),
        ] {
            let reply = try admin.request(method, path, body)
            #expect(reply.status == 200, "\(method) \(path): \(reply.body)")
            #expect(!reply.body.contains("words"), "\(reply.body)")
            #expect(try JSONObject(reply.body)["message_id"] == "1")
        }
        // With the right to read it, the answer has the message as before.
        try owner.post("more words")
        let reader = try RESTClient("root", at: server, conversations: ["plan"], isAdmin: true)
        let pinned = try reader.request("PUT", "/plan/messages/2/pin")
        #expect(pinned.body.contains("more words"))
    }

    @Test(
        "is stored once for one local_id, in whichever protocol and at whichever node it repeats",
        .long)
    func idempotent() throws {
        let deployment = try AnonymousDeployment(.redis)
        let east = try RESTClient("ann", at: deployment.guestServer)
        let west = try RESTClient("ann", at: deployment.readerServer)
        let room = try east.create()
        let first = try east.send("one", to: room, as: "a")
        #expect(first.status == 201)
        for client in [east, west] {
            let again = try client.send("another text", to: room, as: "a")
            #expect(again.status == 200)
            #expect(again.body == first.body)
        }
        let socket = try deployment.readerServer.connect("ann", to: room)
        try socket.sendMessage("once more", as: "a")
        #expect(try socket.next("chat_message").object("message")?["content"] == "one")
        let two = try socket.post("two", as: "b")
        let repeated = try west.send("two", to: room, as: "b")
        #expect(repeated.status == 200)
        #expect(
            try JSONObject(repeated.body).object("message")?["timestamp"] == two["timestamp"])

        // The id belongs to the user that an admin sends for.
        let admin = try RESTClient("root", at: deployment.readerServer, isAdmin: true)
        let forAnn = try admin.send("for Ann", to: room, as: "a", for: "ann")
        #expect(forAnn.status == 200 && forAnn.body == first.body)
        #expect(try admin.send("for Bob", to: room, as: "a", for: "bob").status == 201)
        #expect(try admin.send("own", to: room, as: "a").status == 201)
        #expect(try east.send("x", to: room, for: "bob").status == 403)
        #expect(
            try east.history(of: room).map { "\($0["user_id"] ?? "") \($0["content"] ?? "")" } == [
                "ann one", "ann two", "bob for Bob", "root own",
            ])
    }

    @Test("by a user without a token needs a name, a membership, or the token of a guest", .long)
    func guests() throws {
        let deployment = try AnonymousDeployment()
        let created = try JSONObject(deployment.post("/create", #"{"title":"Tea"}"#).body)
        let room = try #require(created["room_id"])
        func send(_ fields: String, token: String? = nil) throws -> HTTPReply {
            try deployment.post("/\(room)/messages", #"{"content":"Hi"\#(fields)}"#, token: token)
        }
        let gus = #","user_id":"gus","username":"Gus""#
        let refused = try send(gus)
        #expect(refused.status == 403)
        #expect(try JSONObject(refused.body)["outcome"] == "refused")
        let joined = try deployment.post("/\(room)/join", #"{"user_id":"gus","username":"Gus"}"#)
        let token = try #require(JSONObject(joined.body)["token"])
        #expect(try send(gus).status == 201)
        let sent = try send("", token: token)
        #expect(sent.status == 201)
        #expect(try JSONObject(sent.body).object("message")?.bool("guest") == true)
        #expect(try send("", token: created["token"]).status == 201)
        // The same name with a token is another user.
        let owner = try RESTClient("gus", at: deployment.guestServer, conversations: [])
        #expect(try owner.request("DELETE", "/\(room)/messages/1").status == 403)
        #expect(try deployment.post("/\(room)/end", "{}", token: created["token"]).status == 200)
        let ended = try send("", token: token)
        #expect(ended.status == 410)
        #expect(try JSONObject(ended.body)["outcome"] == "refused")
    }

    @Test("has an outcome in every error, also if it does not reach the chat")
    func outcomes() throws {
        let server = try ConfabServer([
            "--anonymous", "on", "--limit", "message-burst=1", "--limit", "messages-per-second=1",
            "--limit", "body-bytes=1024",
        ])
        let path = "\(RESTClient.root)/tea/messages"
        let stream = try ByteStream(port: server.port)
        let request =
            "POST \(path) HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            + "Content-Length: 2\r\n\r\n{}"
        try stream.send(request + request)
        let invalid = try HTTPReply(from: stream)
        #expect(invalid.status == 400 && invalid.body.hasSuffix(#""outcome":"refused"}"#))
        let limited = try HTTPReply(from: stream)
        #expect(limited.status == 429 && limited.fields["retry-after"] == "1")
        #expect(
            limited.body == #"{"success":false,"error":"rate limited","outcome":"refused"}"#)
        let long = try HTTPReply.post(path, String(repeating: " ", count: 1025), port: server.port)
        #expect(long.status == 413 && long.body.hasSuffix(#""outcome":"refused"}"#))
        let foreign = try HTTPReply.post(
            path, "{}", port: server.port, fields: ["Origin": "http://evil.test"])
        #expect(foreign.status == 403 && foreign.body.hasSuffix(#""outcome":"refused"}"#))
        // Reading is no send.
        let read = try HTTPReply.get(
            path + "?limit=0", port: server.port,
            fields: ["Authorization": "Bearer \(try ConfabServer.token(for: "bob"))"])
        #expect(read.status == 400 && !read.body.contains("outcome"))
    }

    @Test(
        "is stored exactly once if its owner is killed, with repeats until it is acknowledged",
        .long)
    func ownerDies() throws {
        let redis = try RedisServer()
        let servers = try ["n1", "n2"].map {
            try ConfabServer(["--store", redis.url, "--node-id", $0])
        }
        try servers[0].awaitShardBalance(of: 2)
        let bot = try RESTClient("bot", at: servers[0])
        // Half of them belong to the node that is killed.
        let rooms = try (0..<8).map { _ in try bot.create() }
        var ids: [String: [String]] = [:]
        var outcomes: Set<String> = []
        for number in 1...12 {
            for room in rooms {
                if number == 6, room == rooms[2] { try servers[1].crash() }
                let deadline = Deadline(within: .seconds(60))
                while true {
                    let reply = try bot.send("\(number)", to: room, as: "\(room)-\(number)")
                    if reply.status < 300 {
                        ids[room, default: []].append(
                            try #require(try JSONObject(reply.body).object("message")?["id"]))
                        break
                    }
                    #expect(reply.status == 503, "\(reply)")
                    outcomes.insert(try JSONObject(reply.body)["outcome"] ?? "none")
                    guard !deadline.isExpired else { throw TestFailure("\(room): \(reply)") }
                }
            }
        }
        #expect(outcomes.isSubset(of: ["refused", "unknown"]))
        let expected = (1...12).map { "\($0)" }
        for room in rooms {
            #expect(ids[room] == expected)
            #expect(try bot.history(of: room).map { $0["content"] } == expected)
            #expect(try bot.send("x", to: room, as: "\(room)-6").status == 200)
        }
        // The list shows the newest messages, which the new owners read from the store.
        let list = try bot.request("GET", "?limit=100")
        let conversations = try JSONObject(list.body).objects("conversations") ?? []
        #expect(
            conversations.map { $0.object("last_message")?["content"] } == rooms.map { _ in "12" })
    }
}
