import Foundation
import TestKit
import TestTraits
import Testing

/// The requirements of the Engine.IO v4 protocol on a server, with the names of its own test suite.
///
/// Each request of the polling transport uses its own connection, so a load balancer sends each to
/// another node.
@Suite("Engine.IO protocol", .programs, .ownThread)
struct EngineIOConformanceTests {
    /// Expects an error in the format of the reference server.
    func expect(_ reply: HTTPReply, _ code: Int, _ message: String, status: Int = 400) {
        #expect(
            reply.status == status && reply.body == #"{"code":\#(code),"message":"\#(message)"}"#,
            "\(reply)")
    }

    func text(_ client: RawWebSocketClient) throws -> String {
        guard case .text(let text) = try client.next() else { throw TestFailure("no text") }
        return text
    }

    func isClosed(_ client: RawWebSocketClient) throws -> Bool {
        switch try client.next() {
        case .close, .end: true
        default: false
        }
    }

    // MARK: handshake

    @Test(
        "handshake, HTTP long-polling: successfully opens a session", arguments: Deployment.usual
    )
    func pollingHandshake(_ deployment: Deployment) throws {
        let system = try DeployedSystem(deployment)
        let reply = try HTTPReply.get("/socket.io/?EIO=4&transport=polling", port: system.port)
        #expect(reply.status == 200 && reply.fields["content-type"] == "text/plain; charset=UTF-8")
        let open = try JSONObject(String(reply.body.dropFirst()))
        #expect(
            reply.body.hasPrefix("0") && open["sid"] != nil
                && open.strings("upgrades") == ["websocket"])
        #expect(
            open.number("pingInterval") == 25_000 && open.number("pingTimeout") == 20_000
                && open.number("maxPayload") == 1_000_000)
    }

    @Test(
        "handshake: fails with an invalid 'EIO' or 'transport' query parameter, or request method"
    )
    func badHandshakes() throws {
        let server = try ConfabServer()
        for query in ["transport=polling", "EIO=abc&transport=polling", "EIO=3&transport=polling"] {
            self.expect(
                try .get("/socket.io/?\(query)", port: server.port), 5,
                "Unsupported protocol version")
        }
        for query in ["EIO=4", "EIO=4&transport=abc"] {
            self.expect(try .get("/socket.io/?\(query)", port: server.port), 0, "Transport unknown")
        }
        for method in ["POST", "PUT", "DELETE"] {
            let reply = try HTTPReply.request(
                method, "/socket.io/?EIO=4&transport=polling", port: server.port,
                fields: ["Content-Length": "0"])
            self.expect(reply, 2, "Bad handshake method")
        }
        for query in [
            "transport=websocket", "EIO=abc&transport=websocket", "EIO=4", "EIO=4&transport=abc",
        ] {
            #expect(
                try RawWebSocketClient.refusal(of: "/socket.io/?\(query)", port: server.port).status
                    == 400)
        }
    }

    @Test("handshake, WebSocket: successfully opens a session", arguments: Deployment.usual)
    func webSocketHandshake(_ deployment: Deployment) throws {
        let system = try DeployedSystem(deployment)
        let client = try RawWebSocketClient(
            "/socket.io/?EIO=4&transport=websocket", port: system.port)
        let text = try self.text(client)
        let open = try JSONObject(String(text.dropFirst()))
        #expect(text.hasPrefix("0") && open["sid"] != nil && open.strings("upgrades") == [])
    }

    // MARK: message

    @Test(
        "message, HTTP long-polling: sends and receives payloads with one or several text packets",
        arguments: Deployment.usual)
    func pollingMessages(_ deployment: Deployment) throws {
        let system = try DeployedSystem(deployment)
        let session = try PollingClient(port: system.port)
        try session.connectNamespace(token: system.token("ann", conversations: ["r"]))
        try session.post(#"421["nothing",{}]"#)
        #expect(
            try session.packets(1) == [
                #"431[{"ok":false,"error":"event: \"nothing\" is unknown"}]"#
            ])
        try session.post((2...4).map { #"42\#($0)["nothing",{}]"# }.joined(separator: "\u{1E}"))
        #expect(try session.packets(3).map { $0.prefix(3) } == ["432", "433", "434"])
        // Binary packets are base64 in a payload. Socket.IO accepts none without an announcement.
        #expect(try session.post("bAQIDBA==").body == "ok")
        #expect(try session.poll().body == "1")
        self.expect(try session.poll(), 1, "Session ID unknown")
    }

    @Test(
        "message, HTTP long-polling: closes the session upon invalid packet format",
        arguments: Deployment.usual)
    func badPackets(_ deployment: Deployment) throws {
        let system = try DeployedSystem(deployment)
        for body in ["abc", "", "4\u{1E}", "\u{1E}4", "7", "0{}", "2", "5"] {
            let session = try PollingClient(port: system.port)
            self.expect(try session.post(body), 3, "Bad request")
            self.expect(try session.poll(), 1, "Session ID unknown")
            self.expect(try session.post("40"), 1, "Session ID unknown")
        }
    }

    @Test(
        "message, HTTP long-polling: closes the session upon duplicate poll requests",
        arguments: Deployment.usual)
    func twoPolls(_ deployment: Deployment) throws {
        let system = try DeployedSystem(deployment)
        let session = try PollingClient(port: system.port)
        let first = try session.beginPoll()
        // The first poll may still be on its way to the session's node.
        let second = try Deadline.wait(for: "the second poll to be refused") {
            let reply = try session.poll()
            return reply.status == 400 ? reply : nil
        }
        #expect(second.body.contains("Bad request") || second.body.contains("Session ID unknown"))
        let reply = try HTTPReply(from: first)
        #expect(reply.status == 200 && reply.body == "1" || reply.status == 400, "\(reply)")
        self.expect(try session.poll(), 1, "Session ID unknown")
    }

    @Test(
        "message, WebSocket: sends and receives a text packet, closes upon invalid packet format"
    )
    func webSocketMessages() throws {
        let server = try ConfabServer()
        let client = try RawWebSocketClient(
            "/socket.io/?EIO=4&transport=websocket", port: server.port)
        _ = try self.text(client)
        try client.send(#"40{"token":"\#(ConfabServer.token(for: "ann", conversations: []))"}"#)
        #expect(try self.text(client).hasPrefix("40") && self.text(client) == #"42["offset",""]"#)
        try client.send(#"421["nothing",{}]"#)
        #expect(try self.text(client).hasPrefix("431"))
        for bad in ["abc", "", "0{}", "2", "bAQID"] {
            let other = try RawWebSocketClient(
                "/socket.io/?EIO=4&transport=websocket", port: server.port)
            _ = try self.text(other)
            try other.send(bad)
            #expect(try self.isClosed(other), "\(bad)")
        }
    }

    @Test(
        "message, HTTP long-polling: rejects a payload above the limits completely"
    )
    func largePayloads() throws {
        let server = try ConfabServer(["--limit", "engineio-payload-bytes=10000"])
        let session = try PollingClient(port: server.port)
        try session.connectNamespace(token: ConfabServer.token(for: "ann", conversations: []))
        self.expect(
            try session.post("4" + String(repeating: "x", count: 10_000)), 3, "Payload too large",
            status: 413)
        try session.post(#"421["nothing",{}]"#)
        #expect(try session.packets(1)[0].hasPrefix("431"))
        let many = try ConfabServer()
        let flooded = try PollingClient(port: many.port)
        self.expect(
            try flooded.post(Array(repeating: "6", count: 400_000).joined(separator: "\u{1E}")), 3,
            "Payload too large", status: 413)
        #expect(try flooded.post("6").body == "ok")
    }

    @Test(
        "message, HTTP long-polling: answers POSTs through another node as at the session's node",
        .long
    )
    func forwardedPosts() throws {
        let cluster = try LocalCluster(["2"])
        let (home, other) = (cluster.nodes[0].port, cluster.nodes[1].port)
        for port in [home, other] {
            let session = try PollingClient(port: home).throughNode(atPort: port)
            self.expect(
                try session.post(Array(repeating: "6", count: 40_000).joined(separator: "\u{1E}")),
                3, "Payload too large", status: 413)
            #expect(try session.post("6").body == "ok")
            // The body is not valid UTF-8.
            let poll = try session.beginPoll()
            self.expect(
                try HTTPReply(from: session.beginPost([0x34, 0xFF], of: 2)), 3, "Bad request")
            let last = try HTTPReply(from: poll)
            #expect(last.body == "1" || last.status == 400, "\(last)")
            self.expect(try session.poll(), 1, "Session ID unknown")

            let torn = try PollingClient(port: home).throughNode(atPort: port)
            let waiting = try torn.beginPoll()
            try torn.beginPost(Array("4half".utf8), of: 10).close()
            let end = try HTTPReply(from: waiting)
            #expect(end.body == "1" || end.status == 400, "\(end)")
            self.expect(try torn.poll(), 1, "Session ID unknown")
        }
    }

    @Test(
        "message, HTTP long-polling: closes the session after a cancelled poll, at any node", .long
    )
    func cancelledPoll() throws {
        let cluster = try LocalCluster(["2"])
        for port in [cluster.nodes[0].port, cluster.nodes[1].port] {
            let session = try PollingClient(port: cluster.nodes[0].port).throughNode(atPort: port)
            try session.beginPoll().close()
            try Deadline.wait(
                for: "the session to be over",
                untilTrue: { try session.post("6").body.contains("Session ID unknown") })
        }
    }

    // MARK: heartbeat

    /// A server that pings after 0.3 s. Its limit for an answer is long enough for a busy machine.
    private func pingingServer() throws -> ConfabServer {
        try ConfabServer([
            "--limit", "engineio-ping-interval-ms=300", "--limit", "engineio-ping-timeout-ms=5000",
        ])
    }

    @Test("heartbeat: sends ping/pong packets")
    func heartbeat() throws {
        let server = try self.pingingServer()
        let session = try PollingClient(port: server.port)
        let client = try RawWebSocketClient(
            "/socket.io/?EIO=4&transport=websocket", port: server.port)
        _ = try self.text(client)
        for _ in 1...3 {
            #expect(try session.packets(1) == ["2"])
            try session.post("3")
            #expect(try self.text(client) == "2")
            try client.send("3")
        }
    }

    @Test("heartbeat: closes the session upon ping timeout")
    func silence() throws {
        let server = try self.pingingServer()
        let session = try PollingClient(port: server.port)
        let client = try RawWebSocketClient(
            "/socket.io/?EIO=4&transport=websocket", port: server.port)
        _ = try self.text(client)
        #expect(try session.packets(1) == ["2"])
        // The waiting poll gets no close packet, after which some clients never come back.
        self.expect(try session.poll(), 1, "Session ID unknown")
        #expect(try self.text(client) == "2")
        #expect(try self.isClosed(client))
    }

    // MARK: close

    @Test("close: forcefully closes the session", arguments: Deployment.usual)
    func close(_ deployment: Deployment) throws {
        let system = try DeployedSystem(deployment)
        let session = try Deadline.wait(for: "a poll that the close releases") {
            let session = try PollingClient(port: system.port)
            let poll = try session.beginPoll()
            try session.post("1")
            let reply = try HTTPReply(from: poll)
            if reply.body == "6" { return session }
            // The close arrived at the session's node before the poll.
            self.expect(reply, 1, "Session ID unknown")
            return nil
        }
        self.expect(try session.poll(), 1, "Session ID unknown")
        let client = try RawWebSocketClient(
            "/socket.io/?EIO=4&transport=websocket", port: system.port)
        _ = try self.text(client)
        try client.send("1")
        #expect(try self.isClosed(client))
    }
}
