import Bytes
import ChatModel
import DialectKit
import DialectTestSupport
import Identity
import Testing

@Suite("A frame of a client")
struct ChatsInputTests {
    /// A frame, and all steps that it causes.
    struct Case: Sendable, CustomTestStringConvertible {
        let input: String
        let output: [String]
        var testDescription: String { self.input }

        init(_ input: String, _ output: String...) {
            self.input = input
            self.output = output
        }

        private static func error(_ errorText: String, _ request: String? = nil) -> String {
            let outcome = request == "newMessage" ? #","outcome":"refused""# : ""
            return
                #"""
                {"type":"error","data":{"message":"\#(errorText)"\#
                \#(request.map { #","request":"\#($0)""# } ?? "")\#(outcome)}}
                """#
        }
        private static let long = String(repeating: "x", count: 129)
        private static let lastRead =
            "last_read_message: must be a whole number from 0 to 9223372036854775807"
        private static let lastCount = "last: must be a whole number from 1 to 10000"
        private static let from =
            "date_from: must be a day as YYYY-MM-DD, yesterday, day_before_yesterday or last_7_days"
        private static let to = "date_to: must be a day as YYYY-MM-DD"

        static let messages = [
            Case(
                #"{"type":"newMessage","data":{"chat":5,"text":"Hello"}}"#,
                #"post "Hello" id - by 7 in tenant/5"#),
            Case(
                #"{"data":{"text":"x","chat":"5","more":[{}]},"type":"newMessage","id":7}"#,
                #"post "x" id - by 7 in tenant/5"#),
            Case(
                #"{"type":"newMessage","data":{"chat":5,"text":"x","local_id":"n-1"}}"#,
                #"post "x" id "n-1" by 7 in tenant/5"#),
            Case(
                #"{"type":"newMessage","data":{"chat":5,"text":"x","local_id":null}}"#,
                #"post "x" id - by 7 in tenant/5"#),
            Case(
                #"{"type":"newMessage","data":{"chat":5,"text":"x","local_id":7}}"#,
                error("local_id: must be a string", "newMessage")),
            Case(
                #"{"type":"newMessage","data":{"chat":5,"text":"x","local_id":""}}"#,
                error(
                    """
                    local_id: must have 1 to 128 bytes and no control characters
                    """, "newMessage")),
            Case(
                #"{"type":"newMessage","data":{"chat":5,"text":"x","is_read":true}}"#,
                #"post "x" id - by 7 with {"is_read":true} in tenant/5"#),
            Case(
                #"{"type":"newMessage","data":{"chat":5,"text":"x","is_read":false}}"#,
                #"post "x" id - by 7 in tenant/5"#),
            Case(
                #"{"type":"newMessage","data":{"chat":5,"text":"x","is_read":null}}"#,
                #"post "x" id - by 7 in tenant/5"#),
            Case(
                #"{"type":"newMessage","data":{"chat":5,"text":"x","is_read":1}}"#,
                error("is_read: must be true or false", "newMessage")),
            Case(
                #"{"type":"newMessage","data":{"text":"x"}}"#,
                error("chat: is missing", "newMessage")),
            Case(
                #"{"type":"newMessage","data":{"chat":null,"text":"x"}}"#,
                error("chat: is missing", "newMessage")),
            Case(
                #"{"type":"newMessage","data":{"chat":true,"text":"x"}}"#,
                error("chat: must be a whole number or a string", "newMessage")),
            Case(
                #"{"type":"newMessage","data":{"chat":[5],"text":"x"}}"#,
                error("chat: must be a whole number or a string", "newMessage")),
            Case(
                #"{"type":"newMessage","data":{"chat":-1,"text":"x"}}"#,
                error(
                    "chat: must be a whole number from 0 to 9007199254740991, or a string",
                    "newMessage")),
            Case(
                #"{"type":"newMessage","data":{"chat":5.5,"text":"x"}}"#,
                error(
                    "chat: must be a whole number from 0 to 9007199254740991, or a string",
                    "newMessage")),
            Case(
                #"{"type":"newMessage","data":{"chat":9007199254740992,"text":"x"}}"#,
                error(
                    "chat: must be a whole number from 0 to 9007199254740991, or a string",
                    "newMessage")),
            Case(
                #"{"type":"newMessage","data":{"chat":"","text":"x"}}"#,
                error("chat: must be a conversation id", "newMessage")),
            Case(
                #"{"type":"newMessage","data":{"chat":"a b","text":"x"}}"#,
                error("chat: must be a conversation id", "newMessage")),
            Case(
                #"{"type":"newMessage","data":{"chat":"@user:7","text":"x"}}"#,
                error("chat: must be a conversation id", "newMessage")),
            Case(
                #"{"type":"newMessage","data":{"chat":"\#(long)","text":"x"}}"#,
                error("chat: must be a conversation id", "newMessage")),
            Case(
                #"{"type":"newMessage","data":{"chat":5}}"#, error("text: is missing", "newMessage")
            ),
            Case(
                #"{"type":"newMessage","data":{"chat":5,"text":["x"]}}"#,
                error("text: must be a string", "newMessage")),
            Case(
                #"{"type":"newMessage","data":{"chat":5,"text":""}}"#,
                error("text: must not be empty", "newMessage")),
            Case(
                #"{"type":"newMessage","data":{"chat":5,"text":" \u3000\n"}}"#,
                error("text: must not be empty", "newMessage")),
            Case(
                #"{"type":"newMessage","data":{"chat":5,"text":"1234567890123456789012345"}}"#,
                error("text: longer than 24 bytes", "newMessage")),
            Case(#"{"type":"newMessage"}"#, error("data: is missing", "newMessage")),
            Case(
                #"{"type":"newMessage","data":"x"}"#, error("data: must be an object", "newMessage")
            ),
        ]

        static let joining = [
            Case(
                #"{"type":"joinChat","data":{"chat":5}}"#,
                """
                describe for 7 access anyone in tenant/5
                """),
            Case(
                #"{"type":"joinChat","data":{"chat":6,"last_read_message":0}}"#,
                "describe for 7 access anyoneIfOpen in tenant/6"),
            Case(
                #"{"type":"joinChat","data":{"chat":"room"}}"#,
                "describe for 7 access anyoneIfOpen in tenant/room"),
            Case(#"{"type":"joinChat","data":{}}"#, error("chat: is missing", "joinChat")),
            Case(
                #"{"type":"joinChat","data":{"chat":{}}}"#,
                error("chat: must be a whole number or a string", "joinChat")),
            Case(
                #"{"type":"joinChat","data":{"chat":5,"last_read_message":-1}}"#,
                error(lastRead, "joinChat")),
            Case(
                #"{"type":"joinChat","data":{"chat":5,"last_read_message":"3"}}"#,
                error(lastRead, "joinChat")),
            Case(
                #"{"type":"joinChat","data":{"chat":5,"last_read_message":1.5}}"#,
                error(lastRead, "joinChat")),
            Case(#"{"type":"joinChat"}"#, error("data: is missing", "joinChat")),
            Case(
                #"{"type":"markRead","data":{"chat":5,"last_read_message":3}}"#,
                "read through 3 by 7 in tenant/5"),
            Case(
                #"{"type":"markRead","data":{"chat":5}}"#,
                error("last_read_message: is missing", "markRead")),
            Case(
                #"{"type":"markRead","data":{"chat":5,"last_read_message":[]}}"#,
                error(lastRead, "markRead")),
            Case(
                #"{"type":"markRead","data":{"last_read_message":3}}"#,
                error("chat: is missing", "markRead")),
        ]

        static let asking = [
            Case(
                #"{"type":"getChats","data":{}}"#,
                "fetch conversations of 7 in tenant after - unread 1000"),
            Case(#"{"type":"getChats"}"#, "fetch conversations of 7 in tenant after - unread 1000"),
            Case(#"{"type":"createEmptyChat","data":{}}"#, #"fetch nextNumber(tenant: tenant)"#),
            Case(
                #"{"type":"getChatDetails","data":{"chatId":6}}"#,
                "describe for 7 access membersOnly in tenant/6"),
            Case(
                #"{"type":"getChatDetails","data":{"chat":6}}"#,
                error("chatId: is missing", "getChatDetails")),
            Case(
                #"{"type":"getChatDetails","data":{"chatId":false}}"#,
                error("chatId: must be a whole number or a string", "getChatDetails")
            ),
            Case(
                #"{"type":"getChatMessages","data":{"chatId":5}}"#,
                "describe for 7 access membersOnly in tenant/5"),
            Case(
                #"""
                {"type":"getChatMessages","data":{"chatId":5,"date_from":"yesterday",\#
                "date_to":"2026-02-28","last":10000}}
                """#,
                "describe for 7 access membersOnly in tenant/5"),
            Case(
                #"{"type":"getChatMessages","data":{}}"#,
                error("chatId: is missing", "getChatMessages")),
            Case(
                #"{"type":"getChatMessages","data":{"chatId":5,"date_from":"today"}}"#,
                error(from, "getChatMessages")),
            Case(
                #"{"type":"getChatMessages","data":{"chatId":5,"date_from":"2026-02-29"}}"#,
                error(from, "getChatMessages")),
            Case(
                #"{"type":"getChatMessages","data":{"chatId":5,"date_from":"2026-2-9"}}"#,
                error(from, "getChatMessages")),
            Case(
                #"{"type":"getChatMessages","data":{"chatId":5,"date_from":7}}"#,
                error("date_from: must be a string", "getChatMessages")),
            Case(
                #"{"type":"getChatMessages","data":{"chatId":5,"date_to":"yesterday"}}"#,
                error(to, "getChatMessages")),
            Case(
                #"{"type":"getChatMessages","data":{"chatId":5,"date_to":"2026-13-01"}}"#,
                error(to, "getChatMessages")),
            Case(
                #"{"type":"getChatMessages","data":{"chatId":5,"date_to":"+026-01-01"}}"#,
                error(to, "getChatMessages")),
            Case(
                #"{"type":"getChatMessages","data":{"chatId":5,"last":0}}"#,
                error(lastCount, "getChatMessages")),
            Case(
                #"{"type":"getChatMessages","data":{"chatId":5,"last":10001}}"#,
                error(lastCount, "getChatMessages")),
            Case(
                #"{"type":"getChatMessages","data":{"chatId":5,"last":"5"}}"#,
                error(lastCount, "getChatMessages")),
        ]

        static let otherFrames = [
            Case(#"{"type":"authenticate","data":{"token":"a.b.c"}}"#, "authenticate a.b.c"),
            Case(#"{"type":"authenticate","data":{}}"#, error("token: is missing", "authenticate")),
            Case(
                #"{"type":"authenticate","data":{"token":true}}"#,
                error("token: must be a string", "authenticate")),
            Case(#"{"type":"dance","data":{}}"#, error(#"type: \"dance\" is unknown"#, "dance")),
            Case(#"{"type":"","data":{}}"#, error(#"type: \"\" is unknown"#, "")),
            Case(#"{"data":{}}"#, error("type: is missing")),
            Case(#"{"type":null}"#, error("type: is missing")),
            Case(#"{"type":5}"#, error("type: must be a string")),
            Case("[]", error("a frame must be a JSON object")),
            Case("7", error("a frame must be a JSON object")),
        ]

        static let all = messages + joining + asking + otherFrames
    }

    private static var limits: Limits {
        var limits = Limits()
        limits.contentBytes = 24
        return limits
    }

    @Test("has exactly one meaning", arguments: Case.all)
    func oneMeaning(_ example: Case) {
        var probe = SessionProbe.chats(limits: Self.limits)
        #expect(probe.send(example.input) == example.output)
    }

    @Test(
        "that is not JSON is answered with an error",
        arguments: ["", "no JSON", #"{"type":}"#, #"{"type":"newMessage""#, #"{"type":"\ud800"}"#])
    func malformed(_ input: String) throws {
        var probe = SessionProbe.chats()
        let answer = probe.send(input)
        #expect(
            answer.count == 1 && answer[0].hasPrefix(#"{"type":"error","data":{"message":""#),
            "\(answer)")
        #expect(
            probe.send(#"{"type":"newMessage","data":{"chat":5,"text":"x"}}"#) == [
                #"post "x" id - by 7 in tenant/5"#
            ],
            "the session still works")
    }

    @Test("beyond the rate limit is refused with the time to wait")
    func rateLimited() {
        var probe = SessionProbe.chats()
        for type in ["newMessage", "getChats", "dance"] {
            let outcome = type == "newMessage" ? #","outcome":"refused""# : ""
            #expect(
                probe.send(#"{"type":"\#(type)"}"#, retryAfter: 1.234) == [
                    #"""
                    {"type":"error","data":{"message":"rate limited",\#
                    "request":"\#(type)"\#(outcome),"retry_after":1.24}}
                    """#
                ])
        }
    }

    @Test("that is binary or too long is answered with an error")
    func binaryAndTooLong() {
        var probe = SessionProbe.chats()
        #expect(
            probe.perform { $0.receivedBinary(into: &$1) } == [
                #"""
                {"type":"error","data":{"message":\#
                "binary frames are not supported; send JSON text"}}
                """#
            ])
        #expect(
            probe.send(#"{"type":"getChats"}"#, exceededByteLimit: 65_536) == [
                #"""
                {"type":"error","data":{"message":"the message is longer than 65536 bytes",\#
                "request":"getChats"}}
                """#
            ])
    }

    @Test("has the rights of the newest token")
    func renewedToken() {
        var probe = SessionProbe.chats()
        func join(_ chat: Int) -> [String] {
            _ = probe.send(#"{"type":"joinChat","data":{"chat":\#(chat)}}"#)
            return probe.answer(.failed(.noSuchConversation))
        }
        #expect(
            join(6) == [
                #"{"type":"error","data":{"message":"chat: no such chat","request":"joinChat"}}"#
            ])
        _ = probe.perform {
            $0.authenticated(
                .success(.init(user: "7", tenant: "tenant", grants: .listed(["6"]))), into: &$1)
        }
        #expect(join(6) == ["enter tenant/6 as 7 Ann listed chats from now, history read"])
    }

    @Test("is queued behind earlier requests, up to a limit")
    func queue() {
        var probe = SessionProbe.chats()
        #expect(probe.send(#"{"type":"getChatDetails","data":{"chatId":5}}"#).count == 1)
        for _ in 0..<100 {
            #expect(probe.send(#"{"type":"newMessage","data":{"chat":5,"text":"x"}}"#).isEmpty)
        }
        #expect(
            probe.send(#"{"type":"newMessage","data":{"chat":5,"text":"x"}}"#) == [
                #"""
                {"type":"error","data":{"message":"100 requests are waiting for their answers",\#
                "request":"newMessage","outcome":"refused"}}
                """#
            ])
        let answers = probe.answer(.failed(.notAMember))
        #expect(
            answers.first
                == #"""
                {"type":"error","data":{"message":"chatId: not a member of this conversation",\#
                "request":"getChatDetails"}}
                """#
        )
        #expect(
            answers.dropFirst().allSatisfy { $0 == #"post "x" id - by 7 in tenant/5"# }
                && answers.count == 101)
    }
}
