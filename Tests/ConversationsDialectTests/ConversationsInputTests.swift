import Bytes
import ChatModel
import Configuration
import DialectKit
import DialectTestSupport
import Gateway
import GatewayTestSupport
import Identity
import TestKit
import Testing

@Suite("A frame of a client")
struct ConversationsInputTests {
    /// What is sent, and everything that comes of it.
    struct Case: Sendable, CustomTestStringConvertible {
        let input: String
        let output: [String]
        var testDescription: String { self.input }

        init(_ input: String, _ output: String...) {
            self.input = input
            self.output = output
        }

        /// Nothing is asked of the chat: the answer is known at once.
        var isAnsweredAtOnce: Bool { self.output.allSatisfy { $0.hasPrefix("{") } }

        private static func error(_ action: String, _ words: String) -> String {
            #"{"type":"error","action":\#(action),"error":"\#(words)"}"#
        }
        private static func failed(_ id: String, _ words: String) -> String {
            #"{"type":"message.failed","local_id":\#(id),"error":"\#(words)","outcome":"refused"}"#
        }
        private static let long = String(repeating: "x", count: 129)

        static let sending = [
            Case(
                #"{"action":"send_message","content":"Good morning"}"#,
                #"post "Good morning" id - by ann in tenant/room-1"#),
            Case(
                #"{"action":"send_message","conversation_id":"room-1","content":"x","local_id":"n-1"}"#,
                #"post "x" id "n-1" by ann in tenant/room-1"#),
            Case(
                #"{"content":"order is free","action":"send_message"}"#,
                #"post "order is free" id - by ann in tenant/room-1"#),
            Case(
                #" { "action" : "send_message" , "content" : "x" , "more" : [ { } ] , "local_id" : null , "conversation_id" : null } "#,
                #"post "x" id - by ann in tenant/room-1"#),
            Case(
                #"{"action":"send_message","content":"x","content":"the last one counts"}"#,
                #"post "the last one counts" id - by ann in tenant/room-1"#),
            Case(
                #"{"\u0061ction":"send\u005fmessage","content":"\u0078"}"#,
                #"post "x" id - by ann in tenant/room-1"#),
            Case(
                #"{"action":"send_message","content":"日本語 \ud83d\ude00 é\u0301"}"#,
                "post \"日本語 😀 é\u{301}\" id - by ann in tenant/room-1"),
            Case(
                #"{"action":"send_message","content":"\u0000\t\"\\\/"}"#,
                #"post "\0\t\"\\/" id - by ann in tenant/room-1"#),
            Case(
                #"{"action":"send_message","content":"\u200b"}"#,
                "post \"\u{200B}\" id - by ann in tenant/room-1"),
            Case(
                #"{"action":"send_message","content":"123456789012345678901234"}"#,
                #"post "123456789012345678901234" id - by ann in tenant/room-1"#),
            Case(
                #"{"action":"send_message","content":"\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9"}"#,
                #"post "éééééééééééé" id - by ann in tenant/room-1"#),
            Case(
                #"{"action":"send_message","content":"x","local_id":"\#(long.dropLast())"}"#,
                #"post "x" id "\#(long.dropLast())" by ann in tenant/room-1"#),
            Case(
                #"{"action":"send_message","content":"x","local_id":"é ü"}"#,
                #"post "x" id "é ü" by ann in tenant/room-1"#),
            Case(
                "{\"action\":\"send_message\",\"content\":\"\u{FEFF}x\u{7F}\"}",
                "post \"\u{FEFF}x\\u{7F}\" id - by ann in tenant/room-1"),
            Case(#"{"action":"send_message"}"#, failed("null", "content: is missing")),
            Case(
                #"{"action":"send_message","content":null,"local_id":"a"}"#,
                failed(#""a""#, "content: is missing")),
            Case(
                #"{"action":"send_message","content":5,"local_id":"a"}"#,
                failed(#""a""#, "content: must be a string")),
            Case(
                #"{"action":"send_message","content":["x"]}"#,
                failed("null", "content: must be a string")),
            Case(
                #"{"action":"send_message","content":"","local_id":"a"}"#,
                failed(#""a""#, "content: must not be empty")),
            Case(
                #"{"action":"send_message","content":" \t\r\n"}"#,
                failed("null", "content: must not be empty")),
            Case(
                #"{"action":"send_message","content":"\u00a0\u2003\u3000\u0085\u2028"}"#,
                failed("null", "content: must not be empty")),
            Case(
                #"{"action":"send_message","content":"1234567890123456789012345"}"#,
                failed("null", "content: longer than 24 bytes")),
            Case(
                #"{"action":"send_message","content":"éééééééééééé!","local_id":"a"}"#,
                failed(#""a""#, "content: longer than 24 bytes")),
            Case(
                #"{"action":"send_message","content":"                         "}"#,
                failed("null", "content: longer than 24 bytes")),
            Case(
                #"{"action":"send_message","content":"x","local_id":7}"#,
                failed("null", "local_id: must be a string")),
            Case(
                #"{"action":"send_message","content":"x","local_id":""}"#,
                failed(#""""#, "local_id: must have 1 to 128 bytes and no control characters")),
            Case(
                #"{"action":"send_message","content":"x","local_id":"\#(long)"}"#,
                failed(
                    #""\#(long)""#, "local_id: must have 1 to 128 bytes and no control characters")),
            Case(
                #"{"action":"send_message","content":"x","local_id":"a\u0001"}"#,
                failed(
                    #""a\u0001""#, "local_id: must have 1 to 128 bytes and no control characters")),
            Case(
                #"{"action":"send_message","content":"x","local_id":"a\u007f"}"#,
                failed(
                    "\"a\u{7F}\"", "local_id: must have 1 to 128 bytes and no control characters")),
            Case(
                #"{"action":"send_message","content":"x","conversation_id":"room-2","local_id":"a"}"#,
                failed(#""a""#, "conversation_id: is not this connection's conversation")),
            Case(
                #"{"action":"send_message","content":"x","conversation_id":1}"#,
                failed("null", "conversation_id: must be a string")),
        ]

        static let others = [
            Case(#"{"action":"typing","is_typing":true}"#, "typing true by ann in tenant/room-1"),
            Case(
                #"{"action":"typing","conversation_id":"room-1","is_typing":false}"#,
                "typing false by ann in tenant/room-1"),
            Case(#"{"action":"typing"}"#, error(#""typing""#, "is_typing: is missing")),
            Case(
                #"{"action":"typing","is_typing":"yes"}"#,
                error(#""typing""#, "is_typing: must be true or false")),
            Case(
                #"{"action":"typing","is_typing":1}"#,
                error(#""typing""#, "is_typing: must be true or false")),
            Case(
                #"{"action":"typing","is_typing":true,"conversation_id":"Room-1"}"#,
                error(#""typing""#, "conversation_id: is not this connection's conversation")),
            Case(
                #"{"action":"read","message_ids":["1","9223372036854775807"]}"#,
                "read [1, 9223372036854775807] by ann in tenant/room-1"),
            Case(
                #"{"action":"read","message_ids":["07","3","-1","x","9223372036854775808"]}"#,
                error(
                    #""read""#, "message_ids: there is no message 07, -1, x, 9223372036854775808"),
                "read [3] by ann in tenant/room-1"),
            Case(
                #"{"action":"read","message_ids":["a"]}"#,
                error(#""read""#, "message_ids: there is no message a")),
            Case(
                #"{"action":"read","message_ids":[\#((0..<23).map { #""x\#($0)""# }.joined(separator: ","))]}"#,
                error(
                    #""read""#,
                    "message_ids: there is no message \((0..<20).map { "x\($0)" }.joined(separator: ", ")) and 3 more"
                )),
            Case(#"{"action":"read"}"#, error(#""read""#, "message_ids: is missing")),
            Case(
                #"{"action":"read","message_ids":[]}"#,
                error(#""read""#, "message_ids: must not be empty")),
            Case(
                #"{"action":"read","message_ids":"1"}"#,
                error(#""read""#, "message_ids: must be an array of strings")),
            Case(
                #"{"action":"read","message_ids":[1]}"#,
                error(#""read""#, "message_ids: must be an array of strings")),
            Case(#"{"action":"fetch_messages"}"#, "read newest limit 20 in tenant/room-1"),
            Case(#"{"action":"fetch_messages","limit":1}"#, "read newest limit 1 in tenant/room-1"),
            Case(
                #"{"action":"fetch_messages","limit":100,"before_id":"12"}"#,
                "read before(12) limit 100 in tenant/room-1"),
            Case(
                #"{"action":"fetch_messages","after_id":"0"}"#,
                "read after(0) limit 20 in tenant/room-1"),
            Case(
                #"{"action":"fetch_messages","limit":0}"#,
                error(#""fetch_messages""#, "limit: must be a whole number from 1 to 100")),
            Case(
                #"{"action":"fetch_messages","limit":101}"#,
                error(#""fetch_messages""#, "limit: must be a whole number from 1 to 100")),
            Case(
                #"{"action":"fetch_messages","limit":-1}"#,
                error(#""fetch_messages""#, "limit: must be a whole number from 1 to 100")),
            Case(
                #"{"action":"fetch_messages","limit":2.0}"#,
                error(#""fetch_messages""#, "limit: must be a whole number from 1 to 100")),
            Case(
                #"{"action":"fetch_messages","limit":"20"}"#,
                error(#""fetch_messages""#, "limit: must be a whole number from 1 to 100")),
            Case(
                #"{"action":"fetch_messages","limit":99999999999999999999}"#,
                error(#""fetch_messages""#, "limit: must be a whole number from 1 to 100")),
            Case(
                #"{"action":"fetch_messages","before_id":12}"#,
                error(#""fetch_messages""#, "before_id: must be a string")),
            Case(
                #"{"action":"fetch_messages","before_id":"012"}"#,
                error(#""fetch_messages""#, "before_id: is no message id")),
            Case(
                #"{"action":"fetch_messages","after_id":""}"#,
                error(#""fetch_messages""#, "after_id: is no message id")),
            Case(
                #"{"action":"fetch_messages","after_id":"1","before_id":"5"}"#,
                error(#""fetch_messages""#, "after_id: cannot stand beside before_id")),
            Case(
                #"{"action":"edit_message","message_id":"4","content":"better"}"#,
                #"edit 4 "better" by ann in tenant/room-1"#),
            Case(
                #"{"action":"edit_message","content":"better"}"#,
                error(#""edit_message""#, "message_id: is missing")),
            Case(
                #"{"action":"edit_message","message_id":"4"}"#,
                error(#""edit_message""#, "content: is missing")),
            Case(
                #"{"action":"edit_message","message_id":"4","content":"\u3000"}"#,
                error(#""edit_message""#, "content: must not be empty")),
            Case(
                #"{"action":"edit_message","message_id":"four","content":"x"}"#,
                error(#""edit_message""#, "message_id: is no message id")),
            Case(
                #"{"action":"delete_message","message_id":"4"}"#, "delete 4 by ann in tenant/room-1"
            ),
            Case(
                #"{"action":"delete_message","message_id":4}"#,
                error(#""delete_message""#, "message_id: must be a string")),
            Case(#"{"action":"authenticate","token":"a.b.c"}"#, "authenticate a.b.c"),
            Case(#"{"action":"authenticate"}"#, error(#""authenticate""#, "token: is missing")),
            Case(#"{"action":"heartbeat"}"#),
            Case(#"{"action":"heartbeat_ack","conversation_id":5}"#),
            Case(#"{"action":"dance"}"#, error(#""dance""#, #"action: \"dance\" is unknown"#)),
            Case(
                #"{"action":"d\u0000\n\"é"}"#,
                error(#""d\u0000\n\"é""#, #"action: \"d\u0000\n\"é\" is unknown"#)),
            Case(
                #"{"action":"Send_Message","content":"x"}"#,
                error(#""Send_Message""#, #"action: \"Send_Message\" is unknown"#)),
            Case(#"{"action":""}"#, error(#""""#, #"action: \"\" is unknown"#)),
            Case(#"{"action":5}"#, error("null", "action: must be a string")),
            Case(#"{"action":null}"#, error("null", "action: is missing")),
            Case(#"{"type":"typing"}"#, error("null", "action: is missing")),
            Case("{}", error("null", "action: is missing")),
            Case("[]", error("null", "a frame must be a JSON object")),
            Case(#""send_message""#, error("null", "a frame must be a JSON object")),
            Case("null", error("null", "a frame must be a JSON object")),
        ]

        static let malformed = [
            Case("", error("null", "The JSON is malformed at byte 0: it ends too early.")),
            Case("{", error("null", "The JSON is malformed at byte 1: it ends too early.")),
            Case("hello", error("null", "The JSON is malformed at byte 0: a value was expected.")),
            Case(
                #"{"action":"typing",}"#,
                error(
                    "null",
                    "The JSON is malformed at byte 19: a member's name in double quotes was expected."
                )),
            Case(
                #"{"action":"heartbeat"} x"#,
                error("null", "The JSON is malformed at byte 23: something follows the value.")),
            Case(
                #"{"action":"send_message","content":"\ud800"}"#,
                error(
                    "null", "The JSON is malformed at byte 36: an escaped surrogate stands alone.")),
            Case(
                #"{"action":"send_message","content":"\ude00\ud83d"}"#,
                error(
                    "null", "The JSON is malformed at byte 36: an escaped surrogate stands alone.")),
            Case(
                "{\"action\":\"send_message\",\"content\":\"a\nb\"}",
                error(
                    "null",
                    "The JSON is malformed at byte 37: a control character in a string must be escaped."
                )),
            Case(
                #"{"a":[[[[[[[[1]]]]]]]]}"#,
                error(
                    "null", "The JSON is malformed at byte 12: values are nested more than 8 deep.")
            ),
            Case(
                "\u{FEFF}{}",
                error("null", "The JSON is malformed at byte 0: it begins with a byte order mark.")),
            Case(
                #"{'action':'typing'}"#,
                error(
                    "null",
                    "The JSON is malformed at byte 1: a member's name in double quotes was expected."
                )),
        ]

        static let all = sending + others + malformed
    }

    private static var limits: ChatLimits {
        var limits = ChatLimits()
        limits.contentBytes = 24
        return limits
    }

    @Test("has exactly one meaning", arguments: Case.all)
    func oneMeaning(_ example: Case) {
        var probe = SessionProbe(limits: Self.limits)
        #expect(probe.send(example.input) == example.output)
        // And the session is as good as before.
        #expect(
            probe.send(#"{"action":"typing","is_typing":true}"#) == [
                "typing true by ann in tenant/room-1"
            ])
    }

    @Test("means the same in whatever pieces it comes")
    func fragments() throws {
        let node = try TestNode { setup in
            setup.live.limits.allowEverything()
            setup.live.limits.jsonDepth = 8
            setup.settings.chatLimits.contentBytes = 24
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

    @Test(
        "is refused with the time to wait, where the rate is used up, in the shape that its action has"
    )
    func rateLimited() {
        var probe = SessionProbe()
        #expect(
            probe.send(
                #"{"action":"send_message","content":"x","local_id":"a"}"#, retryAfter: 0.0151) == [
                    #"{"type":"message.failed","local_id":"a","error":"rate limited","outcome":"refused","retry_after":0.02}"#
                ])
        #expect(
            probe.send(#"{"action":"send_message"}"#, retryAfter: 12.345) == [
                #"{"type":"message.failed","local_id":null,"error":"rate limited","outcome":"refused","retry_after":12.35}"#
            ])
        for action in [
            "typing", "read", "fetch_messages", "edit_message", "delete_message", "authenticate",
            "dance",
        ] {
            #expect(
                probe.send(#"{"action":"\#(action)"}"#, retryAfter: 1) == [
                    #"{"type":"error","action":"\#(action)","error":"rate limited","retry_after":1.00}"#
                ])
        }
        #expect(probe.send(#"{"action":"heartbeat"}"#, retryAfter: 1).isEmpty)
        #expect(
            probe.send(#"{"action":"typing","is_typing":true}"#).count == 1,
            "the next one is judged anew")
    }

    @Test("that is binary or too long is answered in words")
    func binaryAndTooLong() {
        var probe = SessionProbe()
        #expect(
            probe.perform { $0.receivedBinary(into: &$1) } == [
                #"{"type":"error","action":null,"error":"binary frames are not taken; send JSON text"}"#
            ])
        #expect(
            probe.send(#"{"action":"edit_message"}"#, exceededByteLimit: 65_536) == [
                #"{"type":"error","action":"edit_message","error":"the message is longer than 65536 bytes"}"#
            ])
        #expect(
            probe.send(#"{"action":"send_message","local_id":"a"}"#, exceededByteLimit: 65_536) == [
                #"{"type":"message.failed","local_id":"a","error":"the message is longer than 65536 bytes","outcome":"refused"}"#
            ])
    }

    @Test("of an admin says so where it matters")
    func admin() {
        var probe = SessionProbe(isAdmin: true)
        #expect(
            probe.send(#"{"action":"delete_message","message_id":"4"}"#) == [
                "delete 4 by ann admin in tenant/room-1"
            ])
        // The fresh token is not an admin's.
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
