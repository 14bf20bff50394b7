import Foundation
import TestKit
import TestTraits
import Testing

/// A load balancer sends Engine.IO requests to any node, and the session's node answers them.
/// Clients must not notice the difference.
@Suite("A request through another node", .programs, .ownThread)
struct ForwardedRequestTests {
    /// A session, and the node that receives its requests.
    struct EngineClientSession {
        let client: PollingClient
        let token: String

        init(ownerPort home: UInt16, requestPort port: UInt16, token: String) throws {
            self.client = try PollingClient(port: home).throughNode(atPort: port)
            self.token = token
        }

        var sid: String { self.client.sid }

        /// Sends a request and keeps the connection open for another one.
        func begin(
            _ method: String, _ query: String? = nil, _ fields: [String] = [], body: [UInt8]? = nil
        ) throws -> ByteStream {
            let stream = try ByteStream(port: self.client.port)
            let length = body.map { ["Content-Length: \($0.count)"] } ?? []
            let head =
                [
                    "\(method) /socket.io/?\(query ?? "EIO=4&transport=polling&sid=\(self.sid)") "
                        + "HTTP/1.1",
                    "Host: 127.0.0.1",
                ] + length
                + fields
            try stream.send(head.joined(separator: "\r\n") + "\r\n\r\n")
            if let body { try stream.send(body) }
            return stream
        }

        /// The response as a client sees it.
        func summary(of stream: ByteStream) throws -> String {
            var reply = try HTTPReply(from: stream)
            // The interim response before a POST's body.
            if reply.status == 100 { reply = try HTTPReply(from: stream) }
            let fields = reply.fields.filter { $0.key != "date" }.map { "\($0.key): \($0.value)" }
                .sorted()
            return "\(reply.status) \(fields) \(reply.body.replacing(self.sid, with: "SID"))"
        }

        func get(_ query: String? = nil, _ fields: [String] = []) throws -> String {
            try self.summary(of: self.begin("GET", query, fields))
        }
        func post(_ body: String, _ fields: [String] = []) throws -> String {
            try self.post(Array(body.utf8), fields)
        }
        func post(_ body: [UInt8], _ fields: [String] = []) throws -> String {
            try self.summary(of: self.begin("POST", nil, fields, body: body))
        }

        /// A POST without its body, after the node has read its header.
        func beginPost(_ length: Int, _ fields: [String] = []) throws -> ByteStream {
            let stream = try self.begin(
                "POST", nil, ["Content-Length: \(length)", "Expect: 100-continue"] + fields)
            guard try stream.line()?.hasPrefix("HTTP/1.1 100") == true, try stream.line() == ""
            else { throw TestFailure("no 100") }
            return stream
        }

        /// The answers to a WebSocket that tries to upgrade, up to its end or to `3probe`.
        func upgrade(
            _ packet: String? = "2probe", _ query: String? = nil, _ fields: [String: String] = [:]
        ) throws -> [String] {
            try self.beginUpgrade(packet, query, fields).responses
        }

        func beginUpgrade(
            _ packet: String? = "2probe", _ query: String? = nil, _ fields: [String: String] = [:]
        ) throws -> (responses: [String], client: RawWebSocketClient?) {
            let stream = try ByteStream(port: self.client.port)
            let query = query ?? "EIO=4&transport=websocket&sid=\(self.sid)"
            try RawWebSocketClient.requestUpgrade(
                "/socket.io/?\(query)", port: self.client.port, fields: fields, on: stream)
            let peeked = String(decoding: try stream.peek(atLeast: 12).prefix(12), as: UTF8.self)
            guard peeked.hasPrefix("HTTP/1.1 101") else {
                return ([try self.summary(of: stream)], nil)
            }
            let client = try RawWebSocketClient(upgradeRequestedOn: stream)
            if let packet { try client.send(packet) }
            return (["101", try Self.text(client.next())], client)
        }

        static func text(_ event: RawWebSocketClient.Event) -> String { "\(event)" }
    }

    struct Case: CustomTestStringConvertible, Sendable {
        let name: String
        let responses: @Sendable (EngineClientSession) throws -> [String]
        var testDescription: String { self.name }

        init(
            _ name: String,
            _ responses: @escaping @Sendable (EngineClientSession) throws -> [String]
        ) {
            self.name = name
            self.responses = responses
        }
    }

    /// A POST, its answer, and the later answers of the session.
    private static func postCase(_ name: String, _ body: String) -> Case {
        Case("POST of \(name)") { session in
            // After CONNECT, the session has packets for a poll.
            var responses = [try session.post(#"40{"token":"\#(session.token)"}"#)]
            _ = try session.client.packets(2)
            responses.append(try session.post(body))
            if !responses[1].hasPrefix("200") || body.hasSuffix("1") {
                responses += [try session.get(), try session.post("6")] + (try session.upgrade())
            } else {
                responses += [try session.post(#"421["nothing",{}]"#), try session.get()]
            }
            return responses
        }
    }

    private static let cases: [Case] =
        [
            postCase("a pong", "3"), postCase("nothing to do", "6"),
            postCase("several packets", "6\u{1E}6"), postCase("a close", "1"),
            postCase("a close behind something", "6\u{1E}1"), postCase("a ping", "2"),
            postCase("garbage", "abc"), postCase("nothing", ""),
            postCase("a binary packet", "bAQIDBA=="), postCase("an unknown packet", "7"),
            postCase("an upgrade", "5"),
            postCase("an open packet", "0{}"), postCase("line ends", "6\r\n"),
            postCase(
                "too many packets", Array(repeating: "6", count: 40_000).joined(separator: "\u{1E}")
            ),
            postCase("a long message", "4" + String(repeating: "x", count: 900_000)),
            Case("no UTF-8") { [try $0.post([0x34, 0xFF]), try $0.get()] },
            Case("a close beside a poll") { session in
                // The poll and the POST can arrive in either order.
                let poll = try session.begin("GET")
                let post = try session.post("1")
                let answer = try session.summary(of: poll)
                return [
                    post,
                    answer.contains("Session ID unknown")
                        ? "" : answer.hasSuffix(" 6") ? "" : answer, try session.get(),
                ]
            },
            Case("a body that says it is too long") { session in
                [
                    try session.summary(
                        of: session.begin("POST", nil, ["Content-Length: 1000001"])),
                    try session.post("6"), try session.post("1"),
                ]
            },
            Case("chunks that are too long") { session in
                let stream = try session.begin("POST", nil, ["Transfer-Encoding: chunked"])
                try stream.send("F4241\r\n")
                try stream.send([UInt8](repeating: 0x36, count: 1_000_001))
                return [
                    try session.summary(of: stream), try session.post("6"), try session.post("1"),
                ]
            },
            Case("a body in chunks") { session in
                let stream = try session.begin("POST", nil, ["Transfer-Encoding: chunked"])
                try stream.send("1\r\n6\r\n0\r\n\r\n")
                return [try session.summary(of: stream), try session.post("6")]
            },
            Case("a body that comes late") { session in
                let stream = try session.beginPost(3)
                try stream.send("6\u{1E}6")
                return [try session.summary(of: stream), try session.post("6")]
            },
            Case("a second POST beside one") { session in
                let first = try session.beginPost(10)
                let second = try session.post("6")
                return [second, try session.summary(of: first), try session.get()]
            },
            Case("a second poll beside one") { session in
                // The first poll may still be on its way to the session's node.
                let first = try session.begin("GET")
                let second = try session.get()
                return [second, try session.summary(of: first)].sorted() + [try session.get()]
            },
            Case("a long body for no session") { session in
                _ = try session.post("1")
                let late = try session.summary(
                    of: session.begin("POST", nil, ["Content-Length: 1000001"]))
                return [
                    late,
                    try session.summary(of: session.begin("POST", nil, ["Content-Length: 10"])),
                ]
            },
            Case("somebody else's token") { session in
                let fields = ["Authorization: Bearer nonsense"]
                return [
                    try session.get(nil, fields), try session.post("6", fields),
                    try session.summary(
                        of: session.begin("POST", nil, ["Content-Length: 1000001"] + fields)),
                ] + (try session.upgrade(nil, nil, ["Authorization": "Bearer nonsense"])) + [
                    try session.post("6")
                ]
            },
            Case("a page of an allowed origin") { session in
                let fields = ["Origin: http://localhost:3000"]
                return [
                    try session.post("6", fields), try session.post("abc", fields),
                    try session.get(nil, fields),
                ]
            },
            Case("a page of a foreign origin") { session in
                let fields = ["Origin: http://evil.test"]
                return [try session.get(nil, fields), try session.post("6", fields)]
                    + (try session.upgrade(nil, nil, ["Origin": "http://evil.test"])) + [
                        try session.post("6")
                    ]
            },
            Case("another method") { session in
                try ["PUT", "DELETE", "PATCH", "OPTIONS", "BREW"].map {
                    try session.summary(of: session.begin($0))
                } + [try session.post("6")]
            },
            Case("another query") { session in
                try [
                    "EIO=4&sid=\(session.sid)", "EIO=3&transport=polling&sid=\(session.sid)",
                    "transport=polling&sid=\(session.sid)",
                    "EIO=4&transport=carrier&sid=\(session.sid)",
                    "EIO=4&transport=websocket&sid=\(session.sid)",
                    "EIO=4&transport=polling&sid=\(session.sid)&j=0",
                    "EIO=4&transport=polling&sid=\(session.sid)&sid=\(session.sid)",
                    "EIO=4&transport=polling&sid=\(session.sid)x", "EIO=4&transport=polling&sid=",
                    "EIO=4&transport=polling&sid=%FF",
                ].map { try session.get($0) } + [try session.post("6")]
            },
            Case("an upgrade") { session in
                let (responses, client) = try session.beginUpgrade()
                try client?.send("5")
                try client?.send("40")
                return responses + [
                    EngineClientSession.text(try client?.next() ?? .end).prefix(8).description
                ]
            },
            Case("an upgrade by a polling query") {
                try $0.upgrade(nil, "EIO=4&transport=polling&sid=\($0.sid)")
            },
            Case("an upgrade of no session") { session in
                _ = try session.post("1")
                return try session.upgrade(nil)
            },
            Case("a second upgrade beside one") { session in
                let (first, client) = try session.beginUpgrade()
                let second = try session.upgrade(nil)
                try client?.send("5")
                return first + second + [try session.get().prefix(3).description]
            },
            Case("a WebSocket that says something else") { session in
                try session.upgrade("2abc") + [try session.post("6")]
            },
            Case("a WebSocket whose session is closed") { session in
                let (responses, client) = try session.beginUpgrade()
                return responses + [
                    try session.post("1"), EngineClientSession.text(try client?.next() ?? .end),
                ]
            },
        ]

    @Test("is repeated after its node was killed, and gets the message that was on its way")
    func killedForwarder() throws {
        let cluster = try LocalCluster(["3"])
        let secret = try cluster.folder.read("jwt.secret").trimmingCharacters(in: .newlines)
        let home = cluster.nodes[0]
        let bob = RESTClient(
            port: home.port,
            token: try ConfabServer.token(for: "bob", conversations: ["r"], secret: secret))
        for (other, mark) in zip(cluster.nodes.dropFirst(), ["", "&t=Pz1"]) {
            let ann = try PollingClient(port: home.port)
            try ann.connectNamespace(
                token: ConfabServer.token(for: "ann", conversations: ["r"], secret: secret))
            try ann.post(#"421["join_room",{"room_id":"r"}]"#)
            while try !ann.packets(1)[0].hasPrefix("431") {}
            var forwarded = ann.throughNode(atPort: other.port)
            forwarded.query = mark
            let poll = try forwarded.beginPoll()
            // Their answers come after the node has forwarded the poll.
            for _ in 0..<2 { try #require(try forwarded.post("6").body == "ok") }
            kill(other.process, SIGKILL)
            #expect(poll.readToEnd())
            let text = "through \(other.name)"
            // If the killed node owned the room, the outcome can be unknown.
            let reply = try Deadline.wait(for: "an outcome") { () -> HTTPReply? in
                let reply = try bob.send(text, to: "r", as: text)
                return reply.status == 503 ? nil : reply
            }
            #expect([200, 201].contains(reply.status), "\(reply)")
            // Their answers come after the session has got the message.
            for _ in 0..<2 { try #require(try ann.post("6").body == "ok") }
            var repeated = ann
            repeated.query = mark
            let packets = try repeated.packets(1)
            #expect(packets[0].contains(text), "\(packets)")
        }
    }

    @Test("gets the same status, fields and body as at the session's node")
    func sameResponses() throws {
        let cluster = try LocalCluster(["2"])
        let (home, other) = (cluster.nodes[0].port, cluster.nodes[1].port)
        let secret = try cluster.folder.read("jwt.secret").trimmingCharacters(in: .newlines)
        let token = try ConfabServer.token(for: "ann", conversations: ["r"], secret: secret)
        for (number, example) in Self.cases.enumerated() where TestRun.isLong || number % 4 == 0 {
            do {
                let direct = try example.responses(
                    EngineClientSession(ownerPort: home, requestPort: home, token: token))
                let forwarded = try example.responses(
                    EngineClientSession(ownerPort: home, requestPort: other, token: token))
                #expect(forwarded == direct, "\(example.name)")
            } catch {
                Issue.record("\(example.name): \(error)")
            }
        }
    }
}
