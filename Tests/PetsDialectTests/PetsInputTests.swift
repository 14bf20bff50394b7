import Bytes
import ChatModel
import DialectKit
import DialectTestSupport
import Identity
import PetsDialect
import Testing

@Suite("A frame of a client")
struct PetsInputTests {
    /// A frame, and all steps that it causes.
    struct Case: Sendable, CustomTestStringConvertible {
        let input: String
        let output: [String]
        var testDescription: String { self.input }

        init(_ input: String, _ output: String...) {
            self.input = input
            self.output = output
        }

        private static func error(_ errorText: String, _ event: String? = nil) -> String {
            let outcome = event == "message" ? #","outcome":"refused""# : ""
            return
                #"""
                {"event":"error","data":{"message":"\#(errorText)"\#
                \#(event.map { #","event":"\#($0)""# } ?? "")\#(outcome)}}
                """#
        }
        private static let pet = "123e4567-e89b-12d3-a456-426614174000"
        private static let long = String(repeating: "x", count: 129)

        static let messages = [
            Case(
                #"{"event":"message","data":{"conversation_id":"c","content":"Hello"}}"#,
                #"post "Hello" id - by ann in tenant/c"#),
            Case(
                #"""
                {"data":{"local_id":"n-1","content":"x","conversation_id":"c","more":[{}]},\#
                "event":"message","id":7}
                """#,
                #"post "x" id "n-1" by ann in tenant/c"#),
            Case(
                #"""
                {"event":"message","data":{"conversation_id":"c","content":"\ud83d\ude00 é\u0301",\#
                "local_id":null}}
                """#,
                "post \"😀 é\u{301}\" id - by ann in tenant/c"),
            Case(
                #"{"event":"message","data":{"content":"x"}}"#,
                error("conversation_id: is missing", "message")),
            Case(
                #"{"event":"message","data":{"conversation_id":null,"content":"x"}}"#,
                error("conversation_id: is missing", "message")),
            Case(
                #"{"event":"message","data":{"conversation_id":7,"content":"x"}}"#,
                error("conversation_id: must be a string", "message")),
            Case(
                #"{"event":"message","data":{"conversation_id":"","content":"x"}}"#,
                error("conversation_id: must be a conversation id", "message")),
            Case(
                #"{"event":"message","data":{"conversation_id":"a b","content":"x"}}"#,
                error("conversation_id: must be a conversation id", "message")),
            Case(
                #"{"event":"message","data":{"conversation_id":"@all:pets","content":"x"}}"#,
                error("conversation_id: must be a conversation id", "message")),
            Case(
                #"{"event":"message","data":{"conversation_id":"\#(long)","content":"x"}}"#,
                error("conversation_id: must be a conversation id", "message")),
            Case(
                #"{"event":"message","data":{"conversation_id":"c"}}"#,
                error("content: is missing", "message")),
            Case(
                #"{"event":"message","data":{"conversation_id":"c","content":["x"]}}"#,
                error("content: must be a string", "message")),
            Case(
                #"{"event":"message","data":{"conversation_id":"c","content":""}}"#,
                error("content: must not be empty", "message")),
            Case(
                #"{"event":"message","data":{"conversation_id":"c","content":" \u3000\n"}}"#,
                error("content: must not be empty", "message")
            ),
            Case(
                #"""
                {"event":"message","data":{"conversation_id":"c",\#
                "content":"1234567890123456789012345"}}
                """#,
                error("content: longer than 24 bytes", "message")),
            Case(
                #"{"event":"message","data":{"conversation_id":"c","content":"x","local_id":5}}"#,
                error("local_id: must be a string", "message")),
            Case(
                #"{"event":"message","data":{"conversation_id":"c","content":"x","local_id":""}}"#,
                error("local_id: must have 1 to 128 bytes and no control characters", "message")),
            Case(
                #"""
                {"event":"message","data":{"conversation_id":"c","content":"x",\#
                "local_id":"\#(long)"}}
                """#,
                error("local_id: must have 1 to 128 bytes and no control characters", "message")),
            Case(
                #"""
                {"event":"message","data":{"conversation_id":"c","content":"x","local_id":"a\nb"}}
                """#,
                error("local_id: must have 1 to 128 bytes and no control characters", "message")),
            Case(#"{"event":"message"}"#, error("data: is missing", "message")),
            Case(#"{"event":"message","data":null}"#, error("data: is missing", "message")),
            Case(#"{"event":"message","data":"x"}"#, error("data: must be an object", "message")),
            Case(#"{"event":"message","data":[]}"#, error("data: must be an object", "message")),
        ]

        static let conversations = [
            Case(
                #"{"event":"conversations","data":{}}"#,
                "fetch conversations of ann in tenant after - unread 0"),
            Case(
                #"{"event":"conversations"}"#,
                "fetch conversations of ann in tenant after - unread 0"),
            Case(
                #"{"event":"new_conversation","data":{"providers":["\#(pet)"]}}"#,
                error("pet_id: is missing", "new_conversation")),
            Case(
                #"{"event":"new_conversation","data":{"pet_id":7,"providers":["\#(pet)"]}}"#,
                error("pet_id: must be a string", "new_conversation")),
            Case(
                #"{"event":"new_conversation","data":{"pet_id":"rex","providers":["\#(pet)"]}}"#,
                error("pet_id: must be a UUID", "new_conversation")),
            Case(
                #"""
                {"event":"new_conversation","data":{"pet_id":"{\#(pet.dropLast(2))}",\#
                "providers":["\#(pet)"]}}
                """#,
                error("pet_id: must be a UUID", "new_conversation")),
            Case(
                #"{"event":"new_conversation","data":{"pet_id":"\#(pet)"}}"#,
                error("providers: is missing", "new_conversation")),
            Case(
                #"{"event":"new_conversation","data":{"pet_id":"\#(pet)","providers":[]}}"#,
                error("providers: must not be empty", "new_conversation")),
            Case(
                #"{"event":"new_conversation","data":{"pet_id":"\#(pet)","providers":"\#(pet)"}}"#,
                error("providers: must be an array of strings", "new_conversation")),
            Case(
                #"""
                {"event":"new_conversation","data":{"pet_id":"\#(pet)","providers":["\#(pet)",5]}}
                """#,
                error("providers: must be an array of strings", "new_conversation")),
            Case(
                #"""
                {"event":"new_conversation","data":{"pet_id":"\#(pet)","providers":["\#(pet)",\#
                "bob"]}}
                """#,
                error("providers: each must be a UUID", "new_conversation")),
            Case(
                #"""
                {"event":"new_conversation","data":{"pet_id":"\#(pet)","providers":[\#
                \#(Array(repeating: #""\#(pet)""#, count: 101).joined(separator: ","))]}}
                """#,
                error("providers: more than 100 users", "new_conversation")),
            Case(#"{"event":"new_conversation"}"#, error("data: is missing", "new_conversation")),
        ]

        static let histories = [
            Case(
                #"{"event":"history","data":{"conversation_id":"c"}}"#,
                "read newest limit 50 in tenant/c"),
            Case(
                #"{"event":"history","data":{"conversation_id":"c","limit":100,"before":"12"}}"#,
                "read before(12) limit 100 in tenant/c"),
            Case(
                #"{"event":"history","data":{"conversation_id":"c","after":"0","limit":1}}"#,
                "read after(0) limit 1 in tenant/c"),
            Case(
                #"{"event":"history","data":{}}"#, error("conversation_id: is missing", "history")),
            Case(
                #"{"event":"history","data":{"conversation_id":"c","limit":0}}"#,
                error("limit: must be a whole number from 1 to 100", "history")),
            Case(
                #"{"event":"history","data":{"conversation_id":"c","limit":101}}"#,
                error("limit: must be a whole number from 1 to 100", "history")),
            Case(
                #"{"event":"history","data":{"conversation_id":"c","limit":"5"}}"#,
                error("limit: must be a whole number from 1 to 100", "history")),
            Case(
                #"{"event":"history","data":{"conversation_id":"c","before":"x"}}"#,
                error("before: must be a message id", "history")),
            Case(
                #"{"event":"history","data":{"conversation_id":"c","after":"-1"}}"#,
                error("after: must be a message id", "history")),
            Case(
                #"{"event":"history","data":{"conversation_id":"c","after":3}}"#,
                error("after: must be a string", "history")),
            Case(
                #"{"event":"history","data":{"conversation_id":"c","after":"3","before":"9"}}"#,
                error("after: cannot be combined with before", "history")),
        ]

        static let otherFrames = [
            Case(#"{"event":"authenticate","data":{"token":"a.b.c"}}"#, "authenticate a.b.c"),
            Case(
                #"{"event":"authenticate","data":{}}"#, error("token: is missing", "authenticate")),
            Case(
                #"{"event":"authenticate","data":{"token":true}}"#,
                error("token: must be a string", "authenticate")),
            Case(
                #"{"event":"broadcast","data":{"content":"x"}}"#,
                error("only bearers of an admin's token may do this", "broadcast")),
            Case(#"{"event":"broadcast","data":{}}"#, error("content: is missing", "broadcast")),
            Case(#"{"event":"dance","data":{}}"#, error(#"event: \"dance\" is unknown"#, "dance")),
            Case(#"{"event":"","data":{}}"#, error(#"event: \"\" is unknown"#, "")),
            Case(#"{"data":{}}"#, error("event: is missing")),
            Case(#"{"event":null}"#, error("event: is missing")),
            Case(#"{"event":5}"#, error("event: must be a string")),
            Case("[]", error("a frame must be a JSON object")),
            Case("7", error("a frame must be a JSON object")),
        ]

        static let all = messages + conversations + histories + otherFrames
    }

    private static var limits: Limits {
        var limits = Limits()
        limits.contentBytes = 24
        return limits
    }

    @Test("has exactly one meaning", arguments: Case.all)
    func oneMeaning(_ example: Case) {
        var probe = SessionProbe.pets(limits: Self.limits)
        #expect(probe.send(example.input) == example.output)
        // The session still works.
        #expect(
            probe.send(#"{"event":"message","data":{"conversation_id":"c","content":"x"}}"#) == [
                #"post "x" id - by ann in tenant/c"#
            ])
    }

    @Test(
        "that is not JSON is answered with an error",
        arguments: ["", "no JSON", #"{"event":}"#, #"{"event":"message""#, #"{"event":"\ud800"}"#])
    func malformed(_ input: String) throws {
        var probe = SessionProbe.pets()
        let answer = probe.send(input)
        #expect(
            answer.count == 1 && answer[0].hasPrefix(#"{"event":"error","data":{"message":""#),
            "\(answer)")
    }

    @Test("beyond the rate limit is refused with the time to wait")
    func rateLimited() {
        var probe = SessionProbe.pets()
        for event in ["message", "history", "dance"] {
            let outcome = event == "message" ? #","outcome":"refused""# : ""
            #expect(
                probe.send(#"{"event":"\#(event)"}"#, retryAfter: 1.234) == [
                    #"""
                    {"event":"error","data":{"message":"rate limited",\#
                    "event":"\#(event)"\#(outcome),"retry_after":1.24}}
                    """#
                ])
        }
    }

    @Test("that is binary or too long is answered with an error")
    func binaryAndTooLong() {
        var probe = SessionProbe.pets()
        #expect(
            probe.perform { $0.receivedBinary(into: &$1) } == [
                #"""
                {"event":"error","data":{"message":\#
                "binary frames are not supported; send JSON text"}}
                """#
            ])
        #expect(
            probe.send(#"{"event":"message","data":{"local_id":"a"}}"#, exceededByteLimit: 65_536)
                == [
                    #"""
                    {"event":"error","data":{"message":"the message is longer than 65536 bytes",\#
                    "event":"message","outcome":"refused","local_id":"a"}}
                    """#
                ])
    }

    @Test("has the rights of the newest token")
    func renewedToken() {
        var probe = SessionProbe.pets()
        func frame(_ conversation: String) -> String {
            #"{"event":"history","data":{"conversation_id":"\#(conversation)"}}"#
        }
        #expect(probe.send(frame("d")) == ["enter tenant/d as ann Ann unlisted pets from now"])
        _ = probe.answer(.failed(.accessDenied))
        _ = probe.perform {
            $0.authenticated(
                .success(.init(user: "ann", tenant: "tenant", grants: .listed(["d"]))), into: &$1)
        }
        #expect(probe.send(frame("d")) == ["enter tenant/d as ann Ann listed pets from now"])
        #expect(probe.send(frame("e")) == ["enter tenant/e as ann Ann unlisted pets from now"])
    }

    @Test("may broadcast if the sender is an admin, or on a loopback listener without tokens")
    func broadcasts() {
        let frame = #"{"event":"broadcast","data":{"content":"closed on Monday"}}"#
        let post = #"post "closed on Monday" id - by ann in tenant/@all:pets"#
        var admin = SessionProbe.pets(isAdmin: true)
        #expect(admin.send(frame) == [post])
        #expect(admin.answer(.failed(.unavailable)).count == 1)
        // The new token is not an admin's.
        _ = admin.perform {
            $0.authenticated(.success(.init(user: "ann", tenant: "tenant")), into: &$1)
        }
        #expect(
            admin.send(frame) == [
                #"""
                {"event":"error","data":{"message":"only bearers of an admin's token may do this",\#
                "event":"broadcast"}}
                """#
            ])

        for (credentials, author) in [
            (Credentials.bearer(Identity(user: "ann", tenant: "tenant")), "ann"),
            (.none, "anonymous"),
        ] {
            for isLoopback in [true, false] {
                var open = SessionProbe(
                    PetsDialect(),
                    DialectRequest(
                        path: ["ws"], query: [], credentials: credentials, allowsAnonymous: true,
                        isLoopback: isLoopback,
                        now: Timestamp(milliseconds: 0)))
                let answer = open.send(frame)
                #expect(
                    answer.count == 1 && answer[0].contains("by \(author)") == isLoopback,
                    "\(answer)")
                #expect(answer[0].contains(#""event":"broadcast""#) == !isLoopback, "\(answer)")
            }
        }
    }
}
