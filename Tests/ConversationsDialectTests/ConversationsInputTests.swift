import Bytes
import ChatModel
import Configuration
import DialectKit
import DialectTestSupport
import Gateway
import GatewayTestSupport
import Identity
import TestKit
import TestTraits
import Testing

@Suite("A frame of a client", .ownThread)
struct ConversationsInputTests {
    /// A frame, and all steps that it causes.
    struct Case: Sendable, CustomTestStringConvertible {
        let input: String
        let output: [String]
        var testDescription: String { self.input }

        init(_ input: String, _ output: String...) {
            self.input = input
            self.output = output
        }

        /// Whether the session answers without a request to the chat.
        var isAnsweredAtOnce: Bool { self.output.allSatisfy { $0.hasPrefix("{") } }
    }

    private static var limits: Limits {
        var limits = Limits()
        limits.contentBytes = 24
        return limits
    }

    @Test("has exactly one meaning", arguments: Case.all)
    func oneMeaning(_ example: Case) {
        var probe = SessionProbe(limits: Self.limits)
        #expect(probe.send(example.input) == example.output)
        // The session still works.
        #expect(
            probe.send(#"{"action":"typing","is_typing":true}"#) == [
                "typing true by ann in tenant/room-1"
            ])
    }

    @Test("means the same in whatever fragments it arrives")
    func fragments() throws {
        let node = try TestNode { setup in
            setup.live.limits.allowEverything()
            setup.live.limits.jsonDepth = 8
            setup.live.limits.contentBytes = 24
        }
        let peer = try TestPeer(TestNode.path("ann", in: "room-1"), port: node.port)
        for example in Case.all where example.isAnsweredAtOnce && !example.output.isEmpty {
            let bytes = Array(example.input.utf8)
            for cut in stride(from: 0, through: bytes.count, by: bytes.count > 200 ? 37 : 1) {
                try peer.send(
                    bytes: RawWebSocketClient.frame(opcode: 1, Array(bytes[..<cut]), isFinal: false)
                        + RawWebSocketClient.frame(opcode: 0, Array(bytes[cut...])))
                for expected in example.output {
                    #expect(try peer.next() == .text(expected), "cut at \(cut)")
                }
            }
        }
    }

    @Test("beyond the rate limit is refused in the form of its action, with the time to wait")
    func rateLimited() {
        var probe = SessionProbe()
        #expect(
            probe.send(
                #"{"action":"send_message","content":"x","local_id":"a"}"#, retryAfter: 0.0151) == [
                    #"""
                    {"type":"message.failed","local_id":"a","error":"rate limited",\#
                    "outcome":"refused","retry_after":0.02}
                    """#
                ])
        #expect(
            probe.send(#"{"action":"send_message"}"#, retryAfter: 12.345) == [
                #"""
                {"type":"message.failed","local_id":null,"error":"rate limited",\#
                "outcome":"refused","retry_after":12.35}
                """#
            ])
        for action in [
            "typing", "read", "fetch_messages", "edit_message", "delete_message", "authenticate",
            "dance",
        ] {
            #expect(
                probe.send(#"{"action":"\#(action)"}"#, retryAfter: 1) == [
                    #"""
                    {"type":"error","action":"\#(action)","error":"rate limited",\#
                    "retry_after":1.00}
                    """#
                ])
        }
        #expect(probe.send(#"{"action":"heartbeat"}"#, retryAfter: 1).isEmpty)
        #expect(
            probe.send(#"{"action":"typing","is_typing":true}"#).count == 1,
            "the next frame is accepted again")
    }

    @Test("that is binary or too long is answered with an error")
    func binaryAndTooLong() {
        var probe = SessionProbe()
        #expect(
            probe.perform { $0.receivedBinary(into: &$1) } == [
                #"""
                {"type":"error","action":null,"error":"binary frames are not supported; send JSON \#
                text"}
                """#
            ])
        #expect(
            probe.send(#"{"action":"edit_message"}"#, exceededByteLimit: 65_536) == [
                #"""
                {"type":"error","action":"edit_message",\#
                "error":"the message is longer than 65536 bytes"}
                """#
            ])
        #expect(
            probe.send(#"{"action":"send_message","local_id":"a"}"#, exceededByteLimit: 65_536) == [
                #"""
                {"type":"message.failed","local_id":"a",\#
                "error":"the message is longer than 65536 bytes","outcome":"refused"}
                """#
            ])
    }

    @Test("of an admin is submitted as such")
    func admin() {
        var probe = SessionProbe(isAdmin: true)
        #expect(
            probe.send(#"{"action":"delete_message","message_id":"4"}"#) == [
                "delete 4 by ann admin in tenant/room-1"
            ])
        // The new token is not an admin's.
        #expect(
            probe.perform {
                $0.authenticated(.success(.init(user: "ann", tenant: "tenant")), into: &$1)
            } == [#"{"type":"authenticated"}"#])
        #expect(
            probe.send(#"{"action":"delete_message","message_id":"4"}"#) == [
                "delete 4 by ann in tenant/room-1"
            ])
        #expect(
            probe.perform { $0.authenticated(.failure(.init("has expired")), into: &$1) } == [
                #"{"type":"error","action":"authenticate","error":"token: has expired"}"#
            ])
    }
}
