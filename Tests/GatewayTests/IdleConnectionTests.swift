import ChatModel
import Configuration
import GatewayTestSupport
import Telemetry
import TestKit
import TestTraits
import Testing

@testable import Gateway

@Suite("Idle connections", .ownThread)
struct IdleConnectionTests {
    @Test("are closed with 1001, even after a partial frame")
    func idle() throws {
        let node = try TestNode { setup in
            setup.live.limits.idle = .milliseconds(600)
            setup.live.limits.ping = .seconds(100)
        }
        let silent = try node.echo()
        let dripping = try ByteStream(port: node.port)
        let half = try RawWebSocketClient("/echo", port: node.port)
        try half.stream.send([0x81])
        guard case .close(code: 1001, let reason) = try silent.next() else {
            Issue.record("it was not closed with 1001")
            return
        }
        #expect(reason.hasPrefix("nothing was heard for"))
        #expect(try silent.next() == .end)
        #expect(try half.next() == .close(code: 1001, reason: reason))
        dripping.close()
    }

    @Test("get pings and the protocol's heartbeat, and stay open as long as they answer", .long)
    func ping() throws {
        let node = try TestNode { setup in
            // Long enough that an answer comes in time even if the machine stalls for a moment.
            setup.live.limits.idle = .seconds(4)
            setup.live.limits.ping = .seconds(1)
        }
        let peer = try node.peer("ann")
        // Longer than the idle timeout.
        for _ in 0..<5 {
            var events: [TestPeer.Event] = []
            while events.count < 2 { events.append(try #require(try peer.next())) }
            #expect(events == [.ping([]), .text(#"{"type":"heartbeat"}"#)])
            try peer.send(bytes: RawWebSocketClient.frame(opcode: 10))
        }
        // From now on the client is silent.
        while let event = try peer.next() {
            if event.closeCode != nil { break }
        }
        #expect(peer.closeEvent?.closeCode == 1001)
    }

    @Test("are closed with 4003 when the token expires, unless the client has sent a new one")
    func expiry() throws {
        let node = try TestNode()
        let expiring = { (user: String) in
            "/conversations/room/?token=\(try TestNode.token(user, lasting: .seconds(5)))"
        }
        let first = ConversationClient(try RawWebSocketClient(expiring("ann"), port: node.port))
        let second = ConversationClient(try RawWebSocketClient(expiring("bob"), port: node.port))
        let fresh = { (user: String) in
            #"{"action":"authenticate","token":"\#(try TestNode.token(user))"}"#
        }
        try second.send(fresh("bob"))
        #expect(try second.next("authenticated").text == #"{"type":"authenticated"}"#)
        #expect(
            try first.next("error").text
                == #"{"type":"error","action":null,"error":"token expired"}"#)
        #expect(try first.closeEvent() == .close(code: 4003, reason: "token expired"))
        try second.post("still here")
        // The token of another user, or an invalid one, is refused and has no other effect.
        try second.send(fresh("ann"))
        let error =
            #"{"type":"error","action":"authenticate","error":"token: belongs to another user"}"#
        #expect(try second.next("error").text == error)
        try second.send(#"{"action":"authenticate","token":"x.y.z"}"#)
        #expect(try second.next("error")["error"]?.hasPrefix("token: ") == true)
        try second.post("still here")
    }
}

@Suite("The state of connections", .ownThread)
struct ConnectionLifecycleTests {
    @Test("is released when they close, in every way")
    func releasesEverything() throws {
        let node = try TestNode(loops: 2) { $0.live.limits.allowEverything() }
        for round in 0..<3 {
            for number in 0..<30 {
                let peer = try node.peer(
                    "user\(number % 5)", in: "room\(number % 4)", after: number % 3 == 0 ? "0" : nil
                )
                try peer.send(ConversationsFrames.message("round \(round)"))
                try peer.send(#"{"action":"fetch_messages","limit":100}"#)
                if number % 2 == 0 {
                    try peer.send(bytes: RawWebSocketClient.frame(opcode: 8, [3, 232]))
                }
            }
        }
        try node.waitForConnections(0)
        _ = try node.metrics("nothing to be left") { metrics in
            let gauges = [
                MetricFamily.users, .conversationsSubscribed, .ownerRequestsPending,
                .clientRequestsPending,
            ].map { metrics.value(of: $0) }
            return gauges == [0, 0, 0, 0]
                && metrics.value(of: .connections, labels: ["dialect": "conversations"]) == 0
        }
    }

    @Test("is released if they are closed before they have joined")
    func closedBeforeJoin() async throws {
        // A request ends after 4.8 s. On a real clock that leaves a slow machine little time, for
        // the loops publish their metrics only once a second.
        let clock = StoppedClock(monotonic: 10_000)
        let node = try TestNode(loops: 2) { $0.settings.readClocks = { clock.reading } }
        node.store.close(.other)
        // None is accepted before it has joined.
        let streams = try (0..<20).map { number in
            let stream = try ByteStream(port: node.port)
            try RawWebSocketClient.requestUpgrade(
                TestNode.path("user\(number)", in: "room\(number % 4)"), port: node.port,
                on: stream)
            return stream
        }
        let deadline = Deadline()
        var opened = 0
        repeat {
            opened = await node.gateway.loopReports(within: deadline.remaining).reduce(0) {
                $0 + ($1?.connections ?? 0)
            }
        } while opened < streams.count && !deadline.isExpired
        // The metrics count what was there when the clock moved.
        clock.advance(milliseconds: 1000)
        _ = try node.metrics("questions to be open") { $0.value(of: .clientRequestsPending) == 20 }
        node.gateway.drain(over: .zero)
        // A loop gives its second answer after it has received the order.
        for _ in 0..<2 { _ = await node.gateway.loopReports(within: Deadline.defaultTimeout) }
        clock.advance(milliseconds: 1000)
        for stream in streams {
            let client = ConversationClient(try RawWebSocketClient(upgradeRequestedOn: stream))
            guard case .close(code: 1012, _) = try client.closeEvent() else {
                throw TestFailure("no 1012")
            }
        }
        clock.advance(milliseconds: 1000)
        // The request to the owner is still pending, but no connection waits for the answer.
        _ = try node.metrics("no question to be open") {
            $0.value(of: .clientRequestsPending) == 0 && $0.value(of: .ownerRequestsPending) == 20
        }
        node.store.open()
        try Deadline.wait(
            for: "nothing to be left",
            untilTrue: {
                clock.advance(milliseconds: 1000)
                let metrics = node.board.total()
                return metrics.value(of: .ownerRequestsPending) == 0
                    && metrics.value(of: .conversationsSubscribed) == 0
            })
    }

    @Test("is logged at the debug level, with address, duration and close code")
    func log() throws {
        let node = try TestNode(logLevel: .debug)
        let one = try RawWebSocketClient("/echo", port: node.port)
        try one.close(1000)
        // Each connection ends before the next one begins, so that they end in order. A process
        // that another test starts holds a copy of a closed socket until its exec.
        try node.waitForConnections(0)
        let two = try RawWebSocketClient(
            "/echo", port: node.port,
            fields: ["X-Forwarded-For": "10.9.9.9, 203.0.113.7:4711 , 127.0.0.9"])
        try two.stream.send([0x81, 1, 0x41])
        #expect(two.stream.readToEnd())
        two.dropConnection()
        try node.waitForConnections(0)
        let three = try RawWebSocketClient(
            TestNode.path("ann", in: "secret-room"), port: node.port,
            fields: ["X-Forwarded-For": "[2001:db8::7]:80"])
        try three.send(ConversationsFrames.message("a secret of ann's"))
        _ = try three.next()
        three.dropConnection()
        try node.waitForConnections(0)
        let opened = try node.log("connection opened", atLeast: 3)
        let closed = try node.log("connection closed", atLeast: 3)
        #expect(opened.map { $0["dialect"] } == ["echo", "echo", "conversations"])
        #expect(opened[0]["address"]?.hasPrefix("127.0.0.1:") == true)
        #expect(
            opened[1]["address"] == "203.0.113.7",
            "of what proxies say the last that is no proxy counts")
        #expect(opened[2]["address"] == "2001:db8::7")
        #expect(closed.map { $0.number("code") } == [1000, 1002, 1006])
        #expect(closed.map { $0["connection"] } == opened.map { $0["connection"] })
        #expect(closed.allSatisfy { $0.number("seconds").map { $0 >= 0 && $0 < 60 } == true })
        #expect(try node.log("protocol error", atLeast: 1)[0]["address"] == "203.0.113.7")
        let text = try node.folder.read("log")
        #expect(
            !text.contains("secret of ann") && !text.contains("eyJ"),
            "what is said and what lets one in is nobody's business")
    }

    @Test("has a proxy's address only if the proxy is trusted")
    func untrusted() throws {
        let node = try TestNode(logLevel: .debug) { $0.settings.trustedProxies = [] }
        let socket = try RawWebSocketClient(
            "/echo", port: node.port,
            fields: [
                "X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https",
                "Origin": "http://127.0.0.1:\(node.port)",
            ])
        try socket.close()
        #expect(
            try node.log("connection opened", atLeast: 1)[0]["address"]?.hasPrefix("127.0.0.1:")
                == true)
        let behind = try TestNode()
        let fields = ["X-Forwarded-Proto": "https", "Host": "chat.test"]
        _ = try RawWebSocketClient(
            "/echo", port: behind.port,
            fields: fields.merging(["Origin": "https://chat.test"]) { $1 })
        #expect(
            try RawWebSocketClient.refusal(
                of: "/echo", port: behind.port,
                fields: fields.merging(["Origin": "http://chat.test"]) { $1 }
            )
            .status == 403)
    }

    @Test(
        "is bounded: further clients get 503, the others stay, and health is always reported"
    )
    func full() throws {
        let node = try TestNode { $0.live.limits.connections = 3 }
        let client = try ByteStream(port: node.port)
        try client.send("GET /api/health HTTP/1.1\r\nHost: here\r\n\r\n")
        #expect(try HTTPReply(from: client).status == 200)
        let sockets = try (0..<2).map { _ in try node.echo() }
        for _ in 0..<3 {
            let reply = try RawWebSocketClient.refusal(of: "/echo", port: node.port)
            #expect(reply.status == 503 && reply.fields["retry-after"] == "1")
            #expect(try JSONObject(reply.body)["error"] != nil)
        }
        #expect(try HTTPReply.get("/api/health", port: node.port).status == 200)
        try client.send("GET /nothing HTTP/1.1\r\nHost: here\r\n\r\n")
        #expect(try HTTPReply(from: client).status == 404, "who was there first is served")
        try sockets[0].close()
        try node.waitForConnections(2)
        _ = try node.echo()
    }

    @Test("includes the duration of store writes in the metrics")
    func storeTimes() throws {
        let node = try TestNode(store: .sqlite) { $0.live.limits.allowEverything() }
        try node.fill(50)
        let metrics = try node.metrics("writes to be measured") {
            ($0.histogram(of: .storeSeconds)?.count ?? 0) >= 1
                && $0.value(of: .messagesReceived, labels: ["dialect": "conversations"]) == 50
        }
        let times = try #require(metrics.histogram(of: .storeSeconds))
        #expect(times.count <= UInt64(node.store.passed(.write)))
        #expect(times.maximum > 1000 && times.maximum < 60_000_000_000)
    }
}

@Suite("A connection that the server closes", .ownThread)
struct ServerCloseTests {
    @Test(
        "ends with the peer's close frame, and ignores the frames before it"
    )
    func crossing() throws {
        let node = try TestNode { setup in
            setup.live.limits.idle = .milliseconds(400)
            setup.live.limits.ping = .seconds(100)
        }
        let socket = try ByteStream(port: node.port)
        try socket.send(TestNode.upgradeRequest("/echo"))
        #expect(try HTTPReply(from: socket).status == 101)
        #expect(
            try Array(
                socket.peek(atLeast: 4).prefix(1) + socket.peek(atLeast: 4).dropFirst(2).prefix(2))
                == [0x88, 0x03, 0xE9])
        try socket.send(
            RawWebSocketClient.frame(opcode: 1, Array("too late".utf8))
                + RawWebSocketClient.frame(opcode: 9, [1]))
        try socket.send(RawWebSocketClient.frame(opcode: 8, [0x0F, 0xA0]))
        #expect(socket.readToEnd())
        // One close frame and nothing after it.
        let bytes = try Array(socket.peek(atLeast: 0))
        #expect(bytes.count == 2 + Int(bytes[1]))
        try node.waitForConnections(0)
    }

    @Test("waits for the peer's close frame until a timeout")
    func noAnswer() throws {
        let node = try TestNode(logLevel: .debug) { $0.live.limits.idle = .milliseconds(400) }
        let socket = try node.echo()
        socket.stopAnsweringPings()
        let bytes = try socket.stream.peek(atLeast: 4)
        #expect(bytes.contains(0x88))
        #expect(node.gateway.connectionCount == 1)
        #expect(socket.stream.readToEnd(within: Deadline.defaultTimeout))
        try node.waitForConnections(0)
        #expect(try node.log("connection closed", atLeast: 1)[0].number("code") == 1001)
    }
}
