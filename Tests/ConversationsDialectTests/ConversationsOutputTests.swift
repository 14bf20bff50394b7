import Bytes
import ChatModel
import ConversationsDialect
import DialectKit
import DialectTestSupport
import Identity
import Testing

@Suite("The server's frames")
struct ConversationsOutputTests {
    static let ann = Person(id: UserID(tokenSubject: "ann"), name: "Ann \"the\" An")
    static let bob = Person(id: UserID(tokenSubject: "bob"), name: "Bob", agent: "robot")
    static let guest = Person(
        id: UserID(guest: "Guest\n1", key: "q8Zt-m_R", provenBy: .connection), name: "Guest 1")
    static let time = Timestamp(milliseconds: 1_769_860_800_123)
    static let key = ConversationKey(tenant: "tenant", id: "room-1")

    static func message(
        _ number: Int, _ content: String = "Hi", by author: Person = ann, localID: String? = nil,
        _ state: Message.State = .asSent
    ) -> Message {
        let body = MessageBody(
            author: author, clientMessageID: localID.flatMap { ClientMessageID(given: .init($0)) },
            content: content)
        return Message(
            sequence: number, revision: number, sentAt: Self.time, state: state, body: body)
    }

    struct Event: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let event: ChatEvent
        let frames: [String]
        let audiences: [Audience]

        init(_ description: String, _ event: ChatEvent, _ frames: (String, Audience)...) {
            self.testDescription = description
            self.event = event
            self.frames = frames.map(\.0)
            self.audiences = frames.map(\.1)
        }

        static var all: [Event] { ConversationsOutputTests.events }
    }

    @Test("of each event have this content and this audience", arguments: Event.all)
    func events(_ example: Event) {
        var rendering = Rendering()
        // The second pass has text before it, as in a turn with several events.
        for _ in 0..<2 {
            rendering.removeAll()
            ConversationsDialect().render(example.event, in: Self.key, into: &rendering)
        }
        let frames = rendering.frames.indices.map {
            String(decoding: rendering.text.bytes[rendering.textRange(ofFrame: $0)], as: UTF8.self)
        }
        #expect(frames == example.frames)
        #expect(rendering.frames.map(\.audience) == example.audiences)
    }

    // MARK: Connecting

    @Test(
        """
        after entering list the present users, or their number, or give the reason of the refusal
        """)
    func entering() {
        var probe = SessionProbe(agent: "bot", isAdmin: true)
        #expect(
            probe.opened() == [
                "enter tenant/room-1 as ann Ann for bot admin listed conversations from now"
            ])
        func entered(_ present: [Person], count: Int, isCrowd: Bool) -> ChatAnswer {
            .joined(
                JoinResult(
                    head: 5, oldest: 1, revision: 9, ended: nil,
                    present: present.map {
                        PresenceChange(person: $0, isOnline: true, at: Self.time)
                    },
                    presentCount: count, isCrowd: isCrowd))
        }
        #expect(probe.answer(entered([], count: 1, isCrowd: false)).isEmpty)
        #expect(
            probe.answer(entered([Self.bob, Self.guest], count: 3, isCrowd: false)) == [
                #"""
                {"type":"user_status","user_id":"bob","username":"Bob","status":"online",\#
                "timestamp":"2026-01-31T12:00:00.123Z"}
                """#,
                #"""
                {"type":"user_status","user_id":"guest:Guest\n1",\#
                "username":"Guest 1","guest":true,"guest_key":"q8Zt-m_R","status":"online",\#
                "timestamp":"2026-01-31T12:00:00.123Z"}
                """#,
            ])
        #expect(
            probe.answer(entered([], count: 300, isCrowd: true)) == [
                #"{"type":"presence","conversation_id":"room-1","online":300,"changes":[]}"#
            ])
        #expect(probe.answer(.failed(.accessDenied)) == ["close 4004 access denied"])
        #expect(probe.answer(.failed(.tooManyMembers(limit: 5))) == ["close 4004 access denied"])
        #expect(
            probe.answer(.failed(.unavailable)) == [
                "close 1013 the conversation cannot be entered at the moment; try again"
            ])
    }

    @Test(
        "follow the position from which a client resumes",
        arguments: [("0", "0"), ("17", "17"), ("9223372036854775807", "9223372036854775807")])
    func resuming(after: String, resumePoint: String) {
        var probe = SessionProbe(after: after, grants: .listed(["room-2"]))
        #expect(
            probe.opened() == [
                "enter tenant/room-1 as ann Ann unlisted conversations after \(resumePoint)"
            ])
    }

    @Test(
        "name an invalid resume point",
        arguments: ["", "x", "-1", "1.5", "007", "9223372036854775808", "１"])
    func invalidResumePoint(after: String) {
        var probe = SessionProbe(after: after)
        #expect(
            probe.opened() == [
                #"{"type":"error","action":"connect","error":"after: must be a message id"}"#,
                "enter tenant/room-1 as ann Ann listed conversations from now",
            ])
        #expect(
            probe.perform {
                $0.historyReset(in: ConversationKey(tenant: "tenant", id: "r"), head: 0, into: &$1)
            } == [
                #"{"type":"error","action":"connect","error":"history reset","head":"0"}"#
            ])
        #expect(
            probe.perform {
                $0.historyTruncated(
                    in: ConversationKey(tenant: "tenant", id: "r"), oldest: 151, into: &$1)
            } == [
                #"""
                {"type":"error","action":"connect","error":"history truncated","oldest_id":"151"}
                """#
            ])
    }

    @Test("end with an error when the token expires")
    func expiry() {
        var probe = SessionProbe()
        #expect(
            probe.perform { $0.tokenExpired(into: &$1) } == [
                #"{"type":"error","action":null,"error":"token expired"}"#,
                "close 4003 token expired",
            ])
    }

    /// A request for a connection, and its result.
    @Test(
        "refuse an unauthorized client",
        arguments: [
            ("room-1", Credentials.none, ["close 4003 a token is required"]),
            ("no/room", Credentials.none, ["close 4003 a token is required"]),
            (
                "room-1", .invalid("The token has expired."),
                [
                    #"{"type":"error","action":"connect","error":"The token has expired."}"#,
                    "close 4003 the token is not valid",
                ]
            ),
            ("no/room", .bearer(Identity(user: "ann")), ["close 4004 access denied"]),
            ("", .bearer(Identity(user: "ann")), ["close 4004 access denied"]),
            ("räume", .bearer(Identity(user: "ann")), ["close 4004 access denied"]),
            (
                String(repeating: "x", count: 129), .bearer(Identity(user: "ann")),
                ["close 4004 access denied"]
            ),
        ])
    func refusals(conversation: String, credentials: Credentials, expected: [String]) throws {
        let request = DialectRequest(
            path: ["conversations", conversation], query: [], credentials: credentials,
            now: Timestamp(milliseconds: 0))
        guard case .session(var session)? = ConversationsDialect().open(request) else {
            Issue.record("the upgrade is refused, so that browsers do not see why")
            return
        }
        var steps = SessionSteps(limits: Limits())
        session.opened(into: &steps)
        let lines = steps.list.map { step in
            switch step {
            case .reply(let range): String(decoding: steps.text.bytes[range], as: UTF8.self)
            case .close(let code, let reason): "close \(code) \(reason)"
            default: "more than a refusal"
            }
        }
        #expect(lines == expected)
        #expect(session.principal == nil && session.homeConversation == nil)
    }

    @Test(
        "belong to no other path",
        arguments: [
            [], ["conversations"], ["conversation", "1"], ["conversations", "1", "2"],
            ["", "conversations", "1"],
        ])
    func otherPaths(path: [String]) {
        let request = DialectRequest(
            path: path, query: [], credentials: .bearer(Identity(user: "ann")),
            now: Timestamp(milliseconds: 0))
        #expect(ConversationsDialect().open(request) == nil)
    }

    // MARK: Answers

    @Test("answer requests that succeed or fail")
    func answers() {
        var probe = SessionProbe()
        _ = probe.send(#"{"action":"send_message","content":"Hi","local_id":"n"}"#)
        let message = Self.message(7, localID: "n")
        let frame =
            #"""
            {"type":"chat_message","message":{"id":"7","local_id":"n","sender_id":"ann",\#
            "username":"Ann \"the\" An",\#
            "content":"Hi","timestamp":"2026-01-31T12:00:00.123Z","status":"sent","rev":7},\#
            "rev":7}
            """#
        #expect(probe.answer(.posted(message), isDelivered: false) == [frame])
        #expect(
            probe.answer(.posted(message), isDelivered: true).isEmpty,
            "it is delivered as an event")
        #expect(
            probe.answer(.failed(.conversationEnded)) == [
                #"""
                {"type":"message.failed","local_id":"n","error":"conversation ended",\#
                "outcome":"refused"}
                """#
            ])
        #expect(
            probe.answer(.failed(.unavailable)) == [
                #"""
                {"type":"message.failed","local_id":"n",\#
                "error":"this could not be stored; try again","outcome":"refused"}
                """#
            ])
        _ = probe.send(#"{"action":"read","message_ids":["1"]}"#)
        #expect(probe.answer(.read(unknown: [])).isEmpty)
        #expect(
            probe.answer(.read(unknown: [8, 9])) == [
                #"{"type":"error","action":"read","error":"message_ids: there is no message 8, 9"}"#
            ])
        #expect(
            probe.answer(.failed(.notAMember)) == [
                #"{"type":"error","action":"read","error":"not a member of this conversation"}"#
            ])
        _ = probe.send(#"{"action":"edit_message","message_id":"4","content":"x"}"#)
        #expect(probe.answer(.amended(message), isDelivered: true).isEmpty)
        #expect(
            probe.answer(.amended(Self.message(7, "Hi", .edited))) == [
                #"""
                {"type":"message.edited","message":{"id":"7","sender_id":"ann",\#
                "username":"Ann \"the\" An","content":"Hi",\#
                "timestamp":"2026-01-31T12:00:00.123Z","status":"sent","is_edited":true,\#
                "is_deleted":false,"rev":7},"rev":7}
                """#
            ], "the event did not answer it")
        #expect(
            probe.answer(.failed(.noSuchMessage(4))) == [
                #"""
                {"type":"error","action":"edit_message",\#
                "error":"message_id: there is no message 4"}
                """#
            ])
        // An error of the store says what has become of the change.
        #expect(
            probe.answer(.failed(.rejected)) == [
                #"""
                {"type":"error","action":"edit_message",\#
                "error":\#
                "this could not be stored, because the store accepts no writes; try again",\#
                "outcome":"refused"}
                """#
            ])
        _ = probe.send(#"{"action":"delete_message","message_id":"4"}"#)
        #expect(
            probe.answer(.failed(.messageDeleted(4))) == [
                #"""
                {"type":"error","action":"delete_message",\#
                "error":"message_id: message 4 is deleted"}
                """#
            ])
        _ = probe.send(#"{"action":"typing","is_typing":true}"#)
        #expect(probe.answer(.done).isEmpty)
        #expect(
            probe.answer(.failed(.conversationEnded)) == [
                #"{"type":"error","action":"typing","error":"conversation ended"}"#
            ])
    }

    @Test("of history are newest first, and oldest first after a message")
    func pages() {
        var probe = SessionProbe()
        let page = MessagePage(
            messages: [
                Self.message(1), Self.message(2, "Ho", by: Self.bob, localID: "n", .edited),
                Self.message(3).deleted(revision: 4),
            ],
            head: 3, oldest: 1,
            revision: 4)
        let frames = [
            #"""
            {"id":"1","sender_id":"ann",\#
            "username":"Ann \"the\" An","content":"Hi","sent_at":"2026-01-31T12:00:00.123Z",\#
            "is_edited":false,"is_deleted":false,"rev":1}
            """#,
            #"""
            {"id":"2","sender_id":"bob","username":"Bob","content":"Ho",\#
            "sent_at":"2026-01-31T12:00:00.123Z",\#
            "is_edited":true,"is_deleted":false,"rev":2}
            """#,
            #"""
            {"id":"3","sender_id":"ann",\#
            "username":"Ann \"the\" An","content":"","sent_at":"2026-01-31T12:00:00.123Z",\#
            "is_edited":false,"is_deleted":true,"rev":4}
            """#,
        ]
        let start = #"{"type":"messages_fetched","conversation_id":"room-1","messages":["#
        _ = probe.send(#"{"action":"fetch_messages"}"#)
        #expect(
            probe.page(page) == [start + frames.reversed().joined(separator: ",") + #"],"rev":4}"#])
        _ = probe.send(#"{"action":"fetch_messages","before_id":"4"}"#)
        #expect(
            probe.page(page) == [start + frames.reversed().joined(separator: ",") + #"],"rev":4}"#])
        #expect(
            probe.page(MessagePage(messages: [], head: 0, oldest: 1, revision: 0)) == [
                start + #"],"rev":0}"#
            ])
        _ = probe.send(#"{"action":"fetch_messages","after_id":"0"}"#)
        #expect(probe.page(page) == [start + frames.joined(separator: ",") + #"],"rev":4}"#])
        #expect(
            probe.page(nil) == [
                #"""
                {"type":"error","action":"fetch_messages",\#
                "error":"the history cannot be read at the moment; try again"}
                """#
            ])
    }
}
