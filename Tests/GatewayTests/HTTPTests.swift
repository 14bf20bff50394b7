import ChatModel
import Configuration
import DialectKit
import EventLoop
import Gateway
import GatewayTestSupport
import Glibc
import HTTPWire
import TestKit
import TestTraits
import Testing

@Suite("HTTP on the client port", .ownThread)
struct HTTPTests {
    private let node: TestNode

    /// Accepts any body of a client with an `Authorization`.
    private struct Notes: RequestHandler {
        func checkBeforeBody(_ request: HTTPRequest) throws(HTTPError) {
            guard request.authorization != nil else {
                throw HTTPError(.unauthorized, "A token is required.")
            }
        }

        func answer(_ request: HTTPRequest, body: [UInt8]) throws(HTTPError) -> HTTPResponse {
            try self.checkBeforeBody(request)
            return HTTPResponse(.created, body: [])
        }
    }

    init() throws {
        self.node = try TestNode { setup in
            setup.live.limits.allowEverything()
            setup.live.limits.bodyBytes = 2000
            setup.live.limits.headerBytes = 4096
            setup.routes = [.api("/api/notes", Notes())]
        }
    }

    /// One request that must be accepted or refused. A second request on the connection shows
    /// whether it stays open.
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
            "Host: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            + "Sec-WebSocket-Version: 13\r\n"

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
                "POST /nothing HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\n"
                    + "2\r\nhi\r\n0\r\n\r\n",
                404, staysOpen: true),
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
                TestNode.upgradeRequest("/echo", lines: "Origin: http://evil\r\n"), 403,
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
            // A proxy in front of the node could interpret these differently.
            Case("two hosts", "GET / HTTP/1.1\r\n\(host)Host: there\r\n\r\n", 400),
            Case(
                "two lengths",
                "POST / HTTP/1.1\r\n\(host)Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi", 400),
            Case(
                "a length and chunks",
                "POST / HTTP/1.1\r\n\(host)Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + "0\r\n\r\n",
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
                "POST /nothing HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\n"
                    + "1\r\nhi\r\n0\r\n\r\n",
                400),
        ]
    }

    @Test(
        "answers with a status and a sentence, and keeps the connection open if that is safe",
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
            // The bytes after it are not a second request.
            #expect(reply.fields["connection"] == "close")
            #expect(stream.readToEnd())
            #expect(try stream.peek(atLeast: 0).isEmpty)
        }
    }

    @Test("answers the same however the request is split", arguments: [1, 3, 7])
    func cut(_ size: Int) throws {
        let stream = try ByteStream(port: self.node.port)
        let requests =
            "POST /nothing HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\nhello"
            + "GET /api/health HTTP/1.1\r\nHost: here\r\n\r\n"
            + "POST /nothing HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"
            + "5\r\nhello\r\n0\r\nA: b\r\n\r\n"
            + "GET /api/health HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
        let bytes = Array(requests.utf8)
        for start in stride(from: 0, to: bytes.count, by: size) {
            try stream.send(Array(bytes[start..<min(start + size, bytes.count)]))
        }
        #expect(
            try (0..<4).map { _ in try HTTPReply(from: stream).status } == [404, 200, 404, 200])
        #expect(stream.readToEnd())
    }

    @Test("answers a thousand pipelined requests in order")
    func pipelining() throws {
        let stream = try ByteStream(port: self.node.port)
        try stream.send(
            (0..<500).map { _ in
                "GET /api/health HTTP/1.1\r\nHost: here\r\n\r\n"
                    + "GET /no HTTP/1.1\r\nHost: here\r\n\r\n"
            }.joined())
        for _ in 0..<500 {
            #expect(try HTTPReply(from: stream).status == 200)
            #expect(try HTTPReply(from: stream).status == 404)
        }
    }

    @Test("reads no further request while responses are unsent")
    func pipeliningWithoutReading() throws {
        let stream = try ByteStream(port: self.node.port, receiveBytes: 4096)
        let request = "GET /api/health HTTP/1.1\r\nHost: here\r\n\r\n"
        // Enough requests that their responses exceed the kernel's buffers.
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
        "omits the body after HEAD, also for errors",
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

    @Test("requests the body with 100 Continue")
    func expectation() throws {
        let stream = try ByteStream(port: self.node.port)
        let head =
            "POST /api/notes HTTP/1.1\r\nHost: here\r\nAuthorization: Basic x\r\n"
            + "Expect: 100-continue\r\n"
        try stream.send(head + "Content-Length: 2\r\n\r\n")
        #expect(try stream.line() == "HTTP/1.1 100 Continue")
        #expect(try stream.line() == "")
        try stream.send("hi")
        #expect(try HTTPReply(from: stream).status == 201)
        // The node does not request a body that is too long.
        try stream.send(head + "Content-Length: 200000\r\n\r\n")
        #expect(try HTTPReply(from: stream).status == 413)
    }

    @Test(
        "requests no body that it will not read",
        arguments: [("/api/notes", 401), ("/nothing", 404), ("/api/health", 405)])
    func refusedExpectation(path: String, status: Int) throws {
        let stream = try ByteStream(port: self.node.port)
        try stream.send(
            "POST \(path) HTTP/1.1\r\nHost: here\r\nExpect: 100-continue\r\n"
                + "Content-Length: 2\r\n\r\n")
        let reply = try HTTPReply(from: stream)
        #expect(reply.status == status)
        #expect(reply.fields["connection"] == "close")
        #expect(reply.fields["www-authenticate"] == (status == 401 ? "Bearer" : nil))
    }

    @Test("reports the node's health")
    func health() throws {
        let reply = try HTTPReply.get("/api/health", port: self.node.port)
        let body = try JSONObject(reply.body)
        #expect(body["status"] == "healthy" && body["node"] == "test" && body["version"] == "0")
        #expect(body.number("uptime_seconds").map { $0 >= 0 } == true)
        #expect(reply.fields["cache-control"] == "no-store")
    }

    @Test("reports a failed store and its recovery")
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
