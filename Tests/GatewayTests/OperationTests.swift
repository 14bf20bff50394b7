import ChatCore
import ChatModel
import Configuration
import GatewayTestSupport
import Identity
import Telemetry
import TestKit
import TestTraits
import Testing

@testable import Gateway

/// Expects that the node closes this number of clients one after the other within four seconds.
private func expectCloses(
    of count: Int, among peers: [TestPeer], by node: TestNode, _ clock: StoppedClock
) async throws {
    // A loop gives its second answer after it has received the orders.
    for _ in 0..<2 { _ = await node.gateway.loopReports(within: Deadline.defaultTimeout) }
    // Each loop closes its first client at once, so that one more may be closed in the first half.
    for expected in [count / 2...(count + node.gateway.loopCount) / 2, count...count] {
        clock.advance(milliseconds: 2000)
        try TestPeer.wait(for: "\(expected) closed clients", among: peers) {
            peers.count { $0.closeEvent != nil } >= expected.lowerBound
        }
        // The others are still served.
        let others = peers.filter { $0.closeEvent == nil }
        let text = "to be answered at \(clock.reading.monotonic)"
        for peer in others { try peer.send(ConversationsFrames.message(text)) }
        try TestPeer.wait(for: "answers", among: peers) {
            others.allSatisfy { peer in
                peer.closeEvent != nil || peer.texts.contains { $0.contains(text) }
            }
        }
        #expect(expected.contains(peers.count { $0.closeEvent != nil }))
    }
    #expect(peers.allSatisfy { $0.closeEvent?.closeCode ?? 1012 == 1012 })
}

@Suite("A drain", .ownThread)
struct DrainTests {
    @Test(
        "closes clients with 1012, refuses new ones, and leaves nothing", arguments: [1, 2])
    func drain(loops: Int) throws {
        let node = try TestNode(loops: loops)
        let peers = try (0..<24).map { try node.peer("user\($0)", in: "room\($0 % 6)") }
        let idle = try ByteStream(port: node.port)
        try idle.send("GET /api/health HTTP/1.1\r\nHost: here\r\n\r\n")
        #expect(try HTTPReply(from: idle).status == 200)
        let earlier = try node.metrics("25 requests") { $0.value(of: .httpRequests) == 25 }
        let half = try (0..<3).map { _ in try ByteStream(port: node.port) }
        let parts = [
            "GET /echo HTTP/1.1\r\nHo", "GET /api/health HTTP/1.1\r\nHo",
            "POST /nothing HTTP/1.1\r\nHost: here\r\nContent-Length: 10\r\n\r\n1234",
        ]
        for (stream, part) in zip(half, parts) { try stream.send(part) }
        try node.waitForConnections(28)
        // A request that arrives after the announcement is refused.
        let bytes =
            try #require(earlier.value(of: .receivedBytes)) + Double(parts.joined().utf8.count)
        _ = try node.metrics("\(bytes) bytes") { $0.value(of: .receivedBytes) == bytes }
        node.gateway.drain(over: .milliseconds(100))
        var isClosed = [Bool](repeating: false, count: peers.count)
        try TestPeer.wait(for: "all to be closed", among: peers) {
            for (index, peer) in peers.enumerated() where !isClosed[index] && peer.closeEvent != nil
            {
                isClosed[index] = true
                try peer.send(bytes: RawWebSocketClient.frame(opcode: 8, [3, 0xF4]))
            }
            return !isClosed.contains(false)
        }
        #expect(peers.allSatisfy { $0.closeEvent?.closeCode == 1012 })
        // An idle connection is closed. A request that has begun is answered.
        #expect(idle.readToEnd())
        #expect(try idle.peek(atLeast: 0).isEmpty)
        for stream in half.prefix(2) { try stream.send("st: here\r\n\r\n") }
        try half[2].send("567890")
        let refused = try HTTPReply(from: half[0])
        #expect(
            refused.status == 503 && refused.fields["retry-after"] == "1"
                && refused.fields["connection"] == "close")
        let health = try HTTPReply(from: half[1])
        #expect(health.status == 503)
        #expect(try JSONObject(health.body)["status"] == "draining")
        let last = try HTTPReply(from: half[2])
        #expect(last.status == 404 && last.fields["connection"] == "close")
        #expect(half.allSatisfy { $0.readToEnd() })
        #expect(node.gateway.health.status == .draining)
        // A load balancer's health request is answered until the end. Other requests are refused.
        #expect(
            try JSONObject(HTTPReply.get("/api/health", port: node.port).body)["status"]
                == "draining")
        #expect(try HTTPReply.get("/elsewhere", port: node.port).status == 503)
        for stream in half + [idle] { stream.close() }
        try node.waitForConnections(0)
    }

    @Test("closes the clients one after the other", arguments: [1, 2])
    func spread(loops: Int) async throws {
        let clock = StoppedClock(monotonic: 10_000)
        let node = try TestNode(loops: loops) { $0.settings.readClocks = { clock.reading } }
        let peers = try (0..<24).map { try node.peer("user\($0)", in: "room\($0 % 6)") }
        node.gateway.drain(over: .seconds(4))
        try await expectCloses(of: 24, among: peers, by: node, clock)
    }

    @Test("refuses new clients from its announcement on, and closes none yet")
    func announcement() throws {
        let node = try TestNode(loops: 2)
        let peer = try node.peer("ann", in: "room")
        node.gateway.refuseClients()
        #expect(try HTTPReply.get("/elsewhere", port: node.port).status == 503)
        for path in ["/api/health", "/api/health/"] {
            #expect(
                try JSONObject(HTTPReply.get(path, port: node.port).body)["status"] == "draining")
        }
        try peer.send(ConversationsFrames.message("still here"))
        try TestPeer.wait(for: "the message", among: [peer]) {
            peer.texts.contains { $0.contains("still here") }
        }
        #expect(peer.closeEvent == nil)
    }

    @Test("includes connections that are moving between loops", arguments: 0..<5)
    func underWay(_ round: Int) throws {
        let node = try TestNode(loops: 3)
        let streams = try (0..<40).map { number in
            let stream = try ByteStream(port: node.port)
            let path = try TestNode.path("user\(number)", in: "room\(number)")
            try stream.send(TestNode.upgradeRequest(path))
            return stream
        }
        node.gateway.drain(over: .milliseconds(100))
        for stream in streams {
            // The upgrade gets 503, or a close frame with 1012 follows it.
            var count = 1
            while !stream.isClosed {
                let bytes = Array(try stream.peek(atLeast: count))
                if bytes.count > 4,
                    bytes.indices.dropLast(3).contains(where: {
                        bytes[$0] == 0x88 && bytes[$0 + 2] == 3 && bytes[$0 + 3] == 0xF4
                    })
                {
                    break
                }
                count = bytes.count + 1
            }
            stream.close()
        }
        try node.waitForConnections(0)
    }
}

@Suite("A rebalance", .ownThread)
struct RebalanceTests {
    @Test(
        "closes the ordered number of clients, idle connections aside, for two equal orders once",
        arguments: [1, 3])
    func closeClients(loops: Int) async throws {
        let clock = StoppedClock(monotonic: 10_000)
        let node = try TestNode(loops: loops) { $0.settings.readClocks = { clock.reading } }
        let peers = try (0..<24).map { try node.peer("user\($0)", in: "room\($0 % 6)") }
        let idle = try (0..<60).map { _ in try ByteStream(port: node.port) }
        try node.waitForConnections(84)
        for _ in 0..<2 {
            await node.gateway.closeClients(8, over: .seconds(4), within: Deadline.defaultTimeout)
        }
        try await expectCloses(of: 8, among: peers, by: node, clock)
        withExtendedLifetime(idle) {}
    }

    @Test(
        "divides its clients among the loops",
        arguments: [
            ([4, 0], 2, [2, 0]), ([0, 4], 2, [0, 2]), ([3, 1], 2, [1, 1]),
            ([1, 1, 1], 2, [0, 1, 1]), ([5], 7, [7]), ([0, 0], 3, [0, 0]), ([], 3, []),
        ])
    func shares(clients: [Int], count: Int, shares: [Int]) {
        #expect(Gateway.shares(of: count, clients) == shares)
    }
}

@Suite("A reload", .ownThread)
struct ReloadTests {
    @Test("changes the limits of open connections")
    func limits() throws {
        let node = try TestNode()
        let ann = try node.conversationClient("ann")
        try ann.post("as long as this")
        var live = node.live
        live.limits.contentBytes = 5
        live.limits.messageBytes = 300
        live.limits.jsonDepth = 4
        node.gateway.reload(live)
        try Deadline.wait(
            for: "the new limits",
            untilTrue: {
                try ann.sendMessage("as long as this")
                return try ann.next()["type"] == "message.failed"
            })
        try ann.sendMessage("short")
        #expect(try ann.next("chat_message").object("message")?["content"] == "short")
        try ann.send(#"{"action":"typing","is_typing":\#(String(repeating: " ", count: 300))true}"#)
        #expect(try ann.next("error")["error"] == "the message is longer than 300 bytes")
        try ann.send(#"{"a":[[[[1]]]],"action":"heartbeat"}"#)
        #expect(try ann.next("error")["error"]?.contains("more than 4 deep") == true)
        live.limits.messagesPerSecond = 1
        live.limits.messageBurst = 1
        live.limits.contentBytes = 100
        node.gateway.reload(live)
        try Deadline.wait(
            for: "the new rate",
            untilTrue: {
                try ann.sendMessage("quick", as: "q")
                let answer = try ann.next()
                guard answer["type"] == "message.failed", answer["error"] == "rate limited" else {
                    return false
                }
                #expect(
                    answer["local_id"] == "q"
                        && answer.number("retry_after").map { $0 > 0 && $0 <= 1 } == true)
                return true
            })
    }

    @Test("changes the limits of conversations that are in memory")
    func conversations() throws {
        let node = try TestNode()
        _ = try node.conversationClient("ann")
        _ = try node.conversationClient("bob")
        var live = node.live
        live.limits.members = 2
        node.gateway.reload(live)
        #expect(node.gateway.limits.members == 2)
        try Deadline.wait(
            for: "the new limit",
            untilTrue: {
                let user = "user \(UInt64.random(in: 0 ... .max))"
                let client = try RawWebSocketClient(
                    TestNode.path(user, in: "room"), port: node.port)
                return if case .close(code: 4004, _) = try client.next() { true } else { false }
            })
    }

    @Test("changes which clients may connect, and closes no connection")
    func keys() throws {
        let node = try TestNode()
        let ann = try node.conversationClient("ann")
        var live = node.live
        live.verifier = TokenVerifier(
            secret: Array("another secret, which is long enough too".utf8))
        live.origins = OriginPolicy(AllowedOrigins(others: ["https://other.test"]))
        node.gateway.reload(live)
        try Deadline.wait(
            for: "the new key",
            untilTrue: {
                let bob = ConversationClient(
                    try RawWebSocketClient(TestNode.path("bob", in: "room"), port: node.port))
                return try bob.next()["error"] == "The token's signature is wrong."
            })
        #expect(
            try RawWebSocketClient.refusal(
                of: "/echo", port: node.port, fields: ["Origin": "https://page.test"]
            ).status == 403)
        _ = try node.echo(fields: ["Origin": "https://other.test"])
        try ann.post("still here")
    }
}

@Suite("Messages of a connection", .ownThread)
struct MessageTests {
    @Test("count against its rate, and are not stored if they exceed it")
    func rate() throws {
        let clock = StoppedClock(monotonic: 10_000)
        let node = try TestNode(loops: 1) { setup in
            setup.settings.readClocks = { clock.reading }
            setup.live.limits.messagesPerSecond = 1
            // The client synchronizes with a ping, and the long frame counts twice.
            setup.live.limits.messageBurst = 7
        }
        let ann = try node.conversationClient("ann")
        try ann.socket.send(opcode: 2, [1, 2, 3])
        try ann.send(#"{"action":"dance"\#(String(repeating: " ", count: 70_000))}"#)
        for number in 0..<10 { try ann.sendMessage("\(number)", as: "\(number)") }
        let answers = try (0..<12).map { _ in try ann.next() }
        let errors = [
            #"{"type":"error","action":null,"#
                + #""error":"binary frames are not supported; send JSON text"}"#,
            #"{"type":"error","action":"dance","error":"the message is longer than 65536 bytes"}"#,
        ]
        #expect(answers.prefix(2).map(\.text) == errors)
        let stored = answers.filter { $0["type"] == "chat_message" }
        #expect(stored.count == 3)
        let failed = answers.filter { $0["type"] == "message.failed" }
        #expect(
            failed.count == 7
                && failed.allSatisfy {
                    $0["error"] == "rate limited" && $0.number("retry_after") != nil
                })
        clock.advance(milliseconds: 1000)
        let metrics = try node.metrics("the limit to be counted") {
            ($0.value(of: .messagesDropped, labels: ["reason": "rate_limited"]) ?? 0) == 7
        }
        #expect(metrics.value(of: .messagesReceived, labels: ["dialect": "conversations"]) == 12)
    }

    @Test("wait while a requested page is read")
    func pause() throws {
        let node = try TestNode()
        let ann = try node.conversationClient("ann")
        let bob = try node.conversationClient("bob")
        try ann.post("one")
        node.store.close(.page)
        try ann.send(#"{"action":"fetch_messages"}"#)
        try ann.sendMessage("two")
        try Deadline.wait(
            for: "the page to be asked for", untilTrue: { node.store.blockedCount == 1 })
        for number in 0..<5 { try bob.post("bob's \(number)") }
        node.store.open()
        #expect(try ann.next("messages_fetched").objects("messages")?.count == 6)
        while true {
            let message = try #require(try ann.next("chat_message").object("message"))
            guard message["sender_id"] == "ann" else { continue }
            #expect(message["content"] == "two" && message["id"] == "7")
            break
        }
    }

    @Test("that fail because the store is unavailable have an unknown outcome, within five seconds")
    func storeUnavailable() throws {
        let node = try TestNode()
        let ann = try node.conversationClient("ann")
        node.store.fail(.write)
        let start = ContinuousClock.now
        try ann.sendMessage("lost", as: "l1")
        let failed = try ann.next("message.failed")
        #expect(failed["local_id"] == "l1" && failed["outcome"] == "unknown")
        #expect(ContinuousClock.now - start < .seconds(15))
        node.store.fail()
        #expect(try ann.post("kept", as: "l2")["id"] == "1")
        // The log reports failures once a second, however many requests failed.
        let lines = try node.log("store request failed", atLeast: 1).count
        #expect(lines <= Int((ContinuousClock.now - start) / .seconds(1)) + 2)
    }

    @Test("may contain message ids of any size", arguments: TestNode.EmbeddedStoreKind.allCases)
    func hugeNumbers(store: TestNode.EmbeddedStoreKind) throws {
        let node = try TestNode(store: store)
        let ann = try node.conversationClient("ann")
        try ann.post("one")
        let huge = ["0", "2", "9223372036854775806", "9223372036854775807"]
        for number in huge {
            #expect(try ann.history(#""after_id":"\#(number)""#).count == (number == "0" ? 1 : 0))
            #expect(try ann.history(#""before_id":"\#(number)""#).count == (number == "0" ? 0 : 1))
            for action in [#""edit_message","content":"x""#, #""delete_message""#] {
                try ann.send(#"{"action":\#(action),"message_id":"\#(number)"}"#)
                #expect(
                    try ann.next("error")["error"] == "message_id: there is no message \(number)")
            }
            try ann.send(#"{"action":"read","message_ids":["\#(number)"]}"#)
            #expect(try ann.next("error")["error"] == "message_ids: there is no message \(number)")
        }
        try ann.post("two")
    }
}
