import Bytes
import ChatModel
import Configuration
import Foundation
import GatewayTestSupport
import Identity
import TestKit
import TestTraits
import Testing

@testable import Gateway

/// What one user stores at most, with the frames that store the most for their size.
@Suite("The bytes that a user stores in a day", .ownThread)
struct StoredBytesTests {
    private static let limit = 1 << 20
    private static let refusal = "rate limited: stored-bytes-per-day"

    struct Attack: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let path: String
        var user = "ann"
        var opening: [String] = []
        let frame: @Sendable (Int) -> String
        /// Whether a text answers a frame.
        let answer: @Sendable (String) -> Bool
    }

    private static func uuid(_ number: Int) -> String {
        let digits = String(number, radix: 16)
        return "123e4567-e89b-12d3-a456-"
            + String(repeating: "0", count: 12 - digits.count) + digits
    }

    private static let attacks = [
        Attack(
            testDescription: "conversations with 100 providers each", path: "/ws/?",
            frame: { number in
                let providers = (0..<100).map { #""\#(Self.uuid(number * 100 + $0))""# }
                return #"{"event":"new_conversation","data":{"pet_id":"\#(Self.uuid(0))","#
                    + #""providers":[\#(providers.joined(separator: ","))]}}"#
            },
            answer: { $0.contains("conversation_created") || $0.contains("error") }),
        Attack(
            testDescription: "inboxes of agents that do not exist", path: "/v1/ws?",
            frame: { #"{"type":"message","to":"nobody \#($0)","content":"x"}"# },
            answer: { $0.contains("ACK") || $0.contains("ERROR") }),
        Attack(
            testDescription: "short messages", path: "/conversations/room/?",
            frame: { ConversationsFrames.message("x", as: "\($0)") },
            answer: { $0.contains("chat_message") || $0.contains("failed") }),
        Attack(
            testDescription: "metadata", path: "/v1/ws?channel_id=room&",
            frame: {
                let text = String(repeating: "m", count: 8000)
                return #"{"type":"message","content":"\#($0)","metadata":{"m":"\#(text)"}}"#
            },
            answer: { $0.contains("ACK") || $0.contains("ERROR") }),
        Attack(
            testDescription: "edits of one message", path: "/conversations/room/?",
            opening: [ConversationsFrames.message("x", as: "first")],
            frame: {
                #"{"action":"edit_message","message_id":"1","content":"\#($0)"}"#
            },
            answer: { $0.contains("edited") || $0.contains(#""error""#) }),
    ]

    @Test("bound what the database grows by, whatever the frames", arguments: attacks)
    func bound(_ attack: Attack) throws {
        var node: TestNode? = try TestNode(store: .sqlite, dialects: TestNode.allDialects) {
            $0.live.limits.allowEverything()
            $0.live.limits.storedBytesPerDay = Self.limit
        }
        let folder = try #require(node?.folder)
        do {
            let node = try #require(node)
            let peer = try TestPeer(
                "\(attack.path)token=\(try TestNode.token(attack.user))", port: node.port)
            for frame in attack.opening { try peer.send(frame) }
            if !attack.opening.isEmpty {
                try TestPeer.wait(for: "the opening", among: [peer]) {
                    !ConversationsFrames.ids(of: peer.texts).isEmpty
                }
            }
            var (number, isRefused) = (0, false)
            while !isRefused {
                try #require(number < 20_000, "it was never refused")
                _ = peer.drainTexts()
                for _ in 0..<50 {
                    try peer.send(attack.frame(number))
                    number += 1
                }
                try TestPeer.wait(for: "the answers", among: [peer]) {
                    peer.texts.count(where: attack.answer) >= 50
                }
                let refusals = peer.texts.filter { $0.contains(Self.refusal) }
                #expect(refusals.allSatisfy { $0.contains(#""retry_after":"#) }, "\(refusals)")
                isRefused = !refusals.isEmpty
            }
            // Another user can still store something.
            let bob = try node.conversationClient("bob", in: "tea")
            try bob.post("mine")
        }
        node = nil
        let bytes = try FileManager.default.contentsOfDirectory(atPath: folder.path)
            .filter { $0.hasPrefix("confab.db") }
            .map { try Data(contentsOf: URL(filePath: folder.file($0))).count }
            .reduce(0, +)
        #expect(bytes < 4 * Self.limit, "\(bytes)")
    }
}
