import Bytes
import ChatModel
import Configuration
import ConversationsDialect
import EngineIO
import GatewayTestSupport
import Identity
import RoomsDialect
import TestKit
import TestTraits
import Testing

@testable import Gateway

/// Polling Engine.IO sessions on one node.
@Suite("A client that polls", .ownThread)
struct EnginePollingTests {
    private static func node(
        loops: Int = 1, _ change: (inout TestNode.NodeOptions) -> Void = { _ in }
    ) throws -> TestNode {
        let rooms = RoomsDialect(key: RecoveryKey(derivedFrom: TestNode.secret, cluster: "test"))
        return try TestNode(loops: loops, dialects: [rooms, ConversationsDialect()]) { setup in
            setup.live.limits.allowEverything()
            change(&setup)
        }
    }

    /// A member of these rooms that has received their present messages.
    private static func member(_ user: String, of rooms: [String], at node: TestNode) throws
        -> PollingClient
    {
        let client = try PollingClient(port: node.port)
        try client.connectNamespace(token: TestNode.token(user))
        for room in rooms {
            try client.post(#"420["join_room",{"room_id":"\#(room)"}]"#)
            var packets: [String] = []
            while packets.last?.hasPrefix(#"42["offset","#) != true || packets.count < 3 {
                packets += try client.packets(1)
            }
        }
        return client
    }

    private static func isOffset(_ packet: Substring) -> Bool { packet.hasPrefix(#"42["offset","#) }
    private static func isMessage(_ packet: Substring) -> Bool {
        packet.hasPrefix(#"42["new_message","#)
    }

    // MARK: What it is sent

    @Test(
        "gets each message with its offset, at most sixteen packets at a time",
        arguments: [1, 2],
        [(60, bytes: 12_000), (12, bytes: 90_000)])
    func pairs(roomCount: Int, posted: (count: Int, bytes: Int)) throws {
        let node = try Self.node {
            $0.live.limits.contentBytes = 100_000
            $0.live.limits.messageBytes = 200_000
        }
        let rooms = ["one", "two"].prefix(roomCount)
        let reader = try PollingClient(port: node.port)
        try reader.post(#"40{"token":"\#(TestNode.token("reader"))"}"#)
        let hello = try reader.packets(2)
        let pid = try #require(try JSONObject(String(hello[0].dropFirst(2)))["pid"])
        let author = try node.peer("author", in: "one")
        // A few messages of this size fill the queue. The rest waits in the backlog.
        for number in 1...posted.count {
            try author.send(
                ConversationsFrames.message(String(repeating: "x", count: posted.bytes)))
            try TestPeer.wait(for: "one's own message", among: [author]) {
                ConversationsFrames.ids(of: author.texts).count == number
            }
        }

        let again = try PollingClient(port: node.port)
        let offset = rooms.map { "\($0)=0" }.joined(separator: ",")
        // One more packet makes the number odd, so that sixteen packets end within a pair.
        try again.post(
            #"40{"token":"\#(TestNode.token("reader"))","pid":"\#(pid)","offset":"\#(offset)"}"#
                + "\u{1E}" + #"421["nothing",{}]"#)
        var ids: [Int] = []
        while ids.count < posted.count {
            let reply = try again.poll()
            try #require(reply.status == 200, "\(reply)")
            let packets = reply.body.split(separator: "\u{1E}")
            #expect(packets.count <= 16)
            for (index, packet) in packets.enumerated() where Self.isMessage(packet) {
                #expect(
                    index + 1 < packets.count && Self.isOffset(packets[index + 1]),
                    "behind \(packets.map { $0.prefix(40) })")
                let message = try JSONObject(
                    packet.dropFirst(#"42["new_message",{"#.count - 1).dropLast().description)
                ids.append(Int(message["id"] ?? "") ?? 0)
            }
        }
        #expect(ids == Array(1...posted.count))
    }

    @Test("has received the messages in the responses to its polls, not the waiting ones")
    func delivered() throws {
        let node = try Self.node()
        let bob = try Self.member("bob", of: ["room"], at: node)
        let ann = try node.peer("ann", in: "room")
        let eve = try node.peer("eve", in: "other")
        let carl = try node.peer("carl", in: "other")
        try ann.send(ConversationsFrames.message("hello"))
        try TestPeer.wait(for: "ann's message", among: [ann]) {
            ConversationsFrames.ids(of: ann.texts) == [1]
        }
        // Receipts are sent in batches. A receipt for a later message to a WebSocket would include
        // one for the earlier message.
        try eve.send(ConversationsFrames.message("hello"))
        try TestPeer.wait(for: "eve's receipt", among: [eve, carl]) {
            eve.texts.contains { $0.contains(#""status":"delivered""#) }
        }
        try ann.send("?")
        try TestPeer.wait(for: "an answer", among: [ann]) {
            ann.texts.contains { $0.contains(#""type":"error""#) }
        }
        #expect(!ann.texts.contains { $0.contains("delivered") }, "\(ann.texts)")
        var packets: [String] = []
        while !packets.contains(where: { Self.isMessage($0[...]) }) {
            packets += try bob.packets(1)
        }
        try TestPeer.wait(for: "the receipt", among: [ann]) {
            ann.texts.contains {
                $0.contains(#""type":"message.status","message_id":"1","status":"delivered""#)
            }
        }
        // A pending poll gets it at once.
        let poll = try bob.beginPoll()
        try ann.send(ConversationsFrames.message("again"))
        try TestPeer.wait(for: "the receipt", among: [ann]) {
            ann.texts.contains { $0.contains(#""message_id":"2","status":"delivered""#) }
        }
        #expect(try HTTPReply(from: poll).body.contains(#""content":"again""#))
    }

    @Test(
        "leaves a room for all its user's connections: another protocol's closes with 4004"
    )
    func leaving() throws {
        let node = try Self.node()
        let polling = try Self.member("ann", of: ["room"], at: node)
        let client = try node.conversationClient("ann", in: "room")
        let bob = try node.conversationClient("bob", in: "room")
        try polling.post(#"421["leave_room",{"room_id":"room"}]"#)
        #expect(
            try client.closeEvent()
                == .close(code: 4004, reason: "no member of this conversation any more"))
        var packets: [String] = []
        while !packets.contains(#"431[{"ok":true}]"#) { packets += try polling.packets(1) }
        #expect(!packets.contains { $0.hasPrefix(#"42["user_left""#) }, "that is for the others")
        #expect(try bob.post("still here")["content"] == "still here")
    }

    // MARK: Its end

    @Test("is closed if too many bytes wait for it, and its next poll reports that")
    func tooSlow() throws {
        let node = try Self.node { $0.live.limits.outboundBytes = 100_000 }
        let bob = try Self.member("bob", of: ["room"], at: node)
        let ann = try node.peer("ann", in: "room")
        var posted = 0
        while posted < 500, try !node.hasLogged("slow reader closed") {
            for _ in 0..<10 {
                try ann.send(ConversationsFrames.message(String(repeating: "x", count: 4000)))
            }
            posted += 10
            try TestPeer.wait(for: "one's own messages", among: [ann]) {
                ConversationsFrames.ids(of: ann.texts).count == posted
            }
        }
        try #require(posted < 500, "it was never closed")
        // The earlier packets come without a gap, and then the end.
        var last = ""
        while true {
            let reply = try bob.poll()
            guard reply.status == 200 else { break }
            last = reply.body.split(separator: "\u{1E}").last.map(String.init) ?? ""
        }
        #expect(last.hasPrefix("42"))
        #expect(try bob.post("6").body == #"{"code":1,"message":"Session ID unknown"}"#)
    }

    @Test(
        "is closed by a drain, with the pending poll or the next one, and is refused afterwards",
        arguments: [true, false])
    func drain(isPolling: Bool) throws {
        let node = try Self.node()
        let bob = try Self.member("bob", of: ["room"], at: node)
        let ann = try node.conversationClient("ann", in: "other")
        let stream = try ByteStream(port: node.port)
        if isPolling {
            // Both requests are in one write, so the poll is pending when the first response has
            // come.
            try stream.send(
                "GET /api/health HTTP/1.1\r\nHost: here\r\n\r\n"
                    + "GET \(bob.path) HTTP/1.1\r\nHost: here\r\n\r\n")
            #expect(try HTTPReply(from: stream).status == 200)
        }
        node.gateway.drain(over: .milliseconds(1))
        #expect(
            try ann.closeEvent()
                == .close(code: 1012, reason: "the node is going down; connect again"))
        let last = isPolling ? try HTTPReply(from: stream) : try bob.poll()
        #expect(
            last.status == 400 && last.body == #"{"code":1,"message":"Session ID unknown"}"#
                && last.fields["connection"] == "close",
            "\(last)")
        #expect(try bob.poll().body == #"{"code":1,"message":"Session ID unknown"}"#)
        let refused = try HTTPReply.get("/socket.io/?EIO=4&transport=polling", port: node.port)
        #expect(refused.status == 503 && refused.fields["retry-after"] == "1")
        #expect(refused.body == #"{"code":4,"message":"Unavailable; come again"}"#)
    }

    @Test("is dropped if it does not fetch the end within the time of its transport", .long)
    func abandoned() throws {
        let rooms = RoomsDialect(
            key: RecoveryKey(derivedFrom: TestNode.secret, cluster: "test"),
            engine: EngineSettings(closeTimeout: 300))
        let node = try TestNode(dialects: [rooms])
        let session = try PollingClient(port: node.port)
        let start = ContinuousClock.now
        node.gateway.drain(over: .zero)
        try node.waitForConnections(0)
        // A WebSocket would have five seconds.
        #expect(ContinuousClock.now - start < .seconds(4))
        #expect(try session.poll().status == 400)
    }

    @Test("that a drain closes once its command is answered is not read until then")
    func drainWithCommand() throws {
        let node = try Self.node()
        let bob = try Self.member("bob", of: ["room"], at: node)
        let ann = try node.conversationClient("ann", in: "other")
        node.store.close(.write)
        func send(_ content: String) throws {
            try bob.post(
                #"42["send_message",{"room_id":"room","content":"\#(content)"}]"#)
        }
        try send("one")
        // The answer to this request waits for a poll.
        try bob.post(#"421["nothing",{}]"#)
        try Deadline.wait(for: "the write", untilTrue: { node.store.blockedCount == 1 })
        node.gateway.drain(over: .zero)
        #expect(
            try ann.closeEvent()
                == .close(code: 1012, reason: "the node is going down; connect again"))
        #expect(try bob.packets(1)[0].hasPrefix("431"))
        try send("two")
        node.store.open()
        while try bob.poll().status == 200 {}
        node.gateway.resumeClients()
        let carl = try node.conversationClient("carl", in: "room")
        #expect(try carl.history(#""limit":10"#).compactMap { $0["content"] } == ["one"])
    }

    @Test("gets 503 if too many connect in a second, with either transport")
    func tooManyHandshakes() throws {
        let node = try Self.node { $0.live.limits.connectsPerSecond = 1 }
        // If a second begins between the first two requests, the third is in the same second as the
        // second.
        let path = "/socket.io/?EIO=4&transport=polling"
        let refused = try Deadline.wait(for: "a refusal") {
            let reply = try HTTPReply.get(path, port: node.port)
            return reply.status == 200 ? nil : reply
        }
        #expect(refused.status == 503 && refused.fields["retry-after"] == "1")
        #expect(refused.body == #"{"code":4,"message":"Unavailable; come again"}"#)
        let webSocket = try Deadline.wait(for: "another refusal") {
            try? RawWebSocketClient.refusal(
                of: "/socket.io/?EIO=4&transport=websocket", port: node.port)
        }
        #expect(webSocket.status == 503 && webSocket.fields["retry-after"] == "1")
    }

    // MARK: Whose it is

    private static let forbidden = #"{"code":4,"message":"Forbidden"}"#

    /// A token with one changed letter in its signature.
    private static func forged(_ token: String) -> String {
        token.dropLast(2) + (token.hasSuffix("AA") ? "BA" : "AA")
    }

    @Test(
        "continues after requests with another user's token or an invalid one, which get 403",
        arguments: [1, 3])
    func otherTokens(loops: Int) throws {
        let node = try Self.node(loops: loops)
        let ann = try Self.member("ann", of: ["room"], at: node)
        for token in [
            try TestNode.token("bob"), Self.forged(try TestNode.token("ann")), "nonsense",
        ] {
            var other = ann
            other.query = "&token=\(token)"
            for reply in [
                try other.poll(), try other.post("6"),
                try ann.poll(fields: ["Authorization": "Bearer \(token)"]),
                try ann.post("6", fields: ["Authorization": "Bearer \(token)"]),
                try RawWebSocketClient.refusal(
                    of: "/socket.io/?EIO=4&transport=websocket&sid=\(ann.sid)&token=\(token)",
                    port: node.port),
            ] {
                #expect(reply.status == 403 && reply.body == Self.forbidden, "\(reply)")
            }
        }
        var own = ann
        own.query = "&token=\(try TestNode.token("ann"))"
        for client in [ann, own] {
            try client.post(#"421["nothing",{}]"#)
            #expect(try client.packets(1)[0].hasPrefix("431"))
        }
    }

    @Test("may still send the token of its handshake after that has expired")
    func expiredToken() throws {
        let node = try Self.node()
        let token = try TestNode.token("ann", lasting: .seconds(6))
        var ann = try PollingClient(port: node.port, query: "&token=\(token)")
        ann.query = "&token=\(token)"
        try ann.connectNamespace(token: nil)
        try ann.post(#"421["authenticate",{"token":"\#(TestNode.token("ann"))"}]"#)
        #expect(try ann.packets(1)[0].hasPrefix(#"431[{"ok":true"#))
        func comesIn() throws -> Bool {
            let late = try PollingClient(port: node.port, query: "&token=\(token)")
            try late.post("40")
            return try late.packets(1)[0].hasPrefix("40")
        }
        try Deadline.wait(for: "the token's end", untilTrue: { try !comesIn() })
        try ann.post(#"422["nothing",{}]"#)
        #expect(try ann.packets(1)[0].hasPrefix("432"))
    }

    @Test("with an invalid token gets the error when it connects")
    func refusedToken() throws {
        let node = try Self.node()
        let query = "&token=\(Self.forged(try TestNode.token("ann")))"
        var client = try PollingClient(port: node.port, query: query)
        client.query = query
        #expect(try client.post("40").body == "ok")
        #expect(try client.packets(1)[0].hasPrefix(#"44{"message":"token: "#))
    }
}
