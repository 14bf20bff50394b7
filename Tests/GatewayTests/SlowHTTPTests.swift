import ChatModel
import Configuration
import EventLoop
import Gateway
import GatewayTestSupport
import Glibc
import HTTPWire
import TestKit
import TestTraits
import Testing

@Suite("A slow HTTP client", .ownThread)
struct SlowHTTPTests {
    @Test("gets 408 if it has begun a request, and otherwise no response")
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

    @Test(
        "has no more time for a head or a body that arrives byte by byte",
        arguments: [
            "GET /", "POST /nothing HTTP/1.1\r\nHost: here\r\nContent-Length: 1000\r\n\r\n",
        ])
    func drops(beginning: String) throws {
        let node = try TestNode { setup in
            setup.live.limits.header = .seconds(2)
            setup.live.limits.body = .seconds(2)
        }
        let stream = try ByteStream(port: node.port)
        try stream.send("GET /api/health HTTP/1.1\r\nHost: here\r\n\r\n")
        #expect(try HTTPReply(from: stream).status == 200)
        // The second request of the connection.
        try stream.send(beginning)
        let deadline = Deadline()
        // The server may close the connection between a look at it and the next byte.
        while !deadline.isExpired,
            (try? stream.peek(atLeast: 1, within: .milliseconds(100))) == nil,
            (try? stream.send("x")) != nil
        {}
        #expect(try HTTPReply(from: stream).status == 408)
    }

    @Test("may keep a connection until the idle timeout")
    func idle() throws {
        let node = try TestNode { $0.live.limits.httpIdle = .milliseconds(300) }
        let stream = try ByteStream(port: node.port)
        try stream.send("GET /api/health HTTP/1.1\r\nHost: here\r\n\r\n")
        #expect(try HTTPReply(from: stream).status == 200)
        #expect(stream.readToEnd())
        #expect(try stream.peek(atLeast: 0).isEmpty)
    }
}

@Suite("Large responses", .ownThread)
struct LargeResponseTests {
    /// Responds with ten megabytes of letters.
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

    @Test("arrive complete and in order, although they exceed the limit of pending bytes")
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

    @Test("arrive complete at a client that has shut down its sending side")
    func halfClosed() throws {
        let node = try Self.node()
        let stream = try ByteStream(port: node.gateway.adminAddress!.port, receiveBytes: 65_536)
        try stream.send("GET /a HTTP/1.1\r\nHost: here\r\n\r\n")
        stream.finishSending()
        #expect(try HTTPReply(from: stream).body.utf8.count == LargeResponseHandler.count)
        #expect(stream.readToEnd())
    }

    @Test("continue as long as the client receives something")
    func slowClient() throws {
        // A connection that is closing has five seconds since the client last received something.
        let limit = Duration.seconds(3)
        let node = try Self.node { $0.live.limits.idle = limit }
        let stream = try ByteStream(port: node.gateway.adminAddress!.port, receiveBytes: 65_536)
        try stream.send("GET /a HTTP/1.1\r\nHost: here\r\n\r\n")
        // The client receives at most 600 kB per second, for longer than the limit.
        let start = ContinuousClock.now
        var count = 0
        try Deadline.wait(
            for: "a time longer than the limit",
            untilTrue: {
                let elapsed = ContinuousClock.now - start
                if elapsed > .seconds(Double(count) / 600_000) {
                    count = try stream.peek(atLeast: count + 1).count
                }
                return stream.isClosed || elapsed > limit + .seconds(1)
            })
        #expect(!stream.isClosed)
        #expect(count < LargeResponseHandler.count)
        #expect(try HTTPReply(from: stream).body.utf8.count == LargeResponseHandler.count)
    }
}
