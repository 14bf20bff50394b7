import Foundation
import TestKit
import TestTraits
import Testing

extension EngineIOConformanceTests {
    @Test(
        "upgrade: successfully upgrades from HTTP long-polling to WebSocket",
        arguments: Deployment.usual)
    func upgrade(_ deployment: Deployment) throws {
        let system = try DeployedSystem(deployment)
        for _ in 1...4 {
            let session = try PollingClient(port: system.port)
            try session.connectNamespace(token: system.token("ann", conversations: ["r"]))
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
        "upgrade: the same after an upgrade at another node, at both nodes", .long
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
        arguments: Deployment.usual)
    func failedUpgrade(_ deployment: Deployment) throws {
        let system = try DeployedSystem(deployment)
        let session = try PollingClient(port: system.port)
        try session.connectNamespace(token: system.token("ann", conversations: ["r"]))
        let wrong = try session.upgrade()
        try wrong.send("2abc")
        #expect(try self.isClosed(wrong))
        let gone = try Deadline.wait(for: "the next attempt") { () -> RawWebSocketClient? in
            // The session's node may not know yet that the first WebSocket is closed.
            guard let client = try? session.upgrade(), (try? client.send("2probe")) != nil,
                try client.next() == .text("3probe")
            else { return nil }
            return client
        }
        gone.dropConnection()
        try session.post(#"421["nothing",{}]"#)
        let packets = try Deadline.wait(for: "the answer") {
            let reply = try session.poll()
            return reply.body.hasPrefix("431") ? reply.body : nil
        }
        #expect(packets.hasPrefix("431"))
    }

    // MARK: Authorization

    @Test("rejects requests with an invalid or another user's token, at any node", .long)
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
