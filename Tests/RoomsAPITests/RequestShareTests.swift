import Bytes
import ChatModel
import Configuration
import GatewayTestSupport
import Identity
import TestKit
import TestTraits
import Testing

@testable import Gateway

/// What one user's requests cost the others.
@Suite("The requests of a user", .ownThread)
struct RequestShareTests {
    private static func node(
        _ change: (inout Limits) -> Void = { _ in }
    ) throws -> (ServedNode, StoppedClock) {
        let clock = StoppedClock(monotonic: 10_000)
        let node = try ServedNode { setup in
            setup.settings.readClocks = { clock.reading }
            setup.live.limits.messagesPerSecond = 1
            setup.live.limits.messageBurst = 10
            change(&setup.live.limits)
        }
        return (node, clock)
    }

    @Test("count together with its messages, over all connections")
    func shared() throws {
        let (node, clock) = try Self.node()
        let statuses = try (0..<6).map { _ in try node.get(by: "ann").status }
        #expect(statuses == Array(repeating: 200, count: 6))
        // Its connection synchronizes once.
        let ann = try node.client("ann", in: "room")
        for number in 0..<5 { try ann.sendMessage("\(number)", as: "\(number)") }
        let answers = try (0..<5).map { _ in try ann.next() }
        #expect(answers.count { $0["type"] == "chat_message" } == 3)
        #expect(answers.count { $0["error"] == "rate limited" } == 2)
        let refused = try node.get(by: "ann")
        #expect(refused.status == 429 && refused.fields["retry-after"] == "3")
        #expect(try node.get(by: "bob").status == 200)
        clock.advance(milliseconds: 3000)
        try Deadline.wait(
            for: "the rate", untilTrue: { try node.get(by: "ann").status == 200 })
    }

    @Test("of guests count for their address, whichever name they give")
    func guests() throws {
        let (node, _) = try Self.node()
        func create(_ user: String, from address: String) throws -> Int {
            try node.post(
                "/create", #"{"title":"T","user_id":"\#(user)"}"#,
                fields: ["X-Forwarded-For": address]
            ).status
        }
        let statuses = try (0..<12).map { try create("guest \($0)", from: "192.0.2.1") }
        #expect(statuses == Array(repeating: 201, count: 10) + [429, 429])
        #expect(try create("guest", from: "192.0.2.2") == 201)
        for number in 0..<10 {
            #expect(try create("guest", from: "2001:db8::\(number)") == 201)
        }
        #expect(try create("guest", from: "2001:db8::ffff:1") == 429)
    }

    @Test("above the limit end the connection when they go on")
    func ending() throws {
        let (node, _) = try Self.node()
        let stream = try ByteStream(port: node.port)
        try stream.send(
            String(
                repeating: "GET \(ServedNode.root) HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", count: 100)
        )
        let replies = try (0..<31).map { _ in try HTTPReply(from: stream) }
        #expect(
            replies.map(\.status) == [Int](repeating: 200, count: 10)
                + [Int](repeating: 429, count: 21))
        #expect(replies[29].fields["connection"] != "close")
        #expect(replies[30].fields["connection"] == "close")
    }

    /// Requests that belong to no user, and the status of their answers.
    private static let ownerlessRequests: [(head: String, status: Int)] = [
        ("GET /api/live", 200), ("GET /api/health", 200), ("GET /nothing", 404),
        ("OPTIONS \(ServedNode.root)", 204),
        ("GET /socket.io/?EIO=4&transport=polling&sid=none", 400),
    ]

    @Test(
        "that belong to no user are all answered, but above the limit no connection stays open",
        arguments: 0..<ownerlessRequests.count)
    func ownerless(_ index: Int) throws {
        let (node, clock) = try Self.node()
        let (head, status) = Self.ownerlessRequests[index]
        let lines = "Origin: https://page.test\r\nAccess-Control-Request-Method: GET\r\n"
        func send(_ count: Int, from address: String) throws -> [HTTPReply] {
            let stream = try ByteStream(port: node.port)
            let request =
                "\(head) HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-For: \(address)\r\n"
                + (head.hasPrefix("OPTIONS") ? lines : "") + "\r\n"
            try stream.send(String(repeating: request, count: count))
            return try (0..<count).map { _ in try HTTPReply(from: stream) }
        }
        func keepsAlive(_ reply: HTTPReply) -> Bool { reply.fields["connection"] != "close" }
        let replies = try send(31, from: "192.0.2.1")
        #expect(replies.allSatisfy { $0.status == status }, "\(replies[0])")
        #expect(replies[..<30].allSatisfy(keepsAlive) && !keepsAlive(replies[30]))
        let next = try send(1, from: "192.0.2.1")[0]
        #expect(next.status == status && !keepsAlive(next))
        #expect(try send(2, from: "192.0.2.2").allSatisfy(keepsAlive))
        clock.advance(milliseconds: 10_000)
        try Deadline.wait(
            for: "the rate", untilTrue: { try keepsAlive(send(1, from: "192.0.2.1")[0]) })
        // They take nothing from the address's guests.
        #expect(try node.post("/create", #"{"title":"T","user_id":"g"}"#).status == 201)
    }

    @Test("count with their bodies, and these with the framing of their chunks")
    func bodies() throws {
        let (node, _) = try Self.node { $0.messageBytes = 1024 }
        let body = #"{"title":"T"}"#
        let size = String(body.utf8.count, radix: 16)
        let chunked =
            "\(size);\(String(repeating: "x", count: 4000))\r\n\(body)\r\n0\r\n\r\n"
        func post(as user: String) throws -> HTTPReply {
            let stream = try ByteStream(port: node.port)
            let token = try TestNode.token(user)
            try stream.send(
                "POST \(ServedNode.root)/create HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                    + "Content-Type: application/json\r\nAuthorization: Bearer \(token)\r\n"
                    + "Transfer-Encoding: chunked\r\n\r\n\(chunked)")
            return try HTTPReply(from: stream)
        }
        // Each costs four messages.
        let statuses = try (0..<3).map { _ in try post(as: "ann").status }
        #expect(statuses == [201, 201, 429])
        #expect(try post(as: "bob").status == 201)
    }

    /// Sends a part of a request's body.
    private static func begin(
        _ node: ServedNode, _ token: String?, bytes: Int
    ) throws -> ByteStream {
        let stream = try ByteStream(port: node.port)
        try stream.send(
            "POST \(ServedNode.root)/create HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                + "Content-Type: application/json\r\n"
                + (token.map { "Authorization: Bearer \($0)\r\n" } ?? "")
                + "Content-Length: 1000000\r\n\r\n" + String(repeating: "x", count: bytes))
        return stream
    }

    @Test("are refused before their bodies are complete, without a valid token or above the rate")
    func early() throws {
        let (node, _) = try Self.node()
        let invalid = try HTTPReply(from: Self.begin(node, "invalid", bytes: 10))
        #expect(invalid.status == 401 && invalid.fields["connection"] == "close")
        for _ in 0..<10 { #expect(try node.get(by: "ann").status == 200) }
        let token = try TestNode.token("ann")
        let refused = try HTTPReply(from: Self.begin(node, token, bytes: 10))
        #expect(refused.status == 429 && refused.fields["connection"] == "close")
    }

    @Test("have bodies of bounded size while they are not complete, together for an address")
    func unfinished() throws {
        let (node, _) = try Self.node {
            $0.allowEverything()
            $0.unfinishedBytes = 100_000
        }
        let rates = node.gateway.shared.rates
        // Any number of bytes may be unfinished on one connection, and on others below the limit.
        var streams: [ByteStream] = []
        for number in 1...2 {
            streams.append(try Self.begin(node, nil, bytes: 90_000))
            try Deadline.wait(
                for: "the part of the body",
                untilTrue: {
                    rates.unfinishedBytes == number * (90_000 - UnfinishedInput.freeBytes)
                })
        }
        let reply = try HTTPReply(from: Self.begin(node, nil, bytes: 90_000))
        #expect(reply.status == 503 && reply.fields["retry-after"] == "1")
        let sentence: String? = try JSONObject(reply.body)["error"]
        #expect(sentence?.contains("unfinished-bytes") == true)
        // Another user has bytes of its own.
        streams.append(try Self.begin(node, TestNode.token("ann"), bytes: 90_000))
        try Deadline.wait(
            for: "the other user's body",
            untilTrue: { rates.unfinishedBytes == 3 * (90_000 - UnfinishedInput.freeBytes) })
        for stream in streams { stream.close() }
        try Deadline.wait(for: "the end", untilTrue: { rates.unfinishedBytes == 0 })
    }

    @Test("store at most so many bytes in a day, by name of the limit, and each copy counts")
    func storage() throws {
        let (node, _) = try Self.node {
            $0.allowEverything()
            $0.storedBytesPerDay = 100_000
        }
        let members = (0..<100).map { #"{"user_id":"member \#($0)"}"# }.joined(separator: ",")
        let id = try #require(
            JSONObject(
                node.post("/create", #"{"title":"T"}"#, by: "ann").body)["room_id"])
        var reply = try node.post("/create", #"{"title":"T","members":[\#(members)]}"#, by: "ann")
        #expect(reply.status == 201)
        for _ in 0..<10 where reply.status == 201 {
            reply = try node.post("/create", #"{"title":"T","members":[\#(members)]}"#, by: "ann")
        }
        #expect(reply.status == 429)
        #expect(try JSONObject(reply.body)["error"] == "rate limited: stored-bytes-per-day")
        #expect(Int(reply.fields["retry-after"] ?? "").map { $0 > 60 } == true)
        let send = #"{"content":"\#(String(repeating: "x", count: 16_000))"}"#
        #expect(
            try (0..<7).map { _ in try node.post("/\(id)/messages", send, by: "ann").status }
                .contains(429))
        #expect(try node.post("/create", #"{"title":"T"}"#, by: "bob").status == 201)
        // Guests share what their address may store.
        let guests = try (0..<8).map {
            try node.post(
                "/create", #"{"title":"T","user_id":"g\#($0)","members":[\#(members)]}"#
            ).status
        }
        #expect(guests.contains(429) || guests.allSatisfy { $0 == 400 || $0 == 401 })
    }

    @Test("get lists of bounded size, whatever the names of invented members")
    func lists() throws {
        let (node, _) = try Self.node { $0.allowEverything() }
        let name = String(repeating: "\u{1F980}", count: 120)
        let members = (0..<100).map {
            #"{"user_id":"\#(name)\#($0)","username":"\#(name)"}"#
        }.joined(separator: ",")
        var created: Set<String> = []
        for _ in 0..<30 {
            let reply = try node.post(
                "/create", #"{"title":"T","listed":true,"members":[\#(members)]}"#, by: "ann")
            created.insert(try #require(JSONObject(reply.body)["room_id"]))
        }
        for query in ["", "mine=true"] {
            var found: [String] = []
            var cursor: String?
            repeat {
                let path = "?limit=100&\(query)" + (cursor.map { "&cursor=\($0)" } ?? "")
                let reply = try node.get(path, by: "ann")
                #expect(reply.body.utf8.count < 1_200_000)
                let list = try JSONObject(reply.body)
                let items = try #require(list.objects("conversations"))
                #expect(items.allSatisfy { $0.objects("participants")?.count == 50 })
                #expect(items.allSatisfy { $0.number("participant_count") == 101 })
                found += items.compactMap { $0["room_id"] }
                cursor = list["next_cursor"]
            } while cursor != nil
            #expect(found.count == 30 && Set(found) == created)
        }
    }

    @Test("whose large answers nobody reads get no further ones on other connections")
    func waiting() throws {
        let (node, _) = try Self.node {
            $0.allowEverything()
            $0.outboundBytes = 200_000
            $0.pageBytes = 4_000_000
        }
        let created = try node.post("/create", #"{"title":"T","listed":true}"#, by: "ann")
        let id = try #require(JSONObject(created.body)["room_id"])
        #expect(try node.post("/\(id)/join", "{}", by: "ann").status == 200)
        let content = String(repeating: "x", count: 16_000)
        for _ in 0..<100 {
            let sent = try node.post("/\(id)/messages", #"{"content":"\#(content)"}"#, by: "ann")
            try #require(sent.status == 201, "\(sent.body)")
        }
        let path = "\(ServedNode.root)/\(id)/messages?limit=100"
        let request =
            "GET \(path) HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer "
            + "\(try TestNode.token("bob"))\r\n\r\n"
        // More than the kernel's buffers hold.
        let count = 6
        let first = try ByteStream(port: node.port, receiveBytes: 65_536)
        try first.send(String(repeating: request, count: count))
        let fields = ["Authorization": "Bearer \(try TestNode.token("bob"))"]
        let bob = LimitKey.user(UserID(tokenSubject: "bob"), tenant: "default")
        try Deadline.wait(
            for: "the first answer to wait",
            untilTrue: {
                node.gateway.shared.rates.existing(bob).map { $0.waitingBytes > 200_000 } ?? false
            })
        let refused = try HTTPReply.get(path, port: node.port, fields: fields)
        #expect(refused.status == 429)
        #expect(
            try JSONObject(refused.body)["error"]
                == "rate limited: outbound-bytes; read the other answers first")
        // Small answers, and those of others, are not concerned.
        #expect(try node.get("/\(id)/messages?limit=1", by: "bob").status == 200)
        #expect(try node.get("/\(id)/messages?limit=100", by: "carol").status == 200)
        for _ in 0..<count {
            let reply = try HTTPReply(from: first)
            #expect(reply.status == 200 && reply.body.utf8.count > 1_600_000)
        }
        try Deadline.wait(
            for: "the next answer",
            untilTrue: {
                try HTTPReply.get(path, port: node.port, fields: fields).status == 200
            })
    }
}
