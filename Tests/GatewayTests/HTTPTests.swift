import Configuration
import EventLoop
import Gateway
import GatewayTestSupport
import Glibc
import HTTPWire
import TestKit
import Testing

@Suite("HTTP on the client port")
struct HTTPTests {
    private let node: TestNode

    init() throws {
        self.node = try TestNode { setup in
            setup.live.limits.bodyBytes = 2000
            setup.live.limits.headerBytes = 4096
        }
    }

    /// One request that should be understood or refused; the next one on the same connection says whether it stays open.
    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let request: String
        let status: Int
        var staysOpen = false
        var field: (name: String, value: String)?

        init(
            _ description: String, _ request: String, _ status: Int, staysOpen: Bool = false,
            field: (String, String)? = nil
        ) {
            self.testDescription = description
            self.request = request
            self.status = status
            self.staysOpen = staysOpen
            self.field = field
        }

        static let host = "Host: here\r\n"
        static let upgrade =
            "Host: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"

        static let all = [
            Case(
                "health", "GET /api/health HTTP/1.1\r\n\(host)\r\n", 200, staysOpen: true,
                field: ("content-type", "application/json")),
            Case(
                "health with a slash", "GET /api/health/ HTTP/1.1\r\n\(host)\r\n", 200,
                staysOpen: true),
            Case("health of HTTP/1.0", "GET /api/health HTTP/1.0\r\n\r\n", 200),
            Case(
                "an absolute target", "GET http://here/api/health HTTP/1.1\r\n\(host)\r\n", 200,
                staysOpen: true),
            Case(
                "asked to close", "GET /api/health HTTP/1.1\r\n\(host)Connection: close\r\n\r\n",
                200, field: ("connection", "close")),
            Case("an unknown path", "GET /nothing HTTP/1.1\r\n\(host)\r\n", 404, staysOpen: true),
            Case(
                "an unknown path with a body",
                "POST /nothing HTTP/1.1\r\n\(host)Content-Length: 2\r\n\r\nhi", 404, staysOpen: true
            ),
            Case(
                "an unknown path with chunks",
                "POST /nothing HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
                404,
                staysOpen: true),
            Case(
                "half a conversation", "GET /conversations/ HTTP/1.1\r\n\(host)\r\n", 404,
                staysOpen: true),
            Case("OPTIONS *", "OPTIONS * HTTP/1.1\r\n\(host)\r\n", 404, staysOpen: true),
            Case(
                "two slashes behind health", "GET /api/health// HTTP/1.1\r\n\(host)\r\n", 404,
                staysOpen: true),
            Case(
                "a wrong method", "DELETE /api/health HTTP/1.1\r\n\(host)\r\n", 405,
                staysOpen: true, field: ("allow", "GET, HEAD")),
            Case(
                "POST to a WebSocket path", "POST /conversations/1/ HTTP/1.1\r\n\(host)\r\n", 405,
                staysOpen: true, field: ("allow", "GET")),
            Case(
                "a body to a WebSocket path",
                "POST /conversations/1/ HTTP/1.1\r\n\(host)Content-Length: 2\r\n\r\nhi", 405),
            Case(
                "GET of a WebSocket path", "GET /conversations/1 HTTP/1.1\r\n\(host)\r\n", 426,
                staysOpen: true,
                field: ("upgrade", "websocket")),
            Case(
                "GET of the echo", "GET /echo HTTP/1.1\r\n\(host)\r\n", 426, staysOpen: true,
                field: ("sec-websocket-version", "13")),
            Case(
                "an upgrade without a key", "GET /echo HTTP/1.1\r\n\(upgrade)\r\n", 400,
                staysOpen: true),
            Case(
                "an upgrade of a foreign page",
                "GET /echo HTTP/1.1\r\n\(upgrade)Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://evil\r\n\r\n",
                403,
                staysOpen: true),
            Case(
                "an old WebSocket",
                "GET /echo HTTP/1.1\r\n\(upgrade.replacing("13", with: "8"))\r\n", 426,
                staysOpen: true),
            Case(
                "a query that is no UTF-8",
                "GET /conversations/1/?token=%FF HTTP/1.1\r\n\(host)\r\n", 400, staysOpen: true),
            Case(
                "a body that says it is too long",
                "POST /nothing HTTP/1.1\r\n\(host)Content-Length: 2001\r\n\r\n", 413),
            Case(
                "chunks that are too long",
                "POST /nothing HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\n7d1\r\n"
                    + String(repeating: "x", count: 2001), 413),
            Case(
                "a target that is too long",
                "GET /\(String(repeating: "x", count: 4090)) HTTP/1.1\r\n", 414),
            Case(
                "an expectation that nobody has",
                "POST /nothing HTTP/1.1\r\n\(host)Expect: tea\r\nContent-Length: 2\r\n\r\nhi", 417),
            Case(
                "a head that is too long",
                "GET / HTTP/1.1\r\nX: \(String(repeating: "x", count: 4090))\r\n", 431),
            Case(
                "too many fields",
                "GET / HTTP/1.1\r\n\(host)" + String(repeating: "X: y\r\n", count: 101) + "\r\n",
                431),
            Case("another version", "GET / HTTP/2.0\r\n\(host)\r\n", 505),
            Case("no host", "GET /api/health HTTP/1.1\r\n\r\n", 400),
            Case("no HTTP at all", "SSH-2.0-OpenSSH_9.2\r\n\r\n", 400),
            // What a proxy in front might read otherwise.
            Case("two hosts", "GET / HTTP/1.1\r\n\(host)Host: there\r\n\r\n", 400),
            Case(
                "two lengths",
                "POST / HTTP/1.1\r\n\(host)Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi", 400),
            Case(
                "a length and chunks",
                "POST / HTTP/1.1\r\n\(host)Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                400),
            Case(
                "a length with a sign", "POST / HTTP/1.1\r\n\(host)Content-Length: +2\r\n\r\nhi",
                400),
            Case(
                "another coding",
                "POST / HTTP/1.1\r\n\(host)Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
            Case(
                "two codings",
                "POST / HTTP/1.1\r\n\(host)Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
            Case("a bare line feed", "GET / HTTP/1.1\nHost: here\n\n", 400),
            Case("a blank before the colon", "GET / HTTP/1.1\r\nHost : here\r\n\r\n", 400),
            Case("a folded line", "GET / HTTP/1.1\r\n\(host)X: a\r\n b\r\n\r\n", 400),
            Case(
                "a chunk that is longer than it says",
                "POST /nothing HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\n1\r\nhi\r\n0\r\n\r\n",
                400),
        ]
    }

    @Test(
        "answers each request with a status and a sentence, and keeps the connection where that is safe",
        arguments: Case.all)
    func table(_ example: Case) throws {
        let stream = try ByteStream(port: self.node.port)
        try stream.send(example.request)
        let reply = try HTTPReply(from: stream)
        #expect(reply.status == example.status, "\(reply.body)")
        let body = try JSONObject(reply.body)
        if reply.status != 200 { #expect(body["error"]?.hasSuffix(".") == true, "\(body)") }
        if let field = example.field { #expect(reply.fields[field.name] == field.value) }
        #expect(reply.fields["date"] != nil)
        if example.staysOpen {
            #expect(reply.fields["connection"] != "close")
            try stream.send("GET /api/health HTTP/1.1\r\nHost: here\r\n\r\n")
            #expect(try HTTPReply(from: stream).status == 200)
        } else {
            // Whatever stands behind is no second request.
            #expect(reply.fields["connection"] == "close")
            #expect(stream.readToEnd())
            #expect(try stream.peek(atLeast: 0).isEmpty)
        }
    }

    @Test("answers the same however the request is cut", arguments: [1, 3, 7])
    func cut(_ size: Int) throws {
        let stream = try ByteStream(port: self.node.port)
        let requests =
            "POST /nothing HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\nhello"
            + "GET /api/health HTTP/1.1\r\nHost: here\r\n\r\n"
            + "POST /nothing HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n"
            + "GET /api/health HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
        let bytes = Array(requests.utf8)
        for start in stride(from: 0, to: bytes.count, by: size) {
            try stream.send(Array(bytes[start..<min(start + size, bytes.count)]))
        }
        #expect(
            try (0..<4).map { _ in try HTTPReply(from: stream).status } == [404, 200, 404, 200])
        #expect(stream.readToEnd())
    }

    @Test("answers a thousand requests of one write, in order")
    func pipelining() throws {
        let stream = try ByteStream(port: self.node.port)
        try stream.send(
            (0..<500).map { _ in
                "GET /api/health HTTP/1.1\r\nHost: here\r\n\r\nGET /no HTTP/1.1\r\nHost: here\r\n\r\n"
            }.joined())
        for _ in 0..<500 {
            #expect(try HTTPReply(from: stream).status == 200)
            #expect(try HTTPReply(from: stream).status == 404)
        }
    }

    @Test("reads no further request while answers wait to be taken")
    func pipeliningWithoutReading() throws {
        let stream = try ByteStream(port: self.node.port, receiveBytes: 4096)
        let request = "GET /api/health HTTP/1.1\r\nHost: here\r\n\r\n"
        // So much that the answers do not fit into any buffer of the kernel's.
        let requests = Array(String(repeating: request, count: 2000).utf8)
        var sent = 0
        while sent < 60, (try? stream.send(requests, within: .milliseconds(500))) != nil {
            sent += 1
        }
        #expect(sent < 60, "120,000 requests were read, and nobody took the answers")
        #expect(self.node.gateway.connectionCount == 1)
        for _ in 0..<2000 { #expect(try HTTPReply(from: stream).status == 200) }
    }

    @Test(
        "leaves the body out after HEAD, also of an error",
        arguments: [("/api/health", 200), ("/nothing", 404), ("/conversations/1/", 405)])
    func head(path: String, status: Int) throws {
        let stream = try ByteStream(port: self.node.port)
        try stream.send("HEAD \(path) HTTP/1.1\r\nHost: here\r\n\r\n")
        #expect(try stream.line()?.hasPrefix("HTTP/1.1 \(status) ") == true)
        var length: String?
        while let line = try stream.line(), !line.isEmpty {
            if line.lowercased().hasPrefix("content-length: ") {
                length = String(line.dropFirst(16))
            }
        }
        #expect(length.flatMap { Int($0) }.map { $0 > 10 } == true)
        try stream.send("GET /api/health HTTP/1.1\r\nHost: here\r\n\r\n")
        #expect(try HTTPReply(from: stream).status == 200)
    }

    @Test("asks for the body that a client holds back")
    func expectation() throws {
        let stream = try ByteStream(port: self.node.port)
        try stream.send(
            "POST /nothing HTTP/1.1\r\nHost: here\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        )
        #expect(try stream.line() == "HTTP/1.1 100 Continue")
        #expect(try stream.line() == "")
        try stream.send("hi")
        #expect(try HTTPReply(from: stream).status == 404)
        // Of a body that is too long it wants nothing.
        try stream.send(
            "POST /nothing HTTP/1.1\r\nHost: here\r\nExpect: 100-continue\r\nContent-Length: 200000\r\n\r\n"
        )
        #expect(try HTTPReply(from: stream).status == 413)
    }

    @Test("tells of the node in its health")
    func health() throws {
        let reply = try HTTPReply.get("/api/health", port: self.node.port)
        let body = try JSONObject(reply.body)
        #expect(body["status"] == "healthy" && body["node"] == "test" && body["version"] == "0")
        #expect(body.number("uptime_seconds").map { $0 >= 0 } == true)
        #expect(reply.fields["cache-control"] == "no-store")
    }

    @Test("tells of a store that fails, and of its recovery")
    func failingStore() throws {
        self.node.store.fail(.probe)
        try Deadline.wait(
            for: "health to be degraded",
            untilTrue: { try HTTPReply.get("/api/health", port: self.node.port).status == 503 })
        let body = try JSONObject(HTTPReply.get("/api/health", port: self.node.port).body)
        #expect(body["status"] == "degraded" && body["reason"] == "store: the disk is on fire")
        self.node.store.fail()
        try Deadline.wait(
            for: "health to be good again",
            untilTrue: { try HTTPReply.get("/api/health", port: self.node.port).status == 200 })
        #expect(try !self.node.log("store request failed", atLeast: 1).isEmpty)
    }
}

@Suite("HTTP that takes its time")
struct SlowHTTPTests {
    @Test("is told so when it has begun a request, and left without a word when it has not")
    func timeouts() throws {
        let node = try TestNode { setup in
            setup.live.limits.header = .seconds(2)
            setup.live.limits.body = .seconds(2)
        }
        let silent = try ByteStream(port: node.port)
        let halfHead = try ByteStream(port: node.port)
        try halfHead.send("GET / HTTP/1.1\r\nHo")
        let halfBody = try ByteStream(port: node.port)
        try halfBody.send("POST /nothing HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\nhel")
        for stream in [halfHead, halfBody] {
            let reply = try HTTPReply(from: stream)
            #expect(reply.status == 408)
            #expect(try JSONObject(reply.body)["error"] != nil)
            #expect(stream.readToEnd())
        }
        #expect(silent.readToEnd())
        #expect(try silent.peek(atLeast: 0).isEmpty)
        for stream in [silent, halfHead, halfBody] { stream.close() }
        try node.waitForConnections(0)
    }

    @Test("has no more time for a head that comes drop by drop, not even for the second one")
    func drops() throws {
        let node = try TestNode { $0.live.limits.header = .seconds(2) }
        let stream = try ByteStream(port: node.port)
        try stream.send("GET /api/health HTTP/1.1\r\nHost: here\r\n\r\n")
        #expect(try HTTPReply(from: stream).status == 200)
        let deadline = Deadline(within: .seconds(20))
        var count = 0
        while !deadline.isExpired, (try? stream.peek(atLeast: 1, within: .milliseconds(100))) == nil
        {
            try stream.send(count == 0 ? "G" : count < 4 ? "GET"[count] : "/")
            count += 1
        }
        #expect(try HTTPReply(from: stream).status == 408)
        #expect(count < 50, "it was let drip for \(count) tenths of a second")
    }

    @Test("may keep a connection, until it is idle for too long")
    func idle() throws {
        let node = try TestNode { $0.live.limits.idle = .milliseconds(300) }
        let stream = try ByteStream(port: node.port)
        try stream.send("GET /api/health HTTP/1.1\r\nHost: here\r\n\r\n")
        #expect(try HTTPReply(from: stream).status == 200)
        #expect(stream.readToEnd())
        #expect(try stream.peek(atLeast: 0).isEmpty)
    }
}

@Suite("Large answers")
struct LargeResponseTests {
    /// Ten megabytes of letters.
    private struct LargeResponseHandler: RequestHandler {
        static let count = 10 << 20

        func answer(_ request: HTTPRequest, body: [UInt8]) throws(HTTPError) -> HTTPResponse {
            HTTPResponse(
                contentType: "text/plain",
                body: [UInt8](
                    repeating: UInt8(ascii: request.path == "/b" ? "b" : "a"), count: Self.count))
        }
    }

    private static func node(_ change: (inout TestNode.NodeOptions) -> Void = { _ in }) throws
        -> TestNode
    {
        try TestNode { setup in
            setup.settings.adminHost = "127.0.0.1"
            setup.admin = LargeResponseHandler()
            change(&setup)
        }
    }

    @Test("arrive whole, one behind the other, though they are more than may wait for a socket")
    func whole() throws {
        let node = try Self.node()
        let stream = try ByteStream(port: node.gateway.adminAddress!.port, receiveBytes: 65_536)
        try stream.send(
            "GET /a HTTP/1.1\r\nHost: here\r\n\r\nGET /b HTTP/1.1\r\nHost: here\r\n\r\n")
        for letter in ["a", "b"] {
            let reply = try HTTPReply(from: stream)
            #expect(reply.body.utf8.count == LargeResponseHandler.count)
            #expect(reply.body.utf8.allSatisfy { $0 == letter.utf8.first })
        }
    }

    @Test("arrive whole at a client that has said that it will send no more")
    func halfClosed() throws {
        let node = try Self.node()
        let stream = try ByteStream(port: node.gateway.adminAddress!.port, receiveBytes: 65_536)
        try stream.send("GET /a HTTP/1.1\r\nHost: here\r\n\r\n")
        stream.finishSending()
        #expect(try HTTPReply(from: stream).body.utf8.count == LargeResponseHandler.count)
        #expect(stream.readToEnd())
    }

    @Test("have as long as the client takes something")
    func slowClient() throws {
        // Of a connection that is to end: five seconds from the last byte that was taken.
        let node = try Self.node { $0.live.limits.idle = .seconds(3) }
        let stream = try ByteStream(port: node.gateway.adminAddress!.port, receiveBytes: 65_536)
        try stream.send("GET /a HTTP/1.1\r\nHost: here\r\n\r\n")
        // A slow client takes something twice a second, and is at it for longer than the limit.
        for step in 1...8 {
            _ = try stream.peek(atLeast: step * 300_000)
            poll(nil, 0, 500)
        }
        #expect(!stream.isClosed)
        #expect(try HTTPReply(from: stream).body.utf8.count == LargeResponseHandler.count)
    }
}

extension String {
    fileprivate subscript(_ place: Int) -> String { String(Array(self)[place - 1]) }
}
