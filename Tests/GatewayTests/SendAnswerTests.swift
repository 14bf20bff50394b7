import Bytes
import Foundation
import GatewayTestSupport
import Identity
import TestKit
import TestTraits
import Testing

@testable import Gateway

/// Every send has an answer of its own, also one that repeats another.
@Suite("A send that is repeated before its answer", .ownThread)
struct SendAnswerTests {
    /// A protocol's frames: how to connect, to send, and which frames answer a send.
    struct Frames: Sendable, CustomTestStringConvertible {
        let name: String
        let path: String
        var entry: [String] = []
        let send: String
        let other: String
        /// A part of each answer.
        let answer: String

        var testDescription: String { self.name }

        static let all = [
            Frames(
                name: "Conversations", path: "/conversations/5/",
                send: #"{"action":"send_message","content":"x","local_id":"l1"}"#,
                other: #"{"action":"send_message","content":"y","local_id":"l2"}"#,
                answer: #""local_id":"l1""#),
            Frames(
                name: "Chats", path: "/ws/chats/",
                send: #"{"type":"newMessage","data":{"chat":5,"text":"x","local_id":"l1"}}"#,
                other: #"{"type":"newMessage","data":{"chat":5,"text":"y","local_id":"l2"}}"#,
                answer: #""local_id":"l1""#),
            Frames(
                name: "Pets", path: "/ws/",
                send: #"""
                    {"event":"message","data":{"conversation_id":"5","content":"x","local_id":"l1"}}
                    """#,
                other: #"""
                    {"event":"message","data":{"conversation_id":"5","content":"y","local_id":"l2"}}
                    """#,
                answer: #""local_id":"l1""#),
            Frames(
                name: "Agents", path: "/v1/ws?channel_id=5",
                send: #"{"type":"message","content":"x","id":"l1"}"#,
                other: #"{"type":"message","content":"y","id":"l2"}"#,
                answer: #""message_id":"l1""#),
            Frames(
                name: "Rooms", path: "/socket.io/?EIO=4&transport=websocket",
                entry: ["40{\"token\":TOKEN}", #"42["join_room",{"room_id":"5"}]"#],
                send: #"42["send_message",{"room_id":"5","content":"x","local_id":"l1"}]"#,
                other: #"42["send_message",{"room_id":"5","content":"y","local_id":"l2"}]"#,
                answer: #"42["new_message",{"id":"1""#),
        ]
    }

    private func connect(_ frames: Frames, _ user: String, at node: TestNode, after: String = "")
        throws -> RawWebSocketClient
    {
        let token = try TestNode.token(user, grants: .listed(["5"]))
        let socket = try RawWebSocketClient(
            "\(frames.path)\(frames.path.contains("?") ? "&" : "?")token=\(token)\(after)",
            port: node.port)
        for frame in frames.entry {
            try socket.send(frame.replacing("TOKEN", with: "\"\(token)\""))
        }
        if !frames.entry.isEmpty {
            while true {
                guard case .text(let text) = try socket.next() else { continue }
                if text.contains("conversation_state") { break }
            }
        }
        return socket
    }

    /// The texts up to one with `last`.
    private func texts(of socket: RawWebSocketClient, until last: String) throws -> [String] {
        var texts: [String] = []
        while !(texts.last?.contains(last) ?? false) {
            if case .text(let text) = try socket.next() { texts.append(text) }
        }
        return texts
    }

    @Test(
        "has one answer for each time that it was sent",
        arguments: Frames.all, TestNode.EmbeddedStoreKind.allCases)
    func answers(_ frames: Frames, _ store: TestNode.EmbeddedStoreKind) throws {
        let node = try TestNode(loops: 2, store: store, dialects: TestNode.allDialects) {
            $0.live.limits.allowEverything()
        }
        let socket = try self.connect(frames, "7", at: node)
        let reader = try self.connect(frames, "8", at: node)
        try socket.stream.send(
            [frames.send, frames.other, frames.send, frames.send].flatMap {
                RawWebSocketClient.frame(opcode: 1, Array($0.utf8))
            })
        var count = 0
        while count < 3 {
            guard case .text(let text) = try socket.next() else {
                throw TestFailure("\(count) answers")
            }
            if text.contains(frames.answer) { count += 1 }
        }
        // Readers get the message once.
        let last = frames.other.replacing("l2", with: "l3").replacing(#""y""#, with: #""last""#)
        try socket.send(last)
        let texts = try self.texts(of: reader, until: #""last""#)
        #expect(texts.count(where: { $0.contains(#""x""#) }) == 1, "\(texts)")
        #expect(texts.count(where: { $0.contains(#""y""#) }) == 1, "\(texts)")
    }
}
