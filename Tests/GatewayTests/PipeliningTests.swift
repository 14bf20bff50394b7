import ChatModel
import Configuration
import ConversationsDialect
import DialectKit
import EngineIO
import GatewayTestSupport
import HTTPWire
import Identity
import RoomsDialect
import Synchronization
import Telemetry
import TestKit
import TestTraits
import Testing

@testable import Gateway

/// Clients that send further requests before they have received the responses.
@Suite("A client that pipelines requests", .ownThread)
struct PipeliningTests {
    /// Answers outside the loop, once the test opens it.
    private final class GatedHandler: RequestHandler {
        private let state = Mutex((started: 0, isOpen: false))
        let bodyBytes: Int

        init(bodyBytes: Int, isOpen: Bool) {
            self.bodyBytes = bodyBytes
            self.state.withLock { $0.isOpen = isOpen }
        }

        var startedCount: Int { self.state.withLock { $0.started } }
        func open() { self.state.withLock { $0.isOpen = true } }

        func answer(_ request: HTTPRequest, body: [UInt8]) throws(HTTPError) -> HTTPResponse {
            throw .notFound
        }

        func asyncResponse(
            for request: HTTPRequest, body: [UInt8]
        ) throws(HTTPError) -> AsyncResponse? {
            let text = Array(request.path.suffix(1).utf8)
            let filler = [UInt8](repeating: UInt8(ascii: "."), count: self.bodyBytes - text.count)
            self.state.withLock { $0.started += 1 }
            return { () async throws(HTTPError) -> HTTPResponse in
                while !self.state.withLock({ $0.isOpen }) { await Task.yield() }
                return HTTPResponse(contentType: "text/plain", body: text + filler)
            }
        }
    }

    /// Answers at once with a response that is not paced.
    private struct SmallHandler: RequestHandler {
        static let bodyBytes = 15_000

        func answer(_ request: HTTPRequest, body: [UInt8]) throws(HTTPError) -> HTTPResponse {
            HTTPResponse(
                contentType: "text/plain",
                body: [UInt8](repeating: UInt8(ascii: "s"), count: Self.bodyBytes))
        }
    }

    /// Enough small responses to exceed the kernel's buffers. Their requests fit into one read.
    private static let smallCount = 600

    private static func node(
        _ handler: GatedHandler, dialects: [any Dialect] = TestNode.allDialects,
        _ change: (inout TestNode.NodeOptions) -> Void = { _ in }
    ) throws -> TestNode {
        try TestNode(dialects: dialects) { setup in
            setup.live.limits.allowEverything()
            setup.live.limits.outboundBytes = 64 << 20
            setup.routes = [
                .api("/api/gated/**", handler), .page("/small", SmallHandler()),
            ]
            change(&setup)
        }
    }

    private static func get(_ path: String) -> String {
        "GET \(path) HTTP/1.1\r\nHost: here\r\n\r\n"
    }

    /// Each request takes at least one turn of the node's loop.
    private static func runTurns(_ count: Int, of node: TestNode) throws {
        for _ in 1...count {
            #expect(try HTTPReply.get("/api/health", port: node.port).status == 200)
        }
    }

    @Test("and receives nothing is read no further than its responses can be sent")
    func largeResponses() throws {
        let handler = GatedHandler(bodyBytes: 1 << 20, isOpen: true)
        let node = try Self.node(handler)
        let stream = try ByteStream(port: node.port, receiveBytes: 65_536)
        let count = 40
        try stream.send(String(repeating: Self.get("/api/gated/x"), count: count))
        try Self.runTurns(4 * count, of: node)
        #expect(handler.startedCount < count / 2)
        for _ in 1...count { #expect(try HTTPReply(from: stream).body.utf8.count == 1 << 20) }
        #expect(handler.startedCount == count)
    }

    @Test("behind a poll is read once the response to the poll is sent")
    func largePoll() throws {
        let byteCount = 5 << 20
        let handler = GatedHandler(bodyBytes: 10, isOpen: true)
        // A ping would answer the poll before a slow machine has sent the message.
        let rooms = RoomsDialect(
            key: RecoveryKey(derivedFrom: TestNode.secret, cluster: "test"),
            engine: EngineSettings(pingInterval: 3_600_000))
        let node = try Self.node(handler, dialects: [ConversationsDialect(), rooms]) {
            $0.live.limits.contentBytes = byteCount
            $0.live.limits.messageBytes = 2 * byteCount
            $0.live.limits.frameBytes = 2 * byteCount
        }
        let ann = try node.conversationClient("ann")
        let session = try PollingClient(port: node.port)
        try session.connectNamespace(token: TestNode.token("bob"))
        try session.post(#"42["join_room",{"room_id":"room"}]"#)
        while try session.packets(1).last?.hasPrefix(#"42["offset","#) != true {}
        let stream = try ByteStream(port: node.port, receiveBytes: 65_536)
        try stream.send(Self.get(session.path) + Self.get("/api/gated/a"))
        try ann.send(ConversationsFrames.message(String(repeating: "x", count: byteCount)))
        // The response exceeds the kernel's buffers.
        _ = try stream.peek(atLeast: 100_000)
        try Self.runTurns(20, of: node)
        #expect(handler.startedCount == 0)
        #expect(try HTTPReply(from: stream).body.utf8.count > byteCount)
        #expect(try HTTPReply(from: stream).body.hasPrefix("a"))
    }

    @Test("gets an asynchronous response before the responses to later requests")
    func order() throws {
        let handler = GatedHandler(bodyBytes: 10, isOpen: false)
        let node = try Self.node(handler)
        let stream = try ByteStream(port: node.port, receiveBytes: 65_536)
        try stream.send(
            String(repeating: Self.get("/small"), count: Self.smallCount)
                + Self.get("/api/gated/a") + Self.get("/api/gated/b"))
        // The unsent responses are sent while the asynchronous one is being computed.
        for _ in 1...Self.smallCount {
            #expect(try HTTPReply(from: stream).body.utf8.count == SmallHandler.bodyBytes)
        }
        try Self.runTurns(20, of: node)
        #expect(handler.startedCount == 1)
        handler.open()
        for letter in ["a", "b"] {
            #expect(try HTTPReply(from: stream).body.hasPrefix(letter))
        }
    }

    /// The token makes the chat engine decide about the upgrade.
    private static func agentPath(_ channel: String) throws -> String {
        let token = try TestNode.token("root", grants: .none, isAdmin: true)
        return "/v1/ws?channel_id=\(channel)&token=\(token)"
    }

    @Test("gets the decision about a WebSocket before its next request is read")
    func upgrades() throws {
        let node = try Self.node(GatedHandler(bodyBytes: 10, isOpen: true))
        node.store.close(.other)
        let stream = try ByteStream(port: node.port, receiveBytes: 65_536)
        let requests = try ["one", "two"].map {
            TestNode.upgradeRequest(try Self.agentPath($0))
        }
        try stream.send(
            String(repeating: Self.get("/small"), count: Self.smallCount) + requests.joined())
        for _ in 1...Self.smallCount { #expect(try HTTPReply(from: stream).status == 200) }
        try Self.runTurns(20, of: node)
        #expect(node.store.blockedCount == 1, "the second request was read too early")
        node.store.open()
        for _ in 1...2 { #expect(try HTTPReply(from: stream).status == 403) }
    }

    @Test("gets the decision about a WebSocket even if the node begins to drain before it")
    func drain() throws {
        let node = try Self.node(GatedHandler(bodyBytes: 10, isOpen: true))
        let ann = try node.conversationClient("ann")
        node.store.close(.other)
        let stream = try ByteStream(port: node.port)
        try stream.send(TestNode.upgradeRequest(Self.agentPath("nowhere")))
        try Deadline.wait(for: "the question", untilTrue: { node.store.blockedCount > 0 })
        node.gateway.drain(over: .zero)
        #expect(
            try ann.closeEvent()
                == .close(code: 1012, reason: "the node is going down; connect again"))
        node.store.open()
        let reply = try HTTPReply(from: stream)
        #expect(reply.status == 403 && reply.fields["connection"] == "close")
        #expect(stream.readToEnd())
    }

    @Test("after a poll is read only a little until the poll is answered")
    func behindPoll() throws {
        let node = try Self.node(GatedHandler(bodyBytes: 10, isOpen: true))
        let session = try PollingClient(port: node.port)
        let stream = try ByteStream(port: node.port)
        let padding = "X-Padding: \(String(repeating: "x", count: 1000))\r\n"
        let request = "GET /api/health HTTP/1.1\r\nHost: here\r\n\(padding)\r\n"
        let count = 300
        try stream.send(
            Self.get(session.path) + String(repeating: request, count: count))
        try Self.runTurns(count, of: node)
        let metrics = try node.metrics("every request to be counted") {
            $0.value(of: .httpRequests) == Double(count + 2)
        }
        #expect(try #require(metrics.value(of: .receivedBytes)) < 150_000)
        try session.post("40{}")
        #expect(try HTTPReply(from: stream).body.hasPrefix("44"))
        for _ in 1...count { #expect(try HTTPReply(from: stream).status == 200) }
    }
}
