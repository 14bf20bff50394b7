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
import Testing

/// A node that serves the API, over sockets.
final class ServedNode {
    static let root = "/api/conversations"

    private let node: TestNode
    var port: UInt16 { self.node.port }
    var gateway: Gateway { self.node.gateway }
    var store: StoreGate { self.node.store }

    init(
        loops: Int = 2, store: TestNode.StoreKind = .memory,
        _ change: (inout TestNode.NodeOptions) throws -> Void = { _ in }
    ) throws {
        let api = RoomsAPI()
        self.node = try TestNode(
            loops: loops, store: store, dialects: [ConversationsDialect(), PetsDialect()]
        ) { setup in
            setup.settings.allowsAnonymous = true
            setup.api = api
            try change(&setup)
        }
        api.open(self.node.gateway)
    }

    func get(_ path: String = "", by user: String? = nil, fields: [String: String] = [:]) throws
        -> HTTPReply
    {
        try .get(Self.root + path, port: self.port, fields: self.fields(user, fields))
    }

    func post(
        _ path: String, _ body: String, by user: String? = nil, fields: [String: String] = [:]
    ) throws -> HTTPReply {
        try .post(Self.root + path, body, port: self.port, fields: self.fields(user, fields))
    }

    /// Of a conversation that anybody makes.
    func create(_ title: String = "Tea", by user: String = "ann") throws -> String {
        let reply = try self.post(
            "/create", #"{"title":\#(jsonString(title)),"user_id":"\#(user)"}"#)
        guard reply.status == 201, let id = try JSONObject(reply.body)["room_id"] else {
            throw TestFailure(reply.body)
        }
        return id
    }

    func end(_ id: String, by user: String = "ann") throws {
        let reply = try self.post("/\(id)/end", #"{"user_id":"\#(user)"}"#)
        guard reply.status == 200 else { throw TestFailure(reply.body) }
    }

    func page(_ query: String) throws -> (ids: [String], next: String?) {
        let reply = try self.get("?\(query)")
        guard reply.status == 200 else { throw TestFailure(reply.body) }
        let body = try JSONObject(reply.body)
        return (
            try #require(body.objects("conversations")).compactMap { $0["room_id"] },
            body["next_cursor"]
        )
    }

    func client(_ user: String, in conversation: String) throws -> ConversationClient {
        try self.node.conversationClient(user, in: conversation)
    }

    private func fields(_ user: String?, _ fields: [String: String]) throws -> [String: String] {
        guard let user else { return fields }
        return fields.merging(["Authorization": "Bearer \(try TestNode.token(user, grants: .none))"]
        ) { $1 }
    }
}

@Suite("The REST API, served")
struct ServedRoomsAPITests {
    @Test(
        "is the document's story: made, joined, talked in, read, ended",
        arguments: TestNode.StoreKind.allCases)
    func lifecycle(store: TestNode.StoreKind) throws {
        let node = try ServedNode(store: store)
        let made = try node.post(
            "/create",
            #"{"title":"My Conversation","description":"A test conversation","user_id":"user123"}"#)
        #expect(made.status == 201)
        let room = try JSONObject(made.body)
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
        // Somebody of another protocol comes in and says more than is shown.
        let bob = try node.client("bob", in: id)
        for number in 1...60 { try bob.post("message \(number)") }
        let shown = try JSONObject(node.get("/\(id)").body)
        #expect(shown.objects("messages")?.map { $0["id"] } == (11...60).map { "\($0)" })
        #expect(shown.object("conversation")?.number("message_count") == 60)
        let bobs = shown.object("conversation")?.objects("participants")?.first {
            $0["user_id"] == "bob"
        }
        #expect(bobs?.bool("online") == true)
        // Two that are made in one millisecond stand in the order of their ids.
        #expect(try node.page("limit=2").ids.contains(id))
        // Who is not its creator may not end it, and whoever says to be a token's user is not that user.
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

    @Test("in links names no host that somebody else could have written")
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
        // A proxy that is believed says what the client asked for.
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
        // One that is not believed says nothing.
        let alone = try ServedNode { $0.settings.trustedProxies = [] }
        for fields in [proxied, twice, ["X-Forwarded-Host": "evil.example"]] {
            #expect(try link(fields, at: alone) == "http://127.0.0.1:\(alone.port)")
        }
    }

    @Test(
        "tells what is closed to its members and to tokens that list it, and what is open to its tenant"
    )
    func access() throws {
        let node = try ServedNode()
        let talker = try node.client("ann", in: "closed")
        try talker.post("secret")
        #expect(try node.get("/closed").status == 403)
        #expect(try node.get("/closed", by: "bob").status == 403)
        #expect(try node.post("/closed/join", "{}", by: "bob").status == 403)
        #expect(try node.get("/closed", by: "ann").status == 200)
        func reply(_ grants: Grants, isAdmin: Bool = false) throws -> Int {
            let token = try TestNode.token("carol", grants: grants, isAdmin: isAdmin)
            return try HTTPReply.get("\(ServedNode.root)/closed?token=\(token)", port: node.port)
                .status
        }
        #expect(try reply(.listed(["other"])) == 403)
        #expect(try reply(.listed(["closed"])) == 200)
        #expect(try reply(.all) == 200)
        #expect(try reply(.none, isAdmin: true) == 403)
        // It is no room, and so in no list.
        #expect(try node.page("").ids == [])
        #expect(try node.get("/none").status == 404)
        // A bad token beside a good one.
        let good = try TestNode.token("ann")
        #expect(try node.get("?token=\(good)").status == 200)
        #expect(try node.get("?token=\(good)&token=x").status == 401)
        #expect(try node.get("?token=x", by: "ann").status == 401)
        // What is no bearer token is a proxy's.
        #expect(try node.get("", fields: ["Authorization": "Basic YTpi"]).status == 200)
        #expect(
            try node.get("?token=\(good)", fields: ["Authorization": "Basic YTpi"]).status == 200)
        let member = try TestNode.token("ann", grants: .none)
        #expect(
            try node.get("/closed?token=\(member)", fields: ["Authorization": "Basic YTpi"]).status
                == 200)
        // The path has no say in whose credentials count: those of the request before are forgotten.
        #expect(try node.get("/%FF").status == 404)
    }

    @Test("answers HEAD as GET without a body, and If-None-Match with 304")
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
        #expect(try node.get().fields["cache-control"] == "no-store")
    }

    @Test(
        "pages through the list without a gap and without a repeat while conversations come and go",
        arguments: 1...6)
    func pagingUnderChange(seed: UInt64) throws {
        let node = try ServedNode { $0.live.limits.allowEverything() }
        var chance = SeededGenerator(seed: seed)
        var living = try (0..<24).map { try node.create("\($0)") }
        let first = Set(living)
        var ended: Set<String> = []
        var seen: [String] = []
        var cursor: String?
        repeat {
            let limit = chance.number(1...6)
            let page = try node.page("limit=\(limit)" + (cursor.map { "&cursor=\($0)" } ?? ""))
            #expect(page.ids.count <= limit)
            seen += page.ids
            cursor = page.next
            for _ in 0..<chance.number(0...2) { living.insert(try node.create("more"), at: 0) }
            for _ in 0..<chance.number(0...2) where !living.isEmpty {
                let id = living.remove(at: chance.next(below: living.count))
                try node.end(id)
                ended.insert(id)
            }
        } while cursor != nil
        #expect(Set(seen).count == seen.count, "shown twice")
        #expect(first.subtracting(ended).isSubset(of: seen), "left out")
        #expect(Set(seen).isSubset(of: first), "what is made later stands before where it began")
        // From the beginning again: exactly what is there, newest first.
        let all = try node.page("limit=100")
        #expect(Set(all.ids) == Set(living) && all.next == nil)
        let exact = try node.page("limit=\(all.ids.count)")
        #expect(exact.ids == all.ids && exact.next == nil)
        let made =
            try JSONObject(node.get("?limit=100").body).objects("conversations")?.compactMap {
                $0["created_at"]
            } ?? []
        #expect(made == made.sorted(by: >))
    }

    @Test("lists a tenant's own conversations only")
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

    @Test("refuses in its own shape what never reaches it")
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
        // So many of one connection, and no more; whoever asks anew may.
        let eager = try ByteStream(port: node.port)
        // All at once, so that no time passes between them, whatever else the machine does.
        try eager.send(
            String(repeating: "GET \(ServedNode.root)/x/y HTTP/1.1\r\nHost: here\r\n\r\n", count: 4)
        )
        for number in 1...4 {
            let reply = try HTTPReply(from: eager)
            if number < 4 {
                #expect(reply.status == 404)
            } else {
                try expect(reply, 429, "rate limited")
            }
            if number == 4 { #expect(reply.fields["retry-after"] == "1") }
        }
        #expect(try node.get().status == 200)
        node.store.fail(.other)
        try expect(node.get(), 503, "try again")
        node.store.fail()
        node.gateway.refuseClients()
        try expect(node.get(), 503, "draining")
        try expect(.get("/api/elsewhere", port: node.port), 503, "draining")
        // Elsewhere everything is as ever.
        #expect(
            try HTTPReply.get("/elsewhere", port: node.port).body
                == #"{"error":"The node is draining; connect again."}"#)
    }

    @Test("gives the answer that somebody waits for when the drain begins")
    func drain() throws {
        let node = try ServedNode()
        let id = try node.create()
        node.store.close(.write)
        let stream = try ByteStream(port: node.port)
        let body = #"{"user_id":"bob","username":"Bob"}"#
        try stream.send(
            "POST \(ServedNode.root)/\(id)/join HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
        )
        try Deadline.wait(for: "the write", untilTrue: { node.store.blockedCount > 0 })
        node.gateway.drain(over: .milliseconds(100))
        #expect(!stream.isReadable(within: .milliseconds(300)))
        node.store.open()
        let reply = try HTTPReply(from: stream)
        #expect(reply.status == 200 && reply.fields["connection"] == "close")
    }
}

@Suite("Pages of other origins")
struct CrossOriginRoomsAPITests {
    private static let page = "https://page.test"

    @Test("are let in where they are listed, read every answer, and are never told *")
    func answers() throws {
        let node = try ServedNode()
        let own = "http://127.0.0.1:\(node.port)"
        for origin in [Self.page, own, "HTTPS://PAGE.TEST"] {
            for reply in [
                try node.get("", fields: ["Origin": origin]),
                try node.get("/none", fields: ["Origin": origin]),
                try node.post("/create", "x", fields: ["Origin": origin]),
                try HTTPReply.get("/api/health", port: node.port, fields: ["Origin": origin]),
                try HTTPReply.get("/api/nothing", port: node.port, fields: ["Origin": origin]),
                try HTTPReply.get("/socket.io/", port: node.port, fields: ["Origin": origin]),
            ] {
                #expect(reply.fields["access-control-allow-origin"] == origin)
                #expect(reply.fields["vary"] == "Origin")
                #expect(reply.fields["access-control-expose-headers"]?.contains("ETag") == true)
                #expect(reply.fields["access-control-allow-credentials"] == "true")
            }
        }
        // Who names no origin is no page, and a cache must know even so.
        for reply in [
            try node.get(), try node.get("/none"),
            try HTTPReply.get("/api/health", port: node.port),
        ] {
            #expect(
                reply.fields["vary"] == "Origin"
                    && reply.fields["access-control-allow-origin"] == nil)
        }
        #expect(
            try HTTPReply.get("/nothing", port: node.port, fields: ["Origin": Self.page]).fields[
                "vary"] == nil)
    }

    @Test(
        "are refused where they are not",
        arguments: [
            "http://evil.test", "https://page.test.evil", "http://page.test", "null", "",
            "https://page.test/",
        ])
    func foreign(origin: String) throws {
        let node = try ServedNode()
        let refused = try node.post("/create", #"{"title":"Tea"}"#, fields: ["Origin": origin])
        #expect(refused.status == 403)
        #expect(try JSONObject(refused.body).bool("success") == false)
        #expect(try JSONObject(refused.body)["error"]?.hasPrefix("Origin: ") == true)
        #expect(
            refused.fields["access-control-allow-origin"] == nil
                && refused.fields["vary"] == "Origin")
        #expect(try node.page("").ids == [])
        let health = try HTTPReply.get("/api/health", port: node.port, fields: ["Origin": origin])
        #expect(health.status == 200 && health.fields["access-control-allow-origin"] == nil)
        #expect(
            try HTTPReply.get("/socket.io/?EIO=4", port: node.port, fields: ["Origin": origin])
                .status == 403)
    }

    @Test("ask first, and are answered without a token")
    func preflight() throws {
        let node = try ServedNode { $0.settings.allowsAnonymous = false }
        func ask(_ path: String, _ fields: [String: String]) throws -> HTTPReply {
            try .request("OPTIONS", path, port: node.port, fields: fields)
        }
        let wish = [
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization",
        ]
        for path in ["\(ServedNode.root)/create", "/socket.io/"] {
            let reply = try ask(path, wish.merging(["Origin": Self.page]) { $1 })
            #expect(
                reply.status == 204 && reply.body.isEmpty && reply.fields["content-length"] == nil)
            #expect(reply.fields["access-control-allow-origin"] == Self.page)
            #expect(reply.fields["access-control-allow-methods"] == "GET, HEAD, POST")
            #expect(
                reply.fields["access-control-allow-headers"]
                    == "authorization, content-type, if-none-match, x-requested-with")
            #expect(reply.fields["access-control-allow-credentials"] == "true")
            #expect(
                reply.fields["access-control-max-age"] == "600" && reply.fields["vary"] == "Origin")
            #expect(
                try ask(path, wish.merging(["Origin": "http://evil.test"]) { $1 }).status == 403)
        }
        #expect(
            try ask("/api/health", wish.merging(["Origin": "http://evil.test"]) { $1 }).status
                == 403)
        // Nobody's page asks for leave: then it is a method like others.
        #expect(try ask("\(ServedNode.root)/create", [:]).status == 405)
        #expect(try ask("\(ServedNode.root)/create", ["Origin": Self.page]).status == 405)
        #expect(try ask("/elsewhere", wish.merging(["Origin": Self.page]) { $1 }).status == 404)
    }

    @Test("may all come where the operator says so")
    func any() throws {
        let node = try ServedNode { $0.live.origins = OriginPolicy(.init(any: true)) }
        let reply = try node.get("", fields: ["Origin": "http://evil.test"])
        #expect(reply.fields["access-control-allow-origin"] == "http://evil.test")
        #expect(reply.fields["access-control-allow-credentials"] == nil)
        let preflight = try HTTPReply.request(
            "OPTIONS", ServedNode.root, port: node.port,
            fields: ["Origin": "http://evil.test", "Access-Control-Request-Method": "POST"])
        #expect(
            preflight.status == 204 && preflight.fields["access-control-allow-credentials"] == nil)
    }
}
