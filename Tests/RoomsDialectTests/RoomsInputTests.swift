import Bytes
import ChatModel
import DialectKit
import Identity
import RoomsDialect
import Testing

@Suite("An event of a client")
struct RoomsInputTests {
    /// An event, and the request to the chat that it causes.
    struct ValidEvent: Sendable, CustomTestStringConvertible {
        let event: String
        let argument: String
        let step: String
        var testDescription: String { "\(self.event) \(self.argument)" }

        init(_ event: String, _ argument: String, _ step: String) {
            self.event = event
            self.argument = argument
            self.step = step
        }

        static let all = [
            ValidEvent(
                "send_message", #"{"room_id":"r","content":"Hello"}"#,
                #"post "Hello" id - by ann in tenant/r"#),
            ValidEvent(
                "send_message", #"{"room_id":"r","message":"Hello","more":[{}]}"#,
                #"post "Hello" id - by ann in tenant/r"#),
            ValidEvent(
                "send_message", #"{"text":"Hello","room_id":"r","user_id":"ann"}"#,
                #"post "Hello" id - by ann in tenant/r"#),
            ValidEvent(
                "send_message", #"{"room_id":"r","content":"a","message":"b","text":7}"#,
                #"post "a" id - by ann in tenant/r"#),
            ValidEvent(
                "send_message", #"{"room_id":"r","content":null,"message":"b"}"#,
                #"post "b" id - by ann in tenant/r"#),
            ValidEvent(
                "send_message", #"{"room_id":"r","content":"x","local_id":"n-1"}"#,
                #"post "x" id "n-1" by ann in tenant/r"#),
            ValidEvent(
                "send_message", #"{"room_id":"r","content":"x","local_id":null},null,null"#,
                #"post "x" id - by ann in tenant/r"#),
            ValidEvent(
                "send_message", #"{"room_id":"r","content":"\ud83d\ude00 é\u0301\u001e"}"#,
                "post \"😀 é\u{301}\\u{1E}\" id - by ann in tenant/r"),
            ValidEvent(
                "send_message", #"{"room_id":"other","content":"x"}"#,
                #"post "x" id - by ann in tenant/other"#),
            ValidEvent(
                "typing", #"{"room_id":"r","is_typing":true}"#, "typing true by ann in tenant/r"),
            ValidEvent(
                "typing", #"{"room_id":"r","is_typing":false,"username":"Eve"}"#,
                "typing false by ann in tenant/r"),
            ValidEvent("leave_room", #"{"room_id":"r"}"#, "leave ann in tenant/r"),
            ValidEvent(
                "leave_room", #"{"room_id":"elsewhere","user_id":"ann"}"#,
                "leave ann in tenant/elsewhere"),
            ValidEvent(
                "join_room", #"{"room_id":"s"}"#,
                """
                enter tenant/s as ann Ann listed rooms from now
                """),
            ValidEvent(
                "join_room", #"{"room_id":"u.A_-:9","user_id":"ann","username":"Eve"}"#,
                "enter tenant/u.A_-:9 as ann Ann listed rooms from now"),
            ValidEvent(
                "join_room", #"{"room_id":"r"}"#,
                """
                describe for ann access membersOnly in tenant/r
                """),
            ValidEvent("authenticate", #"{"token":"a.b.c"}"#, "authenticate a.b.c"),
        ]
    }

    /// An event, and the error with which it is rejected.
    struct InvalidEvent: Sendable, CustomTestStringConvertible {
        let event: String
        let argument: String?
        let errorText: String
        var testDescription: String {
            "\(self.event) \(self.argument.map { String($0.prefix(80)) } ?? "")"
        }

        init(_ event: String, _ argument: String?, _ errorText: String) {
            self.event = event
            self.argument = argument
            self.errorText = errorText
        }

        private static let long = String(repeating: "x", count: 129)
        private static let name = "must be \(IdentityRule.name.text)"

        static let arguments = [
            "join_room", "leave_room", "send_message", "typing", "authenticate",
        ].flatMap { event in
            [
                InvalidEvent(event, nil, "data: must be an object"),
                InvalidEvent(event, "null", "data: must be an object"),
                InvalidEvent(event, #""r""#, "data: must be an object"),
                InvalidEvent(event, #"[{"room_id":"r"}]"#, "data: must be an object"),
                InvalidEvent(event, "7", "data: must be an object"),
                InvalidEvent(event, "true", "data: must be an object"),
                InvalidEvent(
                    event, #"{"room_id":"r"},{"room_id":"r"}"#,
                    "data: must be one object, and nothing after it"),
                InvalidEvent(
                    event, #"{"room_id":"r"},null,0"#,
                    "data: must be one object, and nothing after it"),
                InvalidEvent(
                    event, "{}",
                    event == "authenticate" ? "token: is missing" : "room_id: is missing"),
            ]
        }

        static let rooms = ["join_room", "leave_room", "send_message", "typing"].flatMap { event in
            [
                InvalidEvent(event, #"{"room_id":null}"#, "room_id: is missing"),
                InvalidEvent(event, #"{"ROOM_ID":"r"}"#, "room_id: is missing"),
                InvalidEvent(event, #"{"room_id":7}"#, "room_id: must be a string"),
                InvalidEvent(event, #"{"room_id":["r"]}"#, "room_id: must be a string"),
                InvalidEvent(
                    event, #"{"room_id":{"_placeholder":true,"num":0}}"#,
                    "room_id: must be a string"),
                InvalidEvent(event, #"{"room_id":""}"#, "room_id: must be a conversation id"),
                InvalidEvent(event, #"{"room_id":"a b"}"#, "room_id: must be a conversation id"),
                InvalidEvent(
                    event, #"{"room_id":"a\u0000"}"#, "room_id: must be a conversation id"),
                InvalidEvent(event, #"{"room_id":"r=1,s"}"#, "room_id: must be a conversation id"),
                InvalidEvent(event, #"{"room_id":"~r"}"#, "room_id: must be a conversation id"),
                InvalidEvent(event, #"{"room_id":"é"}"#, "room_id: must be a conversation id"),
                InvalidEvent(
                    event, #"{"room_id":"@user:ann"}"#, "room_id: must be a conversation id"),
                InvalidEvent(
                    event, #"{"room_id":"@all:pets"}"#, "room_id: must be a conversation id"),
                InvalidEvent(event, #"{"room_id":"../r"}"#, "room_id: must be a conversation id"),
                InvalidEvent(
                    event, #"{"room_id":"\#(long)"}"#, "room_id: must be a conversation id"),
                InvalidEvent(
                    event, #"{"room_id":"r","user_id":"eve","content":"x","is_typing":true}"#,
                    "user_id: is not this connection's"),
                InvalidEvent(
                    event, #"{"room_id":"r","user_id":"Ann","content":"x","is_typing":true}"#,
                    "user_id: is not this connection's"),
                InvalidEvent(
                    event, #"{"room_id":"r","user_id":"","content":"x","is_typing":true}"#,
                    "user_id: is not this connection's"),
                InvalidEvent(
                    event, #"{"room_id":"r","user_id":5,"content":"x","is_typing":true}"#,
                    "user_id: must be a string"),
            ]
        }

        static let fields = [
            InvalidEvent(
                "join_room", #"{"room_id":"r","username":5}"#, "username: must be a string"),
            InvalidEvent("send_message", #"{"room_id":"r"}"#, "content: is missing"),
            InvalidEvent(
                "send_message", #"{"room_id":"r","content":null,"message":null}"#,
                "content: is missing"),
            InvalidEvent(
                "send_message", #"{"room_id":"r","content":["x"]}"#, "content: must be a string"),
            InvalidEvent(
                "send_message", #"{"room_id":"r","content":""}"#, "content: must not be empty"),
            InvalidEvent(
                "send_message", #"{"room_id":"r","content":" \u3000\n\u2029"}"#,
                "content: must not be empty"),
            InvalidEvent(
                "send_message", #"{"room_id":"r","content":"1234567890123456789012345"}"#,
                "content: longer than 24 bytes"),
            InvalidEvent(
                "send_message", #"{"room_id":"r","message":7}"#, "message: must be a string"),
            InvalidEvent(
                "send_message", #"{"room_id":"r","message":"\t"}"#, "message: must not be empty"),
            InvalidEvent("send_message", #"{"room_id":"r","text":{}}"#, "text: must be a string"),
            InvalidEvent(
                "send_message", #"{"room_id":"r","text":"1234567890123456789012345"}"#,
                "text: longer than 24 bytes"),
            InvalidEvent(
                "send_message", #"{"room_id":"r","content":"x","local_id":5}"#,
                "local_id: must be a string"),
            InvalidEvent(
                "send_message", #"{"room_id":"r","content":"x","local_id":""}"#,
                "local_id: must have 1 to 128 bytes and no control characters"),
            InvalidEvent(
                "send_message", #"{"room_id":"r","content":"x","local_id":"\#(long)"}"#,
                "local_id: must have 1 to 128 bytes and no control characters"),
            InvalidEvent(
                "send_message", #"{"room_id":"r","content":"x","local_id":"a\u001eb"}"#,
                "local_id: must have 1 to 128 bytes and no control characters"),
            InvalidEvent("typing", #"{"room_id":"r"}"#, "is_typing: is missing"),
            InvalidEvent(
                "typing", #"{"room_id":"r","is_typing":"true"}"#, "is_typing: must be true or false"
            ),
            InvalidEvent(
                "typing", #"{"room_id":"r","is_typing":1}"#, "is_typing: must be true or false"),
            InvalidEvent("authenticate", #"{"token":true}"#, "token: must be a string"),
            InvalidEvent("dance", "{}", #"event: \"dance\" is unknown"#),
            InvalidEvent("dance", nil, #"event: \"dance\" is unknown"#),
            InvalidEvent("", "{}", #"event: \"\" is unknown"#),
            InvalidEvent("message", #""x""#, #"event: \"message\" is unknown"#),
            InvalidEvent(#"\u001e\"]"#, "{}", #"event: \"\u001e\"]\" is unknown"#),
            InvalidEvent("conversation_state", "{}", #"event: \"conversation_state\" is unknown"#),
        ]

        static let all = arguments + rooms + fields
    }

    private static var limits: Limits {
        var limits = Limits()
        limits.contentBytes = 24
        return limits
    }

    private static func isAlive(_ probe: inout RoomsProbe) -> Bool {
        probe.emit("send_message", #"{"room_id":"r","content":"x"}"#) == [
            #"post "x" id - by ann in tenant/r"#
        ]
    }

    @Test("causes one request, with or without an acknowledgement", arguments: ValidEvent.all)
    func valid(_ example: ValidEvent) {
        for ack in [nil, 0, 7, 9_007_199_254_740_991] {
            var probe = RoomsProbe.ann(in: "r")
            #expect(probe.emit(example.event, example.argument, ack: ack) == [example.step])
        }
    }

    @Test(
        "that is invalid is rejected once, with the field's name, where the client expects it",
        arguments: InvalidEvent.all)
    func invalid(_ example: InvalidEvent) {
        var probe = RoomsProbe.ann(in: "r", limits: Self.limits)
        #expect(
            probe.emit(example.event, example.argument) == [
                RoomsFrame.error(example.errorText, example.event)
            ])
        let refusal = RoomsFrame.refusal(
            12, example.errorText, isSend: example.event == "send_message")
        #expect(probe.emit(example.event, example.argument, ack: 12) == [refusal])
        #expect(Self.isAlive(&probe))
    }

    @Test(
        "that is valid but unsupported is rejected with an error",
        arguments: [
            (#"[5,{"room_id":"r"}]"#, nil, "event: its name must be a string"),
            (#"[1e3]"#, nil, "event: its name must be a string"),
            (
                #"["send_message",{"room_id":"r","content":"\ud800"}]"#, "send_message",
                "The JSON is malformed at byte 42: an escaped surrogate stands alone."
            ),
            (
                #"["x",[[[[[[[[[]]]]]]]]]]"#, "x",
                "The JSON is malformed at byte 12: values are nested more than 8 deep."
            ),
        ] as [(String, String?, String)])
    func malformedArrays(_ payload: String, _ event: String?, _ errorText: String) {
        var probe = RoomsProbe.ann(in: "r")
        #expect(probe.send("2\(payload)") == [RoomsFrame.error(errorText, event)])
        #expect(
            probe.send("23\(payload)") == [
                RoomsFrame.refusal(3, errorText, isSend: event == "send_message")
            ])
        #expect(Self.isAlive(&probe))
    }

    @Test("with a too long name is rejected without repeating it")
    func longName() {
        var probe = RoomsProbe.ann(in: "r")
        #expect(
            probe.emit(String(repeating: "x", count: 50_000), "{}") == [
                RoomsFrame.error("event: is unknown")
            ])
        #expect(Self.isAlive(&probe))
    }

    @Test(
        "that breaks the rules of Socket.IO closes the connection",
        arguments: [
            "", "9", "x", "2", "2{}", "2[]", "2[null]", #"2[["x"]]"#, #"2["connect"]"#,
            #"2["disconnect",{}]"#, #"2["connect_error"]"#,
            #"2["newListener"]"#, #"29007199254740992["x"]"#, #"2007["x"]"#, #"2["x""#, #"2["x"],"#,
            "2[\"x\u{1}\"]", #"2/admin,["x"]"#,
            "0",
            "0{}", "3[]", "31", "1[]", #"4{"message":"x"}"#, "5[\"x\"]", #"51-["x"]"#,
            #"51-["x",{"_placeholder":true,"num":1}]"#,
            #"52-["x",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]"#,
        ])
    func protocolErrors(_ packet: String) {
        var probe = RoomsProbe.ann(in: "r")
        #expect(probe.send(packet) == ["close 1002 a packet breaks the rules of Socket.IO"])
        #expect(probe.emit("send_message", #"{"room_id":"r","content":"x"}"#).isEmpty)
    }

    @Test("before CONNECT closes the connection as well")
    func beforeConnect() {
        var probe = RoomsProbe(.ann())
        #expect(
            probe.emit("join_room", #"{"room_id":"r"}"#) == [
                "close 1002 a packet breaks the rules of Socket.IO"
            ])
    }

    @Test("that is binary is rejected when it is announced, and its attachments are dropped")
    func binary() {
        var probe = RoomsProbe.ann(in: "r")
        #expect(
            probe.send(#"52-["x",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]"#)
                == [
                    RoomsFrame.error("binary events are not supported; send JSON", "x")
                ])
        for _ in 0..<2 { #expect(probe.perform { $0.receivedBinary(into: &$1) }.isEmpty) }
        #expect(
            probe.send(#"51-4["x",{"_placeholder":true,"num":0}]"#) == [
                RoomsFrame.refusal(4, "binary events are not supported; send JSON")
            ])
        #expect(probe.perform { $0.receivedBinary(into: &$1) }.isEmpty)
        #expect(
            probe.send(#"61-4[{"_placeholder":true,"num":0}]"#) == [
                RoomsFrame.error("binary acknowledgements are not supported; send JSON")
            ])
        #expect(probe.perform { $0.receivedBinary(into: &$1) }.isEmpty)
        #expect(Self.isAlive(&probe))
        // An unannounced binary frame.
        #expect(
            probe.perform { $0.receivedBinary(into: &$1) } == [
                "close 1002 a packet breaks the rules of Socket.IO"
            ])
    }

    @Test("that is too long is rejected, even before the client is connected")
    func tooLong() {
        var probe = RoomsProbe.ann(in: "r")
        let errorText = "the message is longer than 65536 bytes"
        #expect(
            probe.send(#"2["dance",{}]"#, exceededByteLimit: 65_536) == [
                RoomsFrame.error(errorText, "dance")
            ])
        #expect(
            probe.send(#"27["send_message",{"local_id":"a"}]"#, exceededByteLimit: 65_536) == [
                RoomsFrame.refusal(7, errorText, isSend: true, localID: #""a""#)
            ])
        #expect(Self.isAlive(&probe))
        var outside = RoomsProbe(.ann())
        #expect(
            outside.send("0{}", exceededByteLimit: 65_536) == [#"44{"message":"\#(errorText)"}"#])
        #expect(RoomsFrame.connected(outside.send("0")) != nil)
    }

    @Test("beyond the rate limit is refused with the time to wait")
    func rateLimited() {
        var probe = RoomsProbe.ann(in: "r")
        for event in ["send_message", "join_room", "dance"] {
            let outcome = event == "send_message" ? #","outcome":"refused""# : ""
            #expect(
                probe.emit(event, nil, retryAfter: 1.234) == [
                    #"""
                    42["error",{"message":"rate limited","event":"\#(event)"\#(outcome),\#
                    "retry_after":1.24}]
                    """#
                ])
            #expect(
                probe.emit(event, nil, ack: 5, retryAfter: 1.234) == [
                    #"435[{"ok":false,"error":"rate limited"\#(outcome),"retry_after":1.24}]"#
                ])
        }
        #expect(Self.isAlive(&probe))
        var outside = RoomsProbe(.ann())
        #expect(outside.send("0", retryAfter: 1) == [#"44{"message":"rate limited"}"#])
        #expect(RoomsFrame.connected(outside.send("0")) != nil)
    }

    @Test("that acknowledges an event is ignored: the server requests no acknowledgements")
    func acks() {
        var probe = RoomsProbe.ann(in: "r")
        #expect(probe.send(#"37[{"x":1}]"#).isEmpty)
        #expect(Self.isAlive(&probe))
    }
}
