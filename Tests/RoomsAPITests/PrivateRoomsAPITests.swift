import Bytes
import ChatModel
import Configuration
import Gateway
import GatewayTestSupport
import Identity
import RoomsAPI
import TestKit
import TestTraits
import Testing

/// A user with a token, as a client of the API.
private struct TokenClient {
    let node: ServedNode
    private let token: String

    init(
        _ user: String, at node: ServedNode, listing conversations: String..., admin: Bool = false
    ) throws {
        self.node = node
        let grants: Grants =
            conversations == ["*"] ? .all : .listed(Set(conversations.map { .init($0) }))
        self.token = try TestNode.token(user, grants: grants, isAdmin: admin)
    }

    func request(_ method: String, _ path: String, _ body: String? = nil) throws -> HTTPReply {
        try self.node.request(method, path, body, token: self.token)
    }

    func get(_ path: String) throws -> HTTPReply { try self.request("GET", path) }
    func post(_ path: String, _ body: String = "{}") throws -> HTTPReply {
        try self.request("POST", path, body)
    }

    /// Creates a conversation and returns its object.
    func create(_ fields: String) throws -> JSONObject {
        let reply = try self.post("/create", "{\(fields)}")
        guard reply.status == 201, let room = try JSONObject(reply.body).object("conversation")
        else { throw TestFailure("\(reply)") }
        return room
    }

    func send(_ content: String, to id: String) throws -> HTTPReply {
        try self.post("/\(id)/messages", #"{"content":"\#(content)"}"#)
    }

    func list(_ query: String = "") throws -> [JSONObject] {
        let reply = try self.get(query)
        guard reply.status == 200 else { throw TestFailure("\(reply)") }
        return try JSONObject(reply.body).objects("conversations") ?? []
    }
}

@Suite("A private conversation in REST", .ownThread)
struct PrivateRoomsAPITests {
    private func node(_ store: TestNode.EmbeddedStoreKind = .memory) throws -> ServedNode {
        try ServedNode(store: store) { $0.settings.allowsAnonymous = false }
    }

    @Test(
        "of a shop and its customer is one that no other customer sees, reads, joins or writes to",
        arguments: TestNode.EmbeddedStoreKind.allCases)
    func shop(_ store: TestNode.EmbeddedStoreKind) throws {
        let node = try self.node(store)
        let shop = try TokenClient("shop", at: node, admin: true)
        let order = try shop.create(#""title":"Order 1042","access":"closed""#)
        let id = try #require(order["room_id"])
        #expect(order["access"] == "closed")
        #expect(order.bool("listed") == false)
        #expect(
            try shop.post("/\(id)/members", #"{"user_id":"ann","username":"Ann"}"#).status == 201)
        #expect(try shop.send("Your parcel has left.", to: id).status == 201)

        let bob = try TokenClient("bob", at: node, listing: "order-9")
        let requests: [(String, String, String?)] = [
            ("GET", "", nil), ("GET", "/messages", nil), ("GET", "/messages?search=parcel", nil),
            ("GET", "/pins", nil), ("GET", "/members", nil), ("GET", "/receipts", nil),
            ("POST", "/join", "{}"), ("POST", "/leave", "{}"), ("POST", "/end", "{}"),
            ("POST", "/read", #"{"message_id":"1"}"#), ("POST", "/messages", #"{"content":"hi"}"#),
            ("POST", "/messages", #"{"content":""}"#), ("PATCH", "", #"{"access":"open"}"#),
            ("PATCH", "/messages/1", #"{"content":"ho"}"#), ("DELETE", "/messages/1", nil),
            ("PUT", "/messages/1/reactions/%F0%9F%91%8D", nil), ("PUT", "/messages/1/pin", nil),
            ("POST", "/members", #"{"user_id":"bob"}"#), ("DELETE", "/members/ann", nil),
        ]
        for (method, path, body) in requests {
            let found = try bob.request(method, "/\(id)\(path)", body)
            let missing = try bob.request(method, "/missing1\(path)", body)
            #expect(found.status == missing.status, "\(method) \(path): \(found.body)")
            #expect(found.body == missing.body, "\(method) \(path)")
            #expect(found.fields.keys.sorted() == missing.fields.keys.sorted(), "\(path)")
            #expect([400, 404].contains(found.status), "\(method) \(path): \(found.body)")
        }
        #expect(try bob.list().isEmpty)
        #expect(try bob.list("?mine=true").isEmpty)
        let before = try bob.get("")
        #expect(try shop.send("It arrives tomorrow.", to: id).status == 201)
        #expect(try bob.get("").fields["etag"] == before.fields["etag"])

        let ann = try TokenClient("ann", at: node)
        #expect(try ann.get("/\(id)").status == 200)
        #expect(try ann.list().map { $0["title"] } == ["Order 1042"])
        #expect(try ann.send("Thanks", to: id).status == 201)
        #expect(try ann.post("/\(id)/end").status == 403)
    }

    @Test("has the access, the listing and the members that the request says")
    func create() throws {
        let node = try self.node()
        let ann = try TokenClient("ann", at: node)
        let bob = try TokenClient("bob", at: node)
        let tea = try ann.create(#""title":"Tea""#)
        #expect(tea["access"] == "open")
        #expect(tea.bool("listed") == false)
        #expect(try ann.create(#""title":"Tea","listed":true"#).bool("listed") == true)
        let closed = try ann.create(
            #""title":"T","access":"closed","members":[{"user_id":"bob","username":"Bob"},"#
                + #"{"user_id":"cid"},{"user_id":"ann"}]"#)
        #expect(
            closed.objects("participants")?.map { $0["username"] } == ["ann", "Bob", "cid"])
        #expect(closed.number("participant_count") == 3)
        let id = try #require(closed["room_id"])
        #expect(try bob.send("hi", to: id).status == 201)
        #expect(try bob.list().map { $0["title"] } == ["T", "Tea"])
        let many = (0...100).map { #"{"user_id":"u\#($0)"}"# }.joined(separator: ",")
        for (fields, field) in [
            (#""access":"secret""#, "access"), (#""access":1"#, "access"),
            (#""listed":"yes""#, "listed"), (#""access":"closed","listed":true"#, "listed"),
            (#""members":{}"#, "members"), (#""members":["bob"]"#, "members"),
            (#""members":[{}]"#, "members.user_id"),
            (#""members":[{"user_id":"guest:bob"}]"#, "members.user_id"),
            (#""members":[{"user_id":"b","username":""}]"#, "members.username"),
            (#""members":[\#(many)]"#, "members"),
        ] {
            let reply = try ann.post("/create", #"{"title":"T",\#(fields)}"#)
            #expect(reply.status == 400, "\(fields)")
            #expect(
                try JSONObject(reply.body)["error"]?.hasPrefix("\(field): ") == true,
                "\(fields): \(reply.body)")
        }
    }

    @Test("is closed, unlisted and without a creator if a token makes it, also one with *")
    func byToken() throws {
        let node = try self.node()
        let bob = try TokenClient("bob", at: node)
        for (id, listing) in [("order-1", "order-1"), ("order-2", "*")] {
            let ann = try TokenClient("ann", at: node, listing: listing)
            #expect(try ann.get("/\(id)").status == 404)
            #expect(try ann.send("hi", to: id).status == 201)
            let room = try #require(JSONObject(ann.get("/\(id)").body).object("conversation"))
            #expect(room["access"] == "closed")
            #expect(room.bool("listed") == false)
            #expect(room.text.contains(#""created_by":null"#))
            #expect(try ann.post("/\(id)/end").status == 403)
            #expect(try ann.request("PATCH", "/\(id)", #"{"access":"open"}"#).status == 403)
            #expect(try bob.get("/\(id)").status == 404)
        }
        let ann = try TokenClient("ann", at: node, listing: "order-3")
        #expect(try ann.post("/order-3/join").status == 200)
        #expect(try bob.get("/order-3").status == 404)
        // An admin's token makes its bearer the creator.
        let shop = try TokenClient("shop", at: node, listing: "order-4", admin: true)
        #expect(try shop.send("hi", to: "order-4").status == 201)
        let room = try #require(JSONObject(shop.get("/order-4").body).object("conversation"))
        #expect(room["created_by"] == "shop")
        #expect(room["access"] == "closed")
    }

    @Test("is changed by its creator and admins")
    func update() throws {
        let node = try self.node()
        let ann = try TokenClient("ann", at: node)
        let bob = try TokenClient("bob", at: node)
        let id = try #require(ann.create(#""title":"Tea""#)["room_id"])
        #expect(try bob.post("/\(id)/join").status == 200)
        #expect(try bob.request("PATCH", "/\(id)", #"{"title":"Mine"}"#).status == 403)
        let changed = try ann.request(
            "PATCH", "/\(id)", #"{"title":"Coffee","description":"black","access":"closed"}"#)
        #expect(changed.status == 200)
        let room = try #require(JSONObject(changed.body).object("conversation"))
        #expect(room["title"] == "Coffee")
        #expect(room["description"] == "black")
        #expect(room["access"] == "closed")
        // Closing a conversation removes no member.
        #expect(try bob.send("hi", to: id).status == 201)
        #expect(try TokenClient("cid", at: node).get("/\(id)").status == 404)
        for (fields, field) in [
            ("", "body"), (#""title":"""#, "title"), (#""access":"x""#, "access"),
            (#""listed":1"#, "listed"), (#""listed":true"#, "listed"),
            (#""access":"closed","listed":true"#, "listed"),
        ] {
            let reply = try ann.request("PATCH", "/\(id)", "{\(fields)}")
            #expect(reply.status == 400, "\(fields)")
            #expect(
                try JSONObject(reply.body)["error"]?.hasPrefix("\(field): ") == true,
                "\(fields): \(reply.body)")
        }
        let shop = try TokenClient("shop", at: node, admin: true)
        #expect(
            try shop.request("PATCH", "/\(id)", #"{"access":"open","listed":true}"#).status == 200)
        #expect(try TokenClient("cid", at: node).list().map { $0["title"] } == ["Coffee"])
    }

    @Test("shows nothing to an admin that may not read it, whatever the admin changes or sends")
    func unseen() throws {
        let node = try self.node()
        let ann = try TokenClient("ann", at: node)
        let id = try #require(ann.create(#""title":"Tea","access":"closed""#)["room_id"])
        let first = #"{"content":"secret","local_id":"m-1"}"#
        #expect(try ann.post("/\(id)/messages", first).status == 201)
        let root = try TokenClient("root", at: node, admin: true)
        #expect(try root.get("/\(id)").status == 404)
        let author = #""as":{"user_id":"ann","username":"ann"}"#
        let again = #"{"content":"x","local_id":"m-1",\#(author)}"#
        for (method, path, body, status) in [
            ("PATCH", "", #"{"title":"Tea"}"#, 200), ("PATCH", "", #"{"title":"Coffee"}"#, 200),
            ("POST", "/messages", again, 200),
            ("POST", "/messages", #"{"content":"x","reply_to":"1",\#(author)}"#, 201),
            ("PUT", "/messages/1/pin", nil, 200), ("DELETE", "/messages/1/pin", nil, 200),
        ] as [(String, String, String?, Int)] {
            let reply = try root.request(method, "/\(id)\(path)", body)
            #expect(reply.status == status, "\(reply.body)")
            for text in ["secret", "participants", "last_message"] {
                #expect(!reply.body.contains(text), "\(method) \(path): \(reply.body)")
            }
        }
        let repeated = try JSONObject(root.post("/\(id)/messages", again).body)
        #expect(repeated["message_id"] == "1" && repeated["local_id"] == "m-1")
        #expect(repeated.number("rev") != nil)
        let changed = try JSONObject(root.request("PATCH", "/\(id)", #"{"title":"Mate"}"#).body)
        #expect(changed.object("conversation")?["title"] == "Mate")
        // The admin's own message is no secret.
        let sent = try root.post("/\(id)/messages", #"{"content":"hi",\#(author)}"#)
        #expect(try JSONObject(sent.body).object("message")?["content"] == "hi")

        let reader = try TokenClient("root", at: node, listing: id, admin: true)
        #expect(try reader.post("/\(id)/messages", again).body.contains("secret"))
        let seen = try reader.request("PATCH", "/\(id)", #"{"title":"Tea"}"#)
        #expect(seen.body.contains("participants"))
    }

    @Test("has no member that was removed, and no rights for a creator that was removed or left")
    func removal() throws {
        let node = try self.node()
        let shop = try TokenClient("shop", at: node, admin: true)
        let ann = try TokenClient("ann", at: node)
        let bob = try TokenClient("bob", at: node)
        let id = try #require(ann.create(#""title":"Tea""#)["room_id"])
        #expect(try bob.post("/\(id)/join").status == 200)
        #expect(try ann.request("DELETE", "/\(id)/members/bob").status == 200)
        for reply in [
            try bob.post("/\(id)/join"), try bob.get("/\(id)"), try bob.get("/\(id)/messages"),
            try bob.send("hi", to: id),
        ] {
            #expect(reply.status == 403)
        }
        #expect(try ann.post("/\(id)/members", #"{"user_id":"bob"}"#).status == 201)
        #expect(try bob.send("hi", to: id).status == 201)
        #expect(try bob.post("/\(id)/leave").body == #"{"success":true}"#)
        #expect(try bob.list("?mine=true").isEmpty)
        #expect(try bob.post("/\(id)/join").status == 200)

        #expect(try shop.request("DELETE", "/\(id)/members/ann").status == 200)
        #expect(try ann.post("/\(id)/members", #"{"user_id":"ann"}"#).status == 403)
        #expect(try ann.post("/\(id)/end").status == 403)
        #expect(try ann.request("DELETE", "/\(id)/members/bob").status == 403)
        let other = try #require(ann.create(#""title":"Tea""#)["room_id"])
        #expect(try ann.post("/\(other)/leave").status == 200)
        #expect(try ann.post("/\(other)/end").status == 403)
        #expect(try shop.post("/\(other)/end").status == 200)
    }

    @Test("is in the lists of its members, with what they have not read")
    func lists() throws {
        let node = try self.node()
        let ann = try TokenClient("ann", at: node)
        let bob = try TokenClient("bob", at: node)
        var ids: [String] = []
        for number in 1...5 {
            let room = try ann.create(
                #""title":"\#(number)","access":"closed","members":[{"user_id":"bob"}]"#)
            ids.append(try #require(room["room_id"]))
        }
        let listed = try #require(
            TokenClient("cid", at: node).create(#""title":"cid's","listed":true"#)["room_id"])
        for number in 1...3 { #expect(try ann.send("\(number)", to: ids[0]).status == 201) }
        #expect(
            try ann.post("/\(ids[0])/messages", #"{"content":"@bob","mentions":["bob"]}"#).status
                == 201)
        // All pages have each conversation once, newest created first.
        var pages: [String] = []
        var cursor = ""
        repeat {
            let reply = try JSONObject(bob.get("?limit=2\(cursor)").body)
            pages += try #require(reply.objects("conversations")).compactMap { $0["room_id"] }
            cursor = reply["next_cursor"].map { "&cursor=\($0)" } ?? ""
        } while !cursor.isEmpty
        #expect(pages.count == 6)
        #expect(Set(pages) == Set(ids + [listed]))
        // Newest activity first.
        let mine = try bob.list("?mine=true")
        #expect(mine.count == 5)
        #expect(mine.first?["room_id"] == ids[0])
        #expect(mine.first?.number("unread_count") == 4)
        #expect(mine.first?.number("unread_mentions") == 1)
        #expect(mine.first?["last_read_id"] == "0")
        #expect(try bob.list("?mine=true&limit=3").count == 3)
        let first = try JSONObject(bob.get("?mine=true&limit=3").body)
        let rest = try bob.list("?mine=true&limit=3&cursor=\(#require(first["next_cursor"]))")
        #expect(rest.count == 2)

        #expect(try bob.post("/\(ids[0])/read", #"{"message_id":"3"}"#).status == 200)
        #expect(try bob.post("/\(ids[0])/read", #"{"message_id":"99"}"#).status == 404)
        #expect(try bob.post("/\(ids[0])/read", #"{"message_id":"x"}"#).status == 400)
        let after = try bob.list("?mine=true").first
        #expect(after?.number("unread_count") == 1)
        #expect(after?["last_read_id"] == "3")
        let receipts = try JSONObject(ann.get("/\(ids[0])/receipts").body)
        #expect(receipts.object("me")?["read"] == "0")
        #expect(receipts.number("total") == 1)
        #expect(receipts.objects("receipts")?.first?["user_id"] == "bob")
        #expect(receipts.objects("receipts")?.first?["read"] == "3")

        #expect(try ann.post("/\(ids[1])/end").status == 200)
        #expect(try bob.list("?mine=true").count == 4)
        #expect(try bob.list("?mine=true&ended=true").count == 5)
        #expect(try bob.list().count == 5)
        for (query, field) in [("?mine=x", "mine"), ("?ended=true", "ended")] {
            let reply = try bob.get(query)
            #expect(reply.status == 400)
            #expect(try JSONObject(reply.body)["error"]?.hasPrefix("\(field): ") == true)
        }
    }

    @Test("lists its members in pages, for members")
    func members() throws {
        let node = try self.node()
        let ann = try TokenClient("ann", at: node)
        let others = (0..<70).map { #"{"user_id":"user-\#($0)"}"# }.joined(separator: ",")
        let room = try ann.create(#""title":"T","access":"closed","members":[\#(others)]"#)
        let id = try #require(room["room_id"])
        var names: [String] = []
        var cursor = ""
        repeat {
            let reply = try JSONObject(ann.get("/\(id)/members?limit=30\(cursor)").body)
            let members = try #require(reply.objects("members"))
            #expect(members.count <= 30)
            names += members.compactMap { $0["user_id"] }
            cursor = reply["next_cursor"].map { "&cursor=\($0)" } ?? ""
        } while !cursor.isEmpty
        #expect(names.count == 71)
        #expect(Set(names).count == 71)
        let all = try JSONObject(ann.get("/\(id)/members").body).objects("members")
        let creators = all?.filter { $0.bool("creator") == true }.map { $0["user_id"] }
        #expect(creators == ["ann"])
        #expect(all?.first?.bool("guest") == false)
        #expect(all?.first?.bool("online") == false)
        let listed = try ann.list("?mine=true").first
        #expect(listed?.objects("participants")?.count == 50)
        #expect(listed?.number("participant_count") == 71)
        for query in ["limit=0", "limit=1001", "cursor=%3D"] {
            #expect(try ann.get("/\(id)/members?\(query)").status == 400)
        }
        let open = try #require(ann.create(#""title":"T""#)["room_id"])
        #expect(try TokenClient("bob", at: node).get("/\(open)/members").status == 403)
    }
}
