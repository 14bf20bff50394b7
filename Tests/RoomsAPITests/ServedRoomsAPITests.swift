import Bytes
import ChatModel
import Configuration
import ConversationsDialect
import Gateway
import GatewayTestSupport
import Identity
import PetsDialect
import RoomsAPI
import SeededRandom
import TestKit
import TestTraits
import Testing

@Suite("The served REST API", .ownThread)
struct ServedRoomsAPITests {
    @Test(
        "creates, joins, reads and ends a conversation, as documented",
        arguments: TestNode.EmbeddedStoreKind.allCases)
    func lifecycle(store: TestNode.EmbeddedStoreKind) throws {
        let node = try ServedNode(store: store)
        let created = try node.post(
            "/create",
            #"{"title":"My Conversation","description":"A test conversation","user_id":"user123"}"#)
        #expect(created.status == 201)
        let room = try JSONObject(created.body)
        let id = try #require(room["room_id"])
        #expect(room["link"] == "http://127.0.0.1:\(node.port)/conversation/\(id)")
        let behindProxy = try node.post(
            "/create", #"{"title":"Tea"}"#,
            fields: ["X-Forwarded-Proto": "https", "Host": "chat.test"])
        #expect(
            try JSONObject(behindProxy.body)["link"]?.hasPrefix("https://chat.test/conversation/")
                == true)
        #expect(room.object("conversation")?["created_by"] == "user123")
        #expect(room.object("conversation")?["description"] == "A test conversation")
        let joined = try node.post("/\(id)/join", #"{"user_id":"user456","username":"John Doe"}"#)
        #expect(joined.status == 200)
        #expect(try JSONObject(joined.body).object("participant")?["username"] == "John Doe")
        #expect(
            try JSONObject(joined.body).object("conversation")?.objects("participants")?.count == 2)
        // A user of another protocol enters and posts more messages than the response contains.
        let bob = try node.client("bob", in: id)
        for number in 1...60 { try bob.post("message \(number)") }
        let conversation = try JSONObject(node.get("/\(id)").body)
        #expect(conversation.objects("messages")?.map { $0["id"] } == (11...60).map { "\($0)" })
        #expect(conversation.object("conversation")?.number("message_count") == 60)
        let bobs = conversation.object("conversation")?.objects("participants")?.first {
            $0["user_id"] == "bob"
        }
        #expect(bobs?.bool("online") == true)
        // Conversations created in the same millisecond are ordered by their ids.
        #expect(try node.page("limit=2").ids.contains(id))
        // Only the creator may end it, and claiming the id of a token's user is not enough.
        #expect(try node.post("/\(id)/end", #"{"user_id":"user456"}"#).status == 403)
        #expect(try node.post("/\(id)/end", #"{}"#, by: "user123").status == 403)
        #expect(try node.post("/\(id)/end", #"{"user_id":"user123"}"#).body == #"{"success":true}"#)
        #expect(try node.post("/\(id)/end", #"{"user_id":"user123"}"#).status == 410)
        #expect(try node.post("/\(id)/join", #"{"user_id":"eve","username":"Eve"}"#).status == 410)
        #expect(try !node.page("").ids.contains(id))
        let over = try node.get("/\(id)")
        #expect(over.status == 200)
        #expect(try JSONObject(over.body).object("conversation")?.bool("is_active") == false)
    }

    @Test("is ended by the creator's id only if no proxy reports a client on another machine")
    func creatorBehindProxy() throws {
        let node = try ServedNode()
        let body = #"{"user_id":"ann"}"#
        for address in ["203.0.113.7", "127.0.0.1, 203.0.113.7", "203.0.113.7, 127.0.0.1"] {
            let id = try node.create(by: "ann")
            let refused = try node.post("/\(id)/end", body, fields: ["X-Forwarded-For": address])
            #expect(refused.status == 403, "\(address)")
            #expect(refused.body.contains("to name the creator is not enough"), "\(refused.body)")
            #expect(
                try node.post("/\(id)/end", body, fields: ["X-Forwarded-For": "127.0.0.1"]).status
                    == 200)
        }
        // The node cannot tell the clients of a proxy that it does not know from local ones.
        let unknown = try ServedNode { $0.settings.trustedProxies = [] }
        let id = try unknown.create(by: "ann")
        let ended = try unknown.post("/\(id)/end", body, fields: ["X-Forwarded-For": "203.0.113.7"])
        #expect(ended.status == 200)
    }

    @Test("returns links without a host that another party could have written")
    func links() throws {
        let node = try ServedNode()
        func link(_ fields: [String: String] = [:], at node: ServedNode) throws -> String {
            let reply = try node.post("/create", #"{"title":"Tea"}"#, fields: fields)
            guard reply.status == 201, let link = try JSONObject(reply.body)["link"] else {
                throw TestFailure("\(reply)")
            }
            return String(link.split(separator: "/conversation/", maxSplits: 1)[0])
        }
        let own = "http://127.0.0.1:\(node.port)"
        let foreign = [
            "evil.example", "evil.example:\(node.port)", "localhost.evil.example",
            "127.0.0.1.evil.example", "203.0.113.7:80",
        ]
        for host in foreign {
            #expect(try link(["Host": host], at: node) == own, "\(host)")
        }
        #expect(try link(at: node) == own)
        #expect(
            try link(["Host": "localhost:\(node.port)"], at: node)
                == "http://localhost:\(node.port)")
        #expect(try link(["Host": "LocalHost:4242"], at: node) == "http://LocalHost:4242")
        #expect(try link(["Host": "[::1]:9"], at: node) == "http://[::1]:9")
        // A trusted proxy forwards the client's request.
        let proxied = ["X-Forwarded-For": "203.0.113.7", "Host": "chat.test"]
        #expect(try link(proxied, at: node) == "http://chat.test")
        #expect(
            try link(proxied.merging(["X-Forwarded-Proto": "wss, http"]) { $1 }, at: node)
                == "https://chat.test")
        let twice = [
            "X-Forwarded-Proto": "https", "X-Forwarded-Host": "chat.test:8443, inner",
            "Host": "node-7",
        ]
        #expect(try link(twice, at: node) == "https://chat.test:8443")
        #expect(
            try link(["X-Forwarded-Host": "evil/?\"", "Host": "chat.test"], at: node)
                == "http://chat.test")
        // The headers of an untrusted proxy are ignored.
        let untrusted = try ServedNode { $0.settings.trustedProxies = [] }
        for fields in [proxied, twice, ["X-Forwarded-Host": "evil.example"]] {
            #expect(try link(fields, at: untrusted) == "http://127.0.0.1:\(untrusted.port)")
        }
    }

    @Test("shows closed conversations to members and listed tokens, and open ones to the tenant")
    func access() throws {
        let node = try ServedNode()
        let client = try node.client("ann", in: "closed")
        try client.post("secret")
        #expect(try node.get("/closed").status == 404)
        #expect(try node.get("/closed", by: "bob").status == 404)
        #expect(try node.post("/closed/join", "{}", by: "bob").status == 404)
        #expect(try node.get("/closed", by: "ann").status == 200)
        func reply(_ grants: Grants, isAdmin: Bool = false) throws -> Int {
            let token = try TestNode.token("carol", grants: grants, isAdmin: isAdmin)
            return try HTTPReply.get("\(ServedNode.root)/closed?token=\(token)", port: node.port)
                .status
        }
        #expect(try reply(.listed(["other"])) == 404)
        #expect(try reply(.listed(["closed"])) == 200)
        #expect(try reply(.all) == 200)
        #expect(try reply(.none, isAdmin: true) == 404)
        // A conversation of another protocol is not in the list.
        #expect(try node.page("").ids == [])
        #expect(try node.get("/none").status == 404)
        // An invalid token beside a valid one.
        let good = try TestNode.token("ann")
        #expect(try node.get("?token=\(good)").status == 200)
        #expect(try node.get("?token=\(good)&token=x").status == 401)
        #expect(try node.get("?token=x", by: "ann").status == 401)
        // Other authentication schemes belong to a proxy.
        #expect(try node.get("", fields: ["Authorization": "Basic YTpi"]).status == 200)
        #expect(
            try node.get("?token=\(good)", fields: ["Authorization": "Basic YTpi"]).status == 200)
        let member = try TestNode.token("ann", grants: .none)
        #expect(
            try node.get("/closed?token=\(member)", fields: ["Authorization": "Basic YTpi"]).status
                == 200)
        // The path does not matter for credentials: those of the previous request must not count.
        #expect(try node.get("/%FF").status == 404)
    }

    @Test("answers HEAD like GET without a body, and If-None-Match with 304")
    func conditions() throws {
        let node = try ServedNode()
        let id = try node.create()
        let whole = try node.get("/\(id)")
        let tag = try #require(whole.fields["etag"])
        let head = try HTTPReply.request("HEAD", "\(ServedNode.root)/\(id)", port: node.port)
        #expect(head.status == 200 && head.body.isEmpty)
        #expect(
            head.fields["content-length"] == "\(whole.body.utf8.count)"
                && head.fields["etag"] == tag)
        let same = try node.get("/\(id)", fields: ["If-None-Match": "\"x\", W/\(tag)"])
        #expect(same.status == 304 && same.body.isEmpty && same.fields["content-length"] == nil)
        #expect(
            same.fields["etag"] == tag && same.fields["cache-control"] == "private, no-cache"
                && same.fields["vary"] == "Origin")
        _ = try node.post("/\(id)/join", #"{"user_id":"bob","username":"Bob"}"#)
        #expect(try node.get("/\(id)", fields: ["If-None-Match": tag]).status == 200)
        let list = try node.get()
        #expect(list.fields["cache-control"] == "private, no-cache")
        let listTag = try #require(list.fields["etag"])
        #expect(try node.get(fields: ["If-None-Match": listTag]).status == 304)
        _ = try node.create("Coffee")
        #expect(try node.get(fields: ["If-None-Match": listTag]).status == 200)
    }

    @Test(
        "pages through the list without gaps or repeats while conversations are created and ended",
        arguments: 1...6)
    func pagingUnderChange(seed: UInt64) throws {
        let node = try ServedNode { $0.live.limits.allowEverything() }
        var random = SeededGenerator(seed: seed)
        var living = try (0..<24).map { try node.create("\($0)") }
        let first = Set(living)
        var ended: Set<String> = []
        var seen: [String] = []
        var cursor: String?
        repeat {
            let limit = random.number(1...6)
            let page = try node.page("limit=\(limit)" + (cursor.map { "&cursor=\($0)" } ?? ""))
            #expect(page.ids.count <= limit)
            seen += page.ids
            cursor = page.next
            for _ in 0..<random.number(0...2) { living.insert(try node.create("more"), at: 0) }
            for _ in 0..<random.number(0...2) where !living.isEmpty {
                let id = living.remove(at: random.next(below: living.count))
                try node.end(id)
                ended.insert(id)
            }
        } while cursor != nil
        #expect(Set(seen).count == seen.count, "listed twice")
        #expect(first.subtracting(ended).isSubset(of: seen), "omitted")
        #expect(Set(seen).isSubset(of: first), "newer conversations come before the first page")
        // Read again from the start: exactly the existing conversations, newest first.
        let all = try node.page("limit=100")
        #expect(Set(all.ids) == Set(living) && all.next == nil)
        let exact = try node.page("limit=\(all.ids.count)")
        #expect(exact.ids == all.ids && exact.next == nil)
        let created =
            try JSONObject(node.get("?limit=100").body).objects("conversations")?.compactMap {
                $0["created_at"]
            } ?? []
        #expect(created == created.sorted(by: >))
    }

    @Test("lists only conversations of the tenant")
    func tenants() throws {
        let node = try ServedNode()
        let id = try node.create()
        let token = try TokenSigner(secret: TestNode.secret).sign(
            Claims(subject: "ann", tenant: "acme", grants: .all))
        let fields = ["Authorization": "Bearer \(token)"]
        #expect(
            try JSONObject(node.get("", fields: fields).body).objects("conversations")?.isEmpty
                == true)
        #expect(try node.get("/\(id)", fields: fields).status == 404)
        #expect(try node.post("/create", #"{"title":"Theirs"}"#, fields: fields).status == 201)
        #expect(try node.page("").ids == [id])
    }

    @Test("returns errors in its own form even for requests that never reach it")
    func errorShapes() throws {
        let node = try ServedNode { setup in
            setup.live.limits.bodyBytes = 1000
            setup.live.limits.messageBurst = 3
            setup.live.limits.messagesPerSecond = 1
            setup.live.limits.body = .milliseconds(300)
        }
        func expect(_ reply: HTTPReply, _ status: Int, _ sentence: String) throws {
            #expect(reply.status == status)
            let body = try JSONObject(reply.body)
            #expect(
                body.bool("success") == false && body["error"]?.contains(sentence) == true,
                "\(body)")
            #expect(reply.fields["cache-control"] == "no-store" && reply.fields["vary"] == "Origin")
        }
        try expect(node.post("/create", String(repeating: " ", count: 1001)), 413, "1000 bytes")
        try expect(node.get("?x=%FF"), 400, "query")
        try expect(node.get("/x/y"), 404, "nothing at this path")
        let slow = try ByteStream(port: node.port)
        try slow.send(
            "POST \(ServedNode.root)/create HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\n{")
        try expect(HTTPReply(from: slow), 408, "in time")
        // The rate limit of one user.
        let eager = try ByteStream(port: node.port)
        let request =
            "GET \(ServedNode.root)/x/y HTTP/1.1\r\nHost: here\r\n"
            + "Authorization: Bearer \(try TestNode.token("eager"))\r\n\r\n"
        // Sent in one write, so that no time passes between the requests.
        try eager.send(String(repeating: request, count: 4))
        for number in 1...4 {
            let reply = try HTTPReply(from: eager)
            if number < 4 {
                #expect(reply.status == 404)
            } else {
                try expect(reply, 429, "rate limited")
            }
            if number == 4 { #expect(reply.fields["retry-after"] == "1") }
        }
        #expect(try node.get(by: "ann").status == 200)
        node.store.fail(.other)
        try expect(node.get(by: "bob"), 503, "try again")
        node.store.fail()
        node.gateway.refuseClients()
        try expect(node.get(by: "carol"), 503, "draining")
        try expect(.get("/api/elsewhere", port: node.port), 503, "draining")
        // Other paths are unaffected.
        #expect(
            try HTTPReply.get("/elsewhere", port: node.port).body
                == #"{"error":"The node is draining; connect again."}"#)
    }

    @Test("completes a pending request when the drain begins")
    func drain() throws {
        let node = try ServedNode()
        let id = try node.create()
        node.store.close(.write)
        let stream = try ByteStream(port: node.port)
        let body = #"{"user_id":"bob","username":"Bob"}"#
        try stream.send(
            """
            POST \(ServedNode.root)/\(id)/join HTTP/1.1\r\nHost: here\r\nContent-Type: \
            application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)
            """
        )
        try Deadline.wait(for: "the write", untilTrue: { node.store.blockedCount > 0 })
        node.gateway.drain(over: .milliseconds(100))
        #expect(!stream.isReadable(within: .milliseconds(300)))
        node.store.open()
        let reply = try HTTPReply(from: stream)
        #expect(reply.status == 200 && reply.fields["connection"] == "close")
    }
}
