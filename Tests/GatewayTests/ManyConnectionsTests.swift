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
