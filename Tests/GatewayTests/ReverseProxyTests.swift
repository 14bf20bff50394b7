import ChatModel
import Configuration
import GatewayTestSupport
import TestKit
import TestTraits
import Testing

@testable import Gateway

/// The fields that a proxy in front of the node adds, and its own credentials.
@Suite("Behind a proxy", .ownThread)
struct ReverseProxyTests {
    /// One WebSocket of each protocol.
    private static let paths = [
        "/ws/", "/ws/chats/", "/v1/ws", "/conversations/room/",
        "/socket.io/?EIO=4&transport=websocket",
    ]

    private static func path(_ path: String, token: String) -> String {
        path + (path.contains("?") ? "&" : "?") + "token=\(token)"
    }

    /// Whether a page may connect with each protocol, poll, and read responses of the API.
    private static func mayConnect(_ origin: String, _ fields: [String: String], at node: TestNode)
        throws -> [Bool]
    {
        let fields = fields.merging(["Origin": origin]) { $1 }
        let token = try TestNode.token("ann")
        var results = try Self.paths.map { path in
            let stream = try ByteStream(port: node.port)
            try RawWebSocketClient.requestUpgrade(
                Self.path(path, token: token), port: node.port, fields: fields, on: stream)
            return try HTTPReply(from: stream).status != 403
        }
        results.append(
            try HTTPReply.get(
                "/socket.io/?EIO=4&transport=polling", port: node.port, fields: fields
            ).status != 403)
        let health = try HTTPReply.get("/api/health", port: node.port, fields: fields)
        results.append(health.fields["access-control-allow-origin"] == origin)
        return results
    }

    @Test(
        "the scheme of the site's own pages is the first one that the proxies report",
        arguments: [
            ("https", true), ("wss", true), ("WSS", true), ("https, http", true), ("wss,ws", true),
            (" https , http", true),
            ("http", false), ("ws", false), ("http, https", false), ("ws,wss", false), ("", false),
            ("tea", false),
        ])
    func scheme(forwarded: String, isSecure: Bool) throws {
        let node = try TestNode(dialects: TestNode.allDialects)
        let fields = ["X-Forwarded-Proto": forwarded, "Host": "chat.test"]
        let (good, bad) =
            isSecure
            ? ("https://chat.test", "http://chat.test") : ("http://chat.test", "https://chat.test")
        #expect(try Self.mayConnect(good, fields, at: node).allSatisfy { $0 })
        #expect(try Self.mayConnect(bad, fields, at: node).allSatisfy { !$0 })
    }

    @Test(
        "the scheme from an untrusted proxy is ignored",
        arguments: ["https", "wss", "https, http"])
    func untrusted(forwarded: String) throws {
        let node = try TestNode(dialects: TestNode.allDialects) { $0.settings.trustedProxies = [] }
        let fields = [
            "X-Forwarded-Proto": forwarded, "X-Forwarded-Host": "other.test", "Host": "chat.test",
        ]
        #expect(try Self.mayConnect("http://chat.test", fields, at: node).allSatisfy { $0 })
        for origin in ["https://chat.test", "http://other.test", "https://other.test"] {
            #expect(try Self.mayConnect(origin, fields, at: node).allSatisfy { !$0 })
        }
    }

    @Test("the site's own host is the one that the client requested from the proxy")
    func host() throws {
        let node = try TestNode(dialects: TestNode.allDialects)
        let fields = [
            "X-Forwarded-Proto": "https", "X-Forwarded-Host": "chat.test, inner.test",
            "Host": "node-7:8080",
        ]
        #expect(try Self.mayConnect("https://chat.test", fields, at: node).allSatisfy { $0 })
        #expect(try Self.mayConnect("https://inner.test", fields, at: node).allSatisfy { !$0 })
    }

    private static let foreignSchemes = [
        "Basic YTpi", "basic YTpi", "Digest username=\"a\"", "Negotiate", "Bearerish a.b.c",
        "a.b.c",
    ]

    @Test("a password that the proxy requires is not a token", arguments: foreignSchemes)
    func password(_ authorization: String) throws {
        let node = try TestNode(dialects: TestNode.allDialects) {
            $0.settings.allowsAnonymous = true
        }
        let fields = ["Authorization": authorization]
        let token = try TestNode.token("ann")
        for path in Self.paths {
            // Two of the protocols always require a token.
            let needsToken = path.hasPrefix("/v1") || path.hasPrefix("/conv")
            for path in (needsToken ? [] : [path]) + [Self.path(path, token: token)] {
                let client = try RawWebSocketClient(path, port: node.port, fields: fields)
                if path.hasPrefix("/socket.io") {
                    guard case .text(let open) = try client.next() else {
                        throw TestFailure("no handshake")
                    }
                    #expect(open.hasPrefix("0{"))
                    try client.send("40")
                } else {
                    // Whatever the protocol answers, the connection stays open.
                    try client.send("{}")
                }
                guard case .text(let text) = try client.next() else {
                    Issue.record("\(path) is closed")
                    continue
                }
                let hasInvalidToken =
                    text.contains("Authorization") || text.contains("bearer")
                    || text.hasPrefix("44")
                #expect(!hasInvalidToken, "\(path): \(text)")
                guard !path.hasPrefix("/socket.io") else { continue }
                try client.send("{}")
                if case .text = try client.next() { continue }
                Issue.record("\(path) is closed")
            }
        }
        // Nor does it replace a token: where one is required, it is missing.
        #expect(
            try RawWebSocketClient.refusal(of: "/v1/ws", port: node.port, fields: fields).status
                == 401)
        let polling = try PollingClient(port: node.port)
        try polling.post("40", fields: fields)
        #expect(try polling.poll(fields: fields).body.hasPrefix("40{"))
    }

    @Test("an invalid bearer token is refused together with a valid one or a password")
    func bearer() throws {
        let node = try TestNode(dialects: TestNode.allDialects)
        let good = try TestNode.token("ann")
        func status(_ authorization: String, query: String = "") throws -> Int {
            let stream = try ByteStream(port: node.port)
            try stream.send(TestNode.upgradeRequest("/v1/ws\(query)", lines: authorization))
            return try HTTPReply(from: stream).status
        }
        #expect(try status("Authorization: Basic YTpi\r\nAuthorization: Bearer \(good)\r\n") == 101)
        #expect(
            try status("Authorization: Bearer  \(good)\r\nAuthorization: Basic YTpi\r\n") == 101)
        #expect(try status("Authorization: bearer \(good)\r\n") == 101)
        #expect(
            try status(
                "Authorization: Basic YTpi\r\nAuthorization: Bearer x\r\n", query: "?token=\(good)")
                == 401)
        #expect(try status("Authorization: Bearer x\r\n", query: "?token=\(good)") == 401)
        #expect(try status("Authorization: Bearer\r\n", query: "?token=\(good)") == 401)
        #expect(
            try status("Authorization: Bearer \(good)\r\nAuthorization: Bearer \(good)\r\n") == 401)
    }
}

@Suite("The API's error shape", .ownThread)
struct APIErrorTests {
    private static let host = "Host: here\r\n"

    /// A request, and the status and `Allow` field of its response.
    struct Case: CustomTestStringConvertible {
        let name: String
        let request: String
        let status: Int
        var allow: String?
        var isBare = false
        var testDescription: String { self.name }

        static let all = [
            Case(
                name: "an unknown path", request: "GET /api/nothing HTTP/1.1\r\n\(host)\r\n",
                status: 404),
            Case(name: "the root", request: "GET /api/ HTTP/1.1\r\n\(host)\r\n", status: 404),
            Case(
                name: "the root without a slash", request: "GET /api HTTP/1.1\r\n\(host)\r\n",
                status: 404),
            Case(
                name: "a path of nobody's with a body",
                request: "PUT /api/x HTTP/1.1\r\n\(host)Content-Length: 2\r\n\r\nhi", status: 404),
            Case(
                name: "an unknown method", request: "BREW /api/x HTTP/1.1\r\n\(host)\r\n",
                status: 404),
            Case(name: "OPTIONS", request: "OPTIONS /api/x HTTP/1.1\r\n\(host)\r\n", status: 404),
            Case(
                name: "HEAD", request: "HEAD /api/x HTTP/1.1\r\n\(host)\r\n", status: 404,
                isBare: true),
            Case(
                name: "a wrong method", request: "DELETE /api/health HTTP/1.1\r\n\(host)\r\n",
                status: 405, allow: "GET, HEAD"),
            Case(
                name: "OPTIONS of health", request: "OPTIONS /api/health HTTP/1.1\r\n\(host)\r\n",
                status: 405, allow: "GET, HEAD"),
            Case(
                name: "a wrong method of live", request: "POST /api/live HTTP/1.1\r\n\(host)\r\n",
                status: 405, allow: "GET, HEAD"),
            Case(
                name: "a path that is no UTF-8", request: "GET /api/%FF HTTP/1.1\r\n\(host)\r\n",
                status: 404),
            Case(
                name: "a query that is no UTF-8",
                request: "GET /api/x?a=%FF HTTP/1.1\r\n\(host)\r\n", status: 400),
            Case(
                name: "a body that is too long",
                request: "POST /api/x HTTP/1.1\r\n\(host)Content-Length: 2001\r\n\r\n",
                status: 413),
            Case(
                name: "chunks that are too long",
                request: "POST /api/x HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\n7d1\r\n"
                    + String(repeating: "x", count: 2001),
                status: 413),
            Case(
                name: "chunks that are none",
                request: "POST /api/x HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\nx\r\n",
                status: 400
            ),
            Case(
                name: "a malformed field", request: "GET /api/x HTTP/1.1\r\n\(host)X : y\r\n\r\n",
                status: 400),
            Case(name: "no host", request: "GET /api/x HTTP/1.1\r\n\r\n", status: 400),
            Case(
                name: "an empty line in front, and no host",
                request: "\r\nGET /api/x HTTP/1.1\r\n\r\n", status: 400),
            Case(
                name: "a bad letter in the path", request: "GET /api/x#y HTTP/1.1\r\n\(host)\r\n",
                status: 400),
            Case(
                name: "another version", request: "GET /api/x HTTP/2.0\r\n\(host)\r\n",
                status: 505),
            Case(
                name: "two lengths",
                request:
                    "POST /api/x HTTP/1.1\r\n\(host)Content-Length: 2\r\nContent-Length: 2\r\n"
                    + "\r\nhi",
                status: 400),
            Case(
                name: "a target that is too long",
                request: "GET /api/\(String(repeating: "x", count: 4090)) HTTP/1.1\r\n", status: 414
            ),
            Case(
                name: "a head that is too long",
                request: "GET /api/x HTTP/1.1\r\nX: \(String(repeating: "x", count: 4090))\r\n",
                status: 431),
            Case(
                name: "an expectation that nobody has",
                request:
                    "POST /api/x HTTP/1.1\r\n\(host)Expect: tea\r\nContent-Length: 2\r\n\r\nhi",
                status: 417),
            Case(
                name: "a head that never ends", request: "GET /api/x HTTP/1.1\r\n\(host)",
                status: 408),
            Case(
                name: "a body that never ends",
                request: "POST /api/x HTTP/1.1\r\n\(host)Content-Length: 2\r\n\r\nh", status: 408),
        ]
    }

    @Test("is used for every path under /api/ and every error", arguments: Case.all)
    func table(_ example: Case) throws {
        let node = try TestNode {
            $0.live.limits.bodyBytes = 2000
            $0.live.limits.headerBytes = 4096
            $0.live.limits.body = .milliseconds(300)
            $0.live.limits.header = example.status == 408 ? .seconds(2) : .seconds(60)
        }
        let stream = try ByteStream(port: node.port)
        try stream.send(example.request)
        let reply: HTTPReply
        if example.isBare {
            let head = try #require(try stream.line())
            #expect(head.hasPrefix("HTTP/1.1 \(example.status)"))
            return
        } else {
            reply = try HTTPReply(from: stream)
        }
        #expect(reply.status == example.status, "\(reply)")
        let body = try JSONObject(reply.body)
        #expect(body.bool("success") == false && body["error"]?.isEmpty == false, "\(reply.body)")
        #expect(reply.fields["allow"] == example.allow)
        #expect(reply.fields["vary"] == "Origin" && reply.fields["cache-control"] == "no-store")
    }

    @Test("is not used for other paths, even on the same connection")
    func others() throws {
        let node = try TestNode()
        let stream = try ByteStream(port: node.port)
        try stream.send(
            "GET /api/x HTTP/1.1\r\n\(Self.host)\r\n"
                + "GET /apiary HTTP/1.1\r\n\(Self.host)\r\nGET / HTTP/1.1\r\nX : y\r\n\r\n")
        #expect(try JSONObject(HTTPReply(from: stream).body).bool("success") == false)
        for _ in 1...2 {
            #expect(try JSONObject(HTTPReply(from: stream).body).bool("success") == nil)
        }
    }
}

@Suite("/api/live", .ownThread)
struct LivenessTests {
    @Test("answers as long as the loops run: without a store, in a drain, on a full node")
    func alive() throws {
        let node = try TestNode { $0.live.limits.connections = 1 }
        func expectLive() throws {
            for path in ["/api/live", "/api/live/"] {
                let reply = try HTTPReply.get(
                    path, port: node.port, fields: ["Origin": "http://evil.test"])
                #expect(
                    reply.status == 200 && reply.fields["cache-control"] == "no-store", "\(reply)")
                let body = try JSONObject(reply.body)
                #expect(
                    body["status"] == "live" && body["node"] == "test"
                        && body.number("uptime_seconds") != nil)
            }
            let head = try HTTPReply.request("HEAD", "/api/live", port: node.port)
            #expect(head.status == 200 && head.body.isEmpty)
        }
        try expectLive()
        let client = try node.echo()
        try expectLive()
        node.store.fail(.probe)
        try Deadline.wait(
            for: "health to be degraded",
            untilTrue: { try HTTPReply.get("/api/health", port: node.port).status == 503 })
        try expectLive()
        node.gateway.refuseClients()
        try expectLive()
        client.dropConnection()
    }
}
