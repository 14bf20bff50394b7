import Foundation
import TestKit
import Testing

/// The requirements of the Engine.IO v4 protocol on a server, with the names of its own test suite.
///
/// Each request of the polling transport uses its own connection, so a load balancer sends each to
/// another node.
@Suite("Engine.IO protocol")
struct EngineIOConformanceTests {
    /// Expects an error in the format of the reference server.
    private func expect(_ reply: HTTPReply, _ code: Int, _ message: String, status: Int = 400) {
        #expect(
            reply.status == status && reply.body == #"{"code":\#(code),"message":"\#(message)"}"#,
            "\(reply)")
    }

    private func text(_ client: RawWebSocketClient) throws -> String {
        guard case .text(let text) = try client.next() else { throw TestFailure("no text") }
        return text
    }

    private func isClosed(_ client: RawWebSocketClient) throws -> Bool {
        switch try client.next() {
        case .close, .end: true
        default: false
        }
    }

    // MARK: handshake

    @Test(
        "handshake, HTTP long-polling: successfully opens a session", arguments: Deployment.allCases
    )
    func pollingHandshake(_ place: Deployment) throws {
        let site = try DeployedSystem(place)
        let reply = try HTTPReply.get("/socket.io/?EIO=4&transport=polling", port: site.port)
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
        "handshake: fails with an invalid 'EIO' query parameter, 'transport' query parameter, or request method"
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

    @Test("handshake, WebSocket: successfully opens a session", arguments: Deployment.allCases)
    func webSocketHandshake(_ place: Deployment) throws {
        let site = try DeployedSystem(place)
        let client = try RawWebSocketClient(
            "/socket.io/?EIO=4&transport=websocket", port: site.port)
        let text = try self.text(client)
        let open = try JSONObject(String(text.dropFirst()))
        #expect(text.hasPrefix("0") && open["sid"] != nil && open.strings("upgrades") == [])
    }

    // MARK: message

    @Test(
        "message, HTTP long-polling: sends and receives a payload containing one or several plain text packets",
        arguments: Deployment.allCases)
    func pollingMessages(_ place: Deployment) throws {
        let site = try DeployedSystem(place)
        let session = try PollingClient(port: site.port)
        try session.connectNamespace(token: site.token("ann", conversations: ["r"]))
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
        arguments: Deployment.allCases)
    func badPackets(_ place: Deployment) throws {
        let site = try DeployedSystem(place)
        for body in ["abc", "", "4\u{1E}", "\u{1E}4", "7", "0{}", "2", "5"] {
            let session = try PollingClient(port: site.port)
            self.expect(try session.post(body), 3, "Bad request")
            self.expect(try session.poll(), 1, "Session ID unknown")
            self.expect(try session.post("40"), 1, "Session ID unknown")
        }
    }

    @Test(
        "message, HTTP long-polling: closes the session upon duplicate poll requests",
        arguments: Deployment.allCases)
    func twoPolls(_ place: Deployment) throws {
        let site = try DeployedSystem(place)
        let session = try PollingClient(port: site.port)
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
        "message, WebSocket: sends and receives a plain text packet, closes the session upon invalid packet format"
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
        "message, HTTP long-polling: answers POSTs through another node as at the session's node"
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
        "message, HTTP long-polling: closes the session after a cancelled poll, at any node"
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

    private static let shortHeartbeat = [
        "--limit", "engineio-ping-interval-ms=300", "--limit", "engineio-ping-timeout-ms=500",
    ]

    @Test("heartbeat: sends ping/pong packets")
    func heartbeat() throws {
        let server = try ConfabServer(Self.shortHeartbeat)
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
        let server = try ConfabServer(Self.shortHeartbeat)
        let session = try PollingClient(port: server.port)
        let client = try RawWebSocketClient(
            "/socket.io/?EIO=4&transport=websocket", port: server.port)
        _ = try self.text(client)
        #expect(try session.packets(1) == ["2"])
        // The waiting poll receives the close packet.
        #expect(try session.poll().body == "1")
        self.expect(try session.poll(), 1, "Session ID unknown")
        #expect(try self.text(client) == "2")
        #expect(try self.isClosed(client))
    }

    // MARK: close

    @Test("close: forcefully closes the session", arguments: Deployment.allCases)
    func close(_ place: Deployment) throws {
        let site = try DeployedSystem(place)
        let session = try Deadline.wait(for: "a poll that the close releases") {
            let session = try PollingClient(port: site.port)
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
            "/socket.io/?EIO=4&transport=websocket", port: site.port)
        _ = try self.text(client)
        try client.send("1")
        #expect(try self.isClosed(client))
    }

    // MARK: upgrade

    @Test(
        "upgrade: successfully upgrades from HTTP long-polling to WebSocket",
        arguments: Deployment.allCases)
    func upgrade(_ place: Deployment) throws {
        let site = try DeployedSystem(place)
        for _ in 1...4 {
            let session = try PollingClient(port: site.port)
            try session.connectNamespace(token: site.token("ann", conversations: ["r"]))
            let client = try session.upgrade()
            try client.send("2probe")
            #expect(try self.text(client) == "3probe")
            // The waiting poll is answered, so that the client can continue with the upgrade.
            #expect(try session.poll().body == "6")
            // A packet directly after the upgrade packet is not lost.
            try client.send("5")
            try client.send(#"427["nothing",{}]"#)
            #expect(
                try self.text(client)
                    == #"437[{"ok":false,"error":"event: \"nothing\" is unknown"}]"#)
            try client.send("1")
        }
    }

    @Test("upgrade: ignores HTTP requests with same sid after upgrade, and WebSocket connections")
    func afterUpgrade() throws {
        let server = try ConfabServer()
        let session = try PollingClient(port: server.port)
        let client = try session.upgrade()
        try client.send("2probe")
        #expect(try self.text(client) == "3probe")
        try client.send("5")
        try client.send(#"40{"token":"\#(ConfabServer.token(for: "ann", conversations: []))"}"#)
        #expect(try self.text(client).hasPrefix("40"))
        self.expect(try session.poll(), 3, "Bad request")
        self.expect(try session.post("40"), 3, "Bad request")
        let second = try session.upgrade()
        #expect(try self.isClosed(second))
        try client.send(#"421["nothing",{}]"#)
        #expect(try self.text(client) == #"42["offset",""]"# && self.text(client).hasPrefix("431"))
    }

    @Test(
        "upgrade: the same after an upgrade at another node, at both nodes"
    )
    func afterForwardedUpgrade() throws {
        let cluster = try LocalCluster(["2"])
        let (home, other) = (cluster.nodes[0].port, cluster.nodes[1].port)
        let secret = try cluster.folder.read("jwt.secret").trimmingCharacters(in: .newlines)
        let session = try PollingClient(port: home)
        try session.connectNamespace(
            token: ConfabServer.token(for: "ann", conversations: [], secret: secret))
        let client = try session.throughNode(atPort: other).upgrade()
        try client.send("2probe")
        #expect(try self.text(client) == "3probe")
        try client.send("5")
        try client.send(#"421["nothing",{}]"#)
        #expect(try self.text(client).hasPrefix("431"))
        // Only a node that still has the session can name the exact error.
        for port in [home, other] {
            let late = session.throughNode(atPort: port)
            #expect(try late.poll().status == 400)
            #expect(try late.post("40").status == 400)
            if let second = try? late.upgrade() { #expect(try self.isClosed(second)) }
        }
        try client.send(#"422["nothing",{}]"#)
        #expect(try self.text(client).hasPrefix("432"))
    }

    @Test(
        "upgrade: keeps polling after a failed or aborted upgrade",
        arguments: Deployment.allCases)
    func failedUpgrade(_ place: Deployment) throws {
        let site = try DeployedSystem(place)
        let session = try PollingClient(port: site.port)
        try session.connectNamespace(token: site.token("ann", conversations: ["r"]))
        let wrong = try session.upgrade()
        try wrong.send("2abc")
        #expect(try self.isClosed(wrong))
        let gone = try Deadline.wait(for: "the next attempt") { try? session.upgrade() }
        try gone.send("2probe")
        #expect(try self.text(gone) == "3probe")
        gone.dropConnection()
        try session.post(#"421["nothing",{}]"#)
        let packets = try Deadline.wait(for: "the answer") {
            let reply = try session.poll()
            return reply.body.hasPrefix("431") ? reply.body : nil
        }
        #expect(packets.hasPrefix("431"))
    }

    // MARK: who may ask

    @Test("rejects requests with an invalid or another user's token, at any node")
    func otherTokens() throws {
        let cluster = try LocalCluster(["2"])
        let (home, other) = (cluster.nodes[0].port, cluster.nodes[1].port)
        let secret = try cluster.folder.read("jwt.secret").trimmingCharacters(in: .newlines)
        let session = try PollingClient(port: home)
        try session.connectNamespace(
            token: ConfabServer.token(for: "ann", conversations: [], secret: secret))
        let foreign = [
            try ConfabServer.token(for: "bob", secret: secret),
            try ConfabServer.token(for: "ann", tenant: "elsewhere", secret: secret),
            try ConfabServer.token(
                for: "ann", secret: "another secret, also long enough to be one"), "nonsense",
        ]
        for port in [home, other] {
            var late = session.throughNode(atPort: port)
            for token in foreign {
                let fields = ["Authorization": "Bearer \(token)"]
                self.expect(try late.poll(fields: fields), 4, "Forbidden", status: 403)
                self.expect(try late.post("6", fields: fields), 4, "Forbidden", status: 403)
                self.expect(
                    try RawWebSocketClient.refusal(
                        of: "/socket.io/?EIO=4&transport=websocket&sid=\(session.sid)", port: port,
                        fields: fields), 4, "Forbidden",
                    status: 403)
            }
            late.query = "&token=\(try ConfabServer.token(for: "ann", secret: secret))"
            try late.post(#"421["nothing",{}]"#)
            #expect(try late.packets(1)[0].hasPrefix("431"))
        }
    }

    @Test("rejects unknown and invalid session ids")
    func unknown() throws {
        let server = try ConfabServer()
        for sid in [
            "abc", "a.0.abc", "0", "..", String(repeating: "x", count: 129), "%00", "a%20b",
        ] {
            let path = "/socket.io/?EIO=4&transport=polling&sid=\(sid)"
            self.expect(try .get(path, port: server.port), 1, "Session ID unknown")
            self.expect(try .post(path, "40", port: server.port), 1, "Session ID unknown")
            let webSocket = try RawWebSocketClient.refusal(
                of: "/socket.io/?EIO=4&transport=websocket&sid=\(sid)", port: server.port)
            self.expect(webSocket, 1, "Session ID unknown")
        }
    }

    @Test("rejects a page of a foreign origin, and adds CORS fields for an allowed one")
    func origins() throws {
        let server = try ConfabServer()
        let path = "/socket.io/?EIO=4&transport=polling"
        #expect(
            try HTTPReply.get(path, port: server.port, fields: ["Origin": "http://evil.test"])
                .status == 403)
        let reply = try HTTPReply.get(
            path, port: server.port, fields: ["Origin": "http://localhost:3000"])
        #expect(
            reply.status == 200
                && reply.fields["access-control-allow-origin"] == "http://localhost:3000")
        #expect(reply.fields["vary"] == "Origin" && reply.fields["cache-control"] == "no-store")
        let preflight = try HTTPReply.request(
            "OPTIONS", path, port: server.port,
            fields: ["Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST"])
        #expect(preflight.status == 204)
        let webSocket = try RawWebSocketClient.refusal(
            of: "/socket.io/?EIO=4&transport=websocket", port: server.port,
            fields: ["Origin": "http://evil.test"])
        #expect(webSocket.status == 403)
    }
}
