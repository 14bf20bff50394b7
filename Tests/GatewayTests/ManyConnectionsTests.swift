import Bytes
import ChatModel
import Configuration
import GatewayTestSupport
import Identity
import TestKit
import TestTraits
import Testing

@testable import Gateway

/// One user with many connections to a node whose clock stands still.
@Suite("A user with many connections", .ownThread)
struct ManyConnectionsTests {
    private static let expected = 10

    private static func node(_ change: (inout Limits) -> Void = { _ in }) throws -> TestNode {
        let clock = StoppedClock(monotonic: 10_000)
        return try TestNode(loops: 2, dialects: TestNode.allDialects) { setup in
            setup.settings.readClocks = { clock.reading }
            setup.settings.allowsAnonymous = true
            setup.live.limits.messagesPerSecond = 1
            setup.live.limits.messageBurst = Self.expected
            change(&setup.live.limits)
        }
    }

    /// A kind of client, and how it sends a message and recognizes that it was stored or refused.
    struct SendingClient: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var path: @Sendable (_ user: String, _ room: String) throws -> String
        var opening: [String] = []
        /// What the node sends before the client may send.
        var ready: String
        var frame: @Sendable (_ room: String, _ text: String) -> String
        var stored: String
    }

    private static let clients = [
        SendingClient(
            testDescription: "Conversations",
            path: { try TestNode.path($0, in: $1, after: "0") }, ready: "",
            frame: { ConversationsFrames.message($1, as: $1) }, stored: #"{"type":"chat_message""#),
        SendingClient(
            testDescription: "Agents",
            path: { "/v1/ws?token=\(try TestNode.token($0))&channel_id=\($1)" }, ready: "",
            frame: { #"{"type":"message","content":"\#($1)"}"# }, stored: #"{"type":"ACK""#),
        SendingClient(
            testDescription: "Pets",
            path: { user, _ in "/ws/?token=\(try TestNode.token(user))" }, ready: "",
            frame: {
                #"{"event":"message","data":{"conversation_id":"\#($0)","content":"\#($1)"}}"#
            }, stored: #"{"event":"message_sent""#),
        SendingClient(
            testDescription: "Chats",
            path: { user, _ in "/ws/chats/?token=\(try TestNode.token(user))" },
            opening: [#"{"type":"joinChat","data":{"chat":"ROOM"}}"#],
            ready: #"{"type":"chatJoined""#,
            frame: { #"{"type":"newMessage","data":{"chat":"\#($0)","text":"\#($1)"}}"# },
            stored: #"{"type":"messageCreated""#),
        SendingClient(
            testDescription: "Rooms",
            path: { user, _ in
                "/socket.io/?EIO=4&transport=websocket&token=\(try TestNode.token(user))"
            }, opening: ["40", #"42["join_room",{"room_id":"ROOM"}]"#],
            ready: #"42["conversation_state""#,
            frame: {
                #"421["send_message",{"room_id":"\#($0)","content":"\#($1)"}]"#
            }, stored: #"431[{"ok":true"#),
    ]

    /// Sends with one connection after the other, of one user, and counts what was stored.
    private static func send(
        _ client: SendingClient, as user: String, to node: TestNode, connections: Int,
        each count: Int
    ) throws -> Int {
        var peers: [(peer: TestPeer, room: String)] = []
        for number in 0..<connections {
            let room = "\(user)\(number)"
            let peer = try TestPeer(client.path(user, room), port: node.port)
            for frame in client.opening {
                try peer.send(frame.replacing("ROOM", with: room))
            }
            try TestPeer.wait(for: "the room", among: [peer]) {
                client.ready.isEmpty || peer.texts.contains { $0.hasPrefix(client.ready) }
            }
            peers.append((peer, room))
        }
        var stored = 0
        for (peer, room) in peers {
            for text in 0..<count { try peer.send(client.frame(room, "\(room)-\(text)")) }
            func refused() -> Int { peer.texts.count { $0.contains("rate limited") } }
            // Chats sends a user's messages to all of its connections.
            let others = peers.map(\.room).filter { $0 != room }
            func accepted() -> Int {
                peer.texts.count { text in
                    text.hasPrefix(client.stored) && !others.contains { text.contains("\($0)-") }
                }
            }
            try TestPeer.wait(for: "\(count) answers, \(peer.texts)", among: [peer]) {
                accepted() + refused() >= count
            }
            stored += accepted()
        }
        return stored
    }

    @Test("sends as much as with one", arguments: clients)
    func sends(_ client: SendingClient) throws {
        let node = try Self.node()
        let stored = try Self.send(client, as: "ann", to: node, connections: 3, each: 6)
        #expect(
            (Self.expected - 3 * client.opening.count...Self.expected).contains(stored),
            "\(stored)")
        #expect(stored > 0)
        // Another user is not concerned.
        #expect(try Self.send(client, as: "bob", to: node, connections: 1, each: 2) == 2)
    }

    @Test("gets 429 when it has opened as many as it may send messages at once", arguments: clients)
    func connects(_ client: SendingClient) throws {
        let node = try Self.node()
        let path = try client.path("ann", "room")
        let peers = try (0..<Self.expected).map { _ in try TestPeer(path, port: node.port) }
        let refusal = try RawWebSocketClient.refusal(of: path, port: node.port)
        #expect(refusal.status == 429 && refusal.fields["retry-after"] == "3")
        _ = try TestPeer(client.path("bob", "room"), port: node.port)
        #expect(peers.allSatisfy { !$0.isClosed })
    }

    @Test("gets the pages of its replays at its rate, and all of them")
    func replays() throws {
        let clock = StoppedClock(monotonic: 10_000)
        let node = try TestNode { setup in
            setup.settings.readClocks = { clock.reading }
            setup.live.limits.allowEverything()
        }
        try node.fill(2500)
        var live = node.live
        live.limits.messagesPerSecond = 1
        live.limits.messageBurst = 4
        node.gateway.reload(live)
        let carol = try node.conversationClient("carol")
        // Each user has nearly 16 pages at once.
        let ann = try node.peer("ann", after: "0")
        let bob = try node.peer("bob", after: "0")
        func received(_ peer: TestPeer) -> Int { ConversationsFrames.ids(of: peer.texts).count }
        try TestPeer.wait(for: "the first pages", among: [ann, bob]) {
            received(ann) >= 1000 && received(bob) >= 1000
        }
        let second = try node.peer("ann", after: "0")
        // The answer of a frame shows that the loop has done more turns.
        for _ in 0..<5 { try carol.synchronize() }
        for peer in [ann, bob, second] { try peer.receiveNow() }
        #expect(received(ann) <= 1600 && received(bob) <= 1600 && received(second) == 0)
        try Deadline.wait(
            for: "all messages",
            untilTrue: {
                clock.advance(milliseconds: 1000)
                for peer in [ann, bob, second] { try peer.receiveNow() }
                return [ann, bob, second].allSatisfy { received($0) == 2500 }
            })
        for peer in [ann, bob, second] {
            #expect(ConversationsFrames.ids(of: peer.texts) == Array(1...2500))
        }
    }

    @Test("gets an answer that needs many pages of a history at the rate of its replays")
    func furtherReads() throws {
        let clock = StoppedClock(monotonic: 10_000)
        let node = try TestNode(dialects: TestNode.allDialects) { setup in
            setup.settings.readClocks = { clock.reading }
            setup.live.limits.allowEverything()
        }
        try node.fill(2500, by: "ann")
        var live = node.live
        live.limits.messagesPerSecond = 1
        live.limits.messageBurst = 2
        node.gateway.reload(live)
        let ann = try TestPeer("/ws/chats/?token=\(TestNode.token("ann"))", port: node.port)
        try ann.send(
            #"{"type":"getChatMessages","data":{"chatId":"room","date_to":"1999-12-31"}}"#)
        // The request pays for the first of 13 pages, and the burst for eight more.
        var waited = 0
        try Deadline.wait(
            for: "the answer",
            untilTrue: {
                try ann.receiveNow()
                if ann.texts.contains(#"{"type":"chatMessages","data":[]}"#) { return true }
                clock.advance(milliseconds: 100)
                waited += 100
                return false
            })
        #expect(waited >= 1000)
    }

    @Test("that poll and are not polled retains the events of all sessions up to a bound")
    func polling() throws {
        let node = try TestNode(dialects: TestNode.allDialects) {
            $0.live.limits.allowEverything()
            $0.live.limits.outboundBytes = 200_000
        }
        let token = try TestNode.token("ann")
        let sessions = try (0..<6).map { _ in
            let session = try PollingClient(port: node.port)
            try session.connectNamespace(token: token)
            try session.post(#"42["join_room",{"room_id":"room"}]"#)
            while try !session.packets(1).contains(where: { $0.contains("conversation_state") }) {}
            return session
        }
        try node.fill(150, bytes: 800)
        let ann = LimitKey.user(UserID(tokenSubject: "ann"), tenant: "default")
        let user = try #require(node.gateway.shared.rates.existing(ann))
        // The session that passes the bound, and one event of each other.
        #expect((200_000..<400_000).contains(user.unpolledBytes), "\(user.unpolledBytes)")
        // Every session gets all events nevertheless.
        for session in sessions {
            var count = 0
            while count < 150 {
                count += try session.packets(1).count { $0.contains("new_message") }
            }
            #expect(count == 150)
        }
    }

    @Test("is told the name of the limit when it has stored what it may in a day")
    func storage() throws {
        let node = try Self.node {
            $0.messageBurst = 1000
            $0.storedBytesPerDay = 20_000
        }
        let ann = try node.conversationClient("ann", in: "one", after: "0")
        try ann.sendMessage(String(repeating: "x", count: 16_000), as: "a")
        #expect(try ann.next()["type"] == "chat_message")
        let again = try node.conversationClient("ann", in: "two", after: "0")
        try again.sendMessage(String(repeating: "x", count: 4000), as: "b")
        let failed = try again.next()
        #expect(
            failed["type"] == "message.failed"
                && failed["error"] == "rate limited: stored-bytes-per-day"
                && failed["outcome"] == "refused", "\(failed)")
        // Entering and reading store nothing.
        let third = try node.conversationClient("ann", in: "one", after: "0")
        #expect(try third.next()["type"] == "chat_message")
    }
}
