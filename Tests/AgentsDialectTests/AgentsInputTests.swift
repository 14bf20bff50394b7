import AgentsDialect
import ChatModel
import DialectKit
import DialectTestSupport
import Identity
import Testing

@Suite("A frame of a client")
struct AgentsInputTests {
    /// A frame, and all steps that it causes.
    struct Case: Sendable, CustomTestStringConvertible {
        let input: String
        let output: [String]
        var testDescription: String { self.input }

        init(_ input: String, _ output: String...) {
            self.input = input
            self.output = output
        }

        private static func error(_ errorText: String, _ id: String? = nil) -> String {
            Self.error(errorText, id, outcome: #","outcome":"refused""#)
        }
        /// The error of a request that is not a send.
        private static func failure(_ errorText: String, _ id: String? = nil) -> String {
            Self.error(errorText, id, outcome: "")
        }
        private static func error(_ errorText: String, _ id: String?, outcome: String) -> String {
            let id = id.map { #","message_id":"\#($0)""# } ?? ""
            return
                #"""
                {"type":"ERROR","error":"\#(errorText)"\#(id)\#(outcome),\#
                "timestamp":"1970-01-01T00:00:00.000Z"}
                """#
        }
        private static let long = String(repeating: "x", count: 129)
        private static let badID = "id: must have 1 to 128 bytes and no control characters"
        private static let badTo = "to: must be \(IdentityRule.name.text)"

        static let messages = [
            Case(
                #"{"id":"m-1","type":"message","content":"Hello"}"#,
                #"post "Hello" id "m-1" by ann in tenant/c"#),
            Case(
                #"{"type":"message","content":"Hello"}"#, #"post "Hello" id - by ann in tenant/c"#),
            Case(
                #"{"type":"message","content":"x","id":null,"metadata":null,"to":null}"#,
                #"post "x" id - by ann in tenant/c"#),
            Case(
                #"{"type":"message","content":"x","metadata":{ "a" : [1,{"b":null}]}}"#,
                #"post "x" id - by ann with { "a" : [1,{"b":null}]} in tenant/c"#),
            Case(
                #"{"type":"message","content":"x","metadata":{}}"#,
                #"post "x" id - by ann with {} in tenant/c"#),
            Case(
                #"""
                {"type":"message","content":"x","tenant_id":"tenant","agent_id":"agent-1",\#
                "channel_id":"c","timestamp":"?"}
                """#,
                #"post "x" id - by ann in tenant/c"#),
            Case(
                #"{"type":"message","content":"x","tenant_id":"other"}"#,
                error("tenant_id: is not this connection's")),
            Case(
                #"{"type":"message","content":"x","id":"m","agent_id":"ann"}"#,
                error("agent_id: is not this connection's", "m")),
            Case(
                #"{"type":"message","content":"x","channel_id":"d"}"#,
                error("channel_id: is not this connection's")),
            Case(
                #"{"type":"message","content":"x","channel_id":5}"#,
                error("channel_id: must be a string")),
            Case(
                #"{"type":"message","content":"x","tenant_id":[]}"#,
                error("tenant_id: must be a string")),
            Case(
                #"{"type":"message","content":"x","agent_id":7}"#,
                error("agent_id: must be a string")),
            Case(#"{"type":"message","id":"m"}"#, error("content: is missing", "m")),
            Case(#"{"type":"message","id":"m","content":null}"#, error("content: is missing", "m")),
            Case(
                #"{"type":"message","id":"m","content":{}}"#,
                error("content: must be a string", "m")),
            Case(
                #"{"type":"message","id":"m","content":["x"]}"#,
                error("content: must be a string", "m")),
            Case(
                #"{"type":"message","id":"m","content":true}"#,
                error("content: must be a string", "m")),
            Case(
                #"{"type":"message","id":"m","content":""}"#,
                error("content: must not be empty", "m")),
            Case(
                #"{"type":"message","id":"m","content":"\u2003\t"}"#,
                error("content: must not be empty", "m")),
            Case(
                #"{"type":"message","id":"m","content":"1234567890123456789012345"}"#,
                error("content: longer than 24 bytes", "m")),
            Case(#"{"type":"message","id":5,"content":"x"}"#, error("id: must be a string")),
            Case(#"{"type":"message","id":["m"],"content":"x"}"#, error("id: must be a string")),
            Case(#"{"type":"message","id":{},"content":"x"}"#, error("id: must be a string")),
            Case(#"{"type":"message","id":"","content":"x"}"#, error(badID, "")),
            Case(#"{"type":"message","id":"a\u007fb","content":"x"}"#, error(badID, "a\u{7F}b")),
            Case(#"{"type":"message","id":"\#(long)","content":"x"}"#, error(badID, long)),
            Case(
                #"{"type":"message","id":"m","content":"x","metadata":[]}"#,
                error("metadata: must be an object", "m")),
            Case(
                #"{"type":"message","id":"m","content":"x","metadata":"{}"}"#,
                error("metadata: must be an object", "m")),
            Case(
                #"{"type":"message","id":"m","content":"x","metadata":7}"#,
                error("metadata: must be an object", "m")),
            Case(
                #"""
                {"type":"message","id":"m","content":"x","metadata":{"k":"12345678901234567890"}}
                """#,
                error("metadata: longer than 24 bytes", "m")),
        ]

        static let direct = [
            Case(
                #"{"id":"m-1","type":"message","to":"agent-2","content":"Hello"}"#,
                #"post "Hello" id "m-1" by ann in tenant/@agent:agent-2"#),
            Case(
                #"{"type":"message","to":"agent-1","content":"x"}"#,
                #"post "x" id - by ann in tenant/@agent:agent-1"#),
            Case(
                #"{"type":"message","to":"Zoë B","content":"x"}"#,
                #"post "x" id - by ann in tenant/@agent:Zoë B"#),
            Case(#"{"type":"message","to":"","content":"x"}"#, error(badTo)),
            Case(
                #"{"type":"message","to":"guest:alice","content":"x"}"#,
                error("to: is a guest, and guests have no inbox; write to the channel")),
            Case(#"{"type":"message","to":"a\nb","content":"x"}"#, error(badTo)),
            Case(#"{"type":"message","to":"\#(long)","content":"x"}"#, error(badTo)),
            Case(
                #"{"type":"message","id":"m","to":7,"content":"x"}"#,
                error("to: must be a string", "m")),
            Case(
                #"{"type":"message","id":"m","to":["agent-2"],"content":"x"}"#,
                error("to: must be a string", "m")),
            Case(
                #"{"type":"message","id":"m","to":true,"content":"x"}"#,
                error("to: must be a string", "m")),
            Case(
                #"{"type":"message","to":"agent-2","content":""}"#,
                error("content: must not be empty")),
        ]

        static let otherFrames = [
            Case(#"{"type":"status_query"}"#, "describe for ann access membersOnly in tenant/c"),
            Case(#"{"type":"authenticate","token":"a.b.c"}"#, "authenticate a.b.c"),
            Case(#"{"type":"authenticate"}"#, failure("token: is missing")),
            Case(#"{"type":"authenticate","token":5}"#, failure("token: must be a string")),
            Case(#"{"type":"authenticate","token":null}"#, failure("token: is missing")),
            Case(#"{"type":"dance","id":"m"}"#, failure(#"type: \"dance\" is unknown"#, "m")),
            Case(#"{"type":"ACK","message_id":"m"}"#, failure(#"type: \"ACK\" is unknown"#)),
            Case(#"{"type":"Message","content":"x"}"#, failure(#"type: \"Message\" is unknown"#)),
            Case(#"{"type":""}"#, failure(#"type: \"\" is unknown"#)),
            Case(#"{"id":"m","content":"x"}"#, failure("type: is missing", "m")),
            Case(#"{"type":null}"#, failure("type: is missing")),
            Case(#"{"type":5}"#, failure("type: must be a string")),
            Case(#"{"type":["message"],"content":"x"}"#, failure("type: must be a string")),
            Case(#"{"type":"message ","content":"x"}"#, failure(#"type: \"message \" is unknown"#)),
            Case("null", failure("a frame must be a JSON object")),
            Case(#""message""#, failure("a frame must be a JSON object")),
            Case("[]", failure("a frame must be a JSON object")),
            Case("7", failure("a frame must be a JSON object")),
        ]

        static let all = messages + direct + otherFrames
    }

    private static var limits: Limits {
        var limits = Limits()
        limits.contentBytes = 24
        limits.metadataBytes = 24
        return limits
    }

    @Test("has exactly one meaning", arguments: Case.all)
    func oneMeaning(_ example: Case) {
        var probe = SessionProbe.agents(limits: Self.limits)
        #expect(probe.send(example.input) == example.output)
        // The session still works.
        #expect(
            probe.send(#"{"type":"message","content":"x"}"#) == [
                #"post "x" id - by ann in tenant/c"#
            ])
    }

    @Test("needs a recipient on a connection without a channel")
    func withoutChannel() {
        var probe = SessionProbe.agents(channel: nil)
        #expect(
            probe.send(#"{"type":"message","id":"m","content":"x"}"#) == [
                #"""
                {"type":"ERROR","error":"to: is missing, and the connection has no channel",\#
                "message_id":"m","outcome":"refused","timestamp":"1970-01-01T00:00:00.000Z"}
                """#
            ])
        #expect(
            probe.send(#"{"type":"status_query"}"#) == [
                #"""
                {"type":"ERROR","error":"type: status_query needs a connection with a channel",\#
                "timestamp":"1970-01-01T00:00:00.000Z"}
                """#
            ])
        #expect(
            probe.send(#"{"type":"message","to":"b","content":"x"}"#) == [
                #"post "x" id - by ann in tenant/@agent:b"#
            ])
    }

    @Test(
        "that is not JSON is answered with an error",
        arguments: ["", "no JSON", #"{"type":}"#, #"{"type":"message""#, #"{"type":"\ud800"}"#])
    func malformed(_ input: String) throws {
        var probe = SessionProbe.agents()
        let answer = probe.send(input)
        #expect(
            answer.count == 1 && answer[0].hasPrefix(#"{"type":"ERROR","error":""#), "\(answer)")
    }

    @Test("beyond the rate limit is refused with the time to wait")
    func rateLimited() {
        var probe = SessionProbe.agents()
        for type in ["message", "status_query", "dance"] {
            let outcome = type == "message" ? #","outcome":"refused""# : ""
            #expect(
                probe.send(#"{"type":"\#(type)","id":"m"}"#, retryAfter: 1.234) == [
                    #"""
                    {"type":"ERROR","error":"rate limited","message_id":"m"\#(outcome),\#
                    "retry_after":1.24,"timestamp":"1970-01-01T00:00:00.000Z"}
                    """#
                ])
        }
    }

    @Test("that is binary or too long is answered with an error")
    func binaryAndTooLong() {
        var probe = SessionProbe.agents()
        #expect(
            probe.perform { $0.receivedBinary(into: &$1) }.first?.contains(
                "binary frames are not supported; send JSON text") == true)
        let tooLong = probe.send(
            #"{"type":"message","id":"m-1","content":"x"}"#, exceededByteLimit: 65_536
        ).first
        #expect(
            tooLong?.contains(
                #"""
                "error":"the message is longer than 65536 bytes","message_id":"m-1",\#
                "outcome":"refused"
                """#
            ) == true)
    }
}
