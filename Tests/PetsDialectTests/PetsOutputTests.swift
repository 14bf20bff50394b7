import Bytes
import ChatModel
import DialectKit
import DialectTestSupport
import Identity
import PetsDialect
import Testing

@Suite("The server's frames")
struct PetsOutputTests {
    static let time = Timestamp(milliseconds: 1_769_860_800_123)
    static let key = ConversationKey(tenant: "tenant", id: "c")
    static let pet = "123e4567-e89b-12d3-a456-426614174000"
    static let bob = "123e4567-e89b-12d3-a456-426614174001"
    static let fields = #""pet_id":"\#(pet)","providers":["\#(bob)"]"#

    static func message(
        _ sequence: Int, _ content: String, by author: String = "ann",
        _ state: Message.State = .asSent
    ) -> Message {
        let person = Person(id: UserID(tokenSubject: .init(author)), name: .init(author))
        return Message(
            sequence: sequence, revision: sequence, sentAt: Self.time, state: state,
            body: MessageBody(author: person, clientMessageID: nil, content: content))
    }

    private static func render(_ event: ChatEvent, in key: ConversationKey = key) -> [String] {
        var rendering = Rendering()
        PetsDialect().render(event, in: key, into: &rendering)
        return rendering.frameTexts
    }

    @Test("contain messages, and no other events")
    func events() {
        #expect(
            Self.render(.posted(Self.message(7, #"say "hi""#))) == [
                #"""
                otherConnections {"event":"message","data":{"conversation_id":"c",\#
                "message_id":"7","sender_id":"ann","content":"say \"hi\"",\#
                "timestamp":"2026-01-31T12:00:00.123Z"}}
                """#
            ])
        #expect(
            Self.render(.posted(Self.message(7, "all")), in: .inbox(ofAll: "pets", in: "tenant"))
                == [
                    #"""
                    everybody {"event":"broadcast","data":{"sender_id":"ann","content":"all",\#
                    "timestamp":"2026-01-31T12:00:00.123Z"}}
                    """#
                ])
        let ann = Person(id: UserID(tokenSubject: "ann"), name: "Ann")
        let member = Member(user: ann.id, name: ann.name, role: .member, joinedAt: Self.time)
        let silent: [ChatEvent] = [
            .created, .edited(Self.message(1, "x", .edited)),
            .deleted(Self.message(1, "", .deleted)), .joined(member), .renamed(member),
            .left(member, at: Self.time), .ended(by: ann.id, at: Self.time), .typing(ann, true),
            .read(ann, [1], through: 1),
            .status(author: ann.id, .read, [1], at: Self.time),
            .presence([PresenceChange(person: ann, isOnline: true, at: Self.time)]),
            .crowd(online: 300, []),
        ]
        for event in silent { #expect(Self.render(event).isEmpty, "\(event)") }
    }

    @Test(
        """
        begin with the user's id; the inbox is subscribed before the conversations are requested
        """)
    func opening() {
        let identity = Identity(
            user: "ann", displayName: "Ann", tenant: "tenant", grants: .listed(["b", "a"]))
        var probe = SessionProbe(
            PetsDialect(),
            DialectRequest(
                path: ["ws"], query: [], credentials: .bearer(identity),
                now: Timestamp(milliseconds: 0)))
        #expect(
            probe.opened() == [
                #"{"event":"connected","data":{"user_id":"ann"}}"#,
                "enter tenant/@all:pets as ann Ann listed inbox from now",
                "enter tenant/@user:ann as ann Ann listed inbox from now",
                "enter tenant/a as ann Ann listed pets from now",
                "enter tenant/b as ann Ann listed pets from now",
            ])
        #expect(probe.answer(.joined(.empty), to: 0).isEmpty)
        #expect(
            probe.answer(.joined(.empty), to: 1) == [
                "fetch conversations of ann in tenant after - unread 0"
            ])
        var page = MembershipPage()
        page.memberships = [Self.listed("z", at: 1), Self.listed("a", at: 2)]
        page.next = "more"
        #expect(
            probe.storeAnswer(.memberships(page)) == [
                "fetch conversations of ann in tenant after more unread 0, after 0 bytes"
            ])
        // A closed connection is better than one that misses messages.
        #expect(
            probe.storeAnswer(nil) == [
                "close 1013 the conversations cannot be listed at the moment; try again"
            ])
    }

    @Test("give an anonymous user a new id, where anonymous users are allowed")
    func anonymousUsers() throws {
        let request = DialectRequest(
            path: ["ws"], query: [], credentials: .none, allowsAnonymous: true,
            now: Timestamp(milliseconds: 0))
        var first = SessionProbe(PetsDialect(), request)
        var second = SessionProbe(PetsDialect(), request)
        let connected = try #require(
            first.opened().first?.firstMatch(
                of: /\{"event":"connected","data":\{"user_id":"([0-9a-f-]{36})"\}\}/))
        #expect(second.opened().first != String(connected.0))
        #expect(first.session.principal?.person.id == UserID(assigned: .init(String(connected.1))))
        #expect(first.session.tenant == "default")
    }

    @Test("name an anonymous user by the assigned id, and any other guest as a guest")
    func guests() {
        func sender(_ id: UserID) -> String {
            var rendering = Rendering()
            let body = MessageBody(
                author: Person(id: id, name: "Ann"), clientMessageID: nil, content: "x")
            let message = Message(
                sequence: 1, revision: 1, sentAt: Timestamp(milliseconds: 0), body: body)
            PetsDialect().render(
                .posted(message), in: ConversationKey(tenant: "t", id: "c"), into: &rendering)
            return String(decoding: rendering.text.bytes, as: UTF8.self)
        }
        let guest = sender(UserID(guest: "ann", key: "q8Zt-m_R", provenBy: .token))
        #expect(guest.contains(#""sender_id":"guest:ann""#))
        #expect(guest.contains(#","guest":true,"guest_key":"q8Zt-m_R""#))
        let assigned = sender(UserID(assigned: "ann"))
        #expect(assigned.contains(#""sender_id":"ann""#) && !assigned.contains("guest"))
    }

    @Test(
        "refuse an unauthorized client with an error and a code",
        arguments: [
            (Credentials.none, "a token is required"),
            (.invalid("The token has expired."), "The token has expired."),
        ])
    func refusals(_ credentials: Credentials, _ errorText: String) {
        for allowsAnonymous in [false, true] {
            if allowsAnonymous, case .none = credentials { continue }
            var probe = SessionProbe(
                PetsDialect(),
                DialectRequest(
                    path: ["ws"], query: [], credentials: credentials,
                    allowsAnonymous: allowsAnonymous, now: Timestamp(milliseconds: 0)))
            #expect(
                probe.opened() == [
                    #"{"event":"error","data":{"message":"\#(errorText)"}}"#,
                    "close 4401 authentication required",
                ])
        }
    }

    @Test("belong to only one path", arguments: [[], ["ws", "chats"], ["WS"], ["pets"]])
    func paths(_ path: [String]) {
        #expect(
            PetsDialect().open(
                DialectRequest(
                    path: path, query: [], credentials: .none, now: Timestamp(milliseconds: 0)))
                == nil)
    }

    @Test("answer a send when it is stored, and a repeated send too")
    func sent() {
        var probe = SessionProbe.pets()
        _ = probe.send(
            #"{"event":"message","data":{"conversation_id":"c","content":"x","local_id":"n-1"}}"#)
        let answer =
            #"""
            {"event":"message_sent","data":{"conversation_id":"c","message_id":"7",\#
            "local_id":"n-1","content":"x","timestamp":"2026-01-31T12:00:00.123Z"}}
            """#
        #expect(probe.answer(.posted(Self.message(7, "x")), isDelivered: true) == [answer])
        #expect(probe.answer(.posted(Self.message(7, "x"))) == [answer])
        #expect(
            probe.answer(.failed(.conversationEnded)) == [
                #"""
                {"event":"error","data":{"message":"conversation ended","event":"message",\#
                "outcome":"refused","local_id":"n-1"}}
                """#
            ])
        _ = probe.send(#"{"event":"message","data":{"conversation_id":"c","content":"x"}}"#)
        #expect(
            probe.answer(.posted(Self.message(7, "x"))) == [
                #"""
                {"event":"message_sent","data":{"conversation_id":"c","message_id":"7",\#
                "content":"x","timestamp":"2026-01-31T12:00:00.123Z"}}
                """#
            ])
    }

    @Test("follow after entering, if the connection is not subscribed to the conversation")
    func entering() {
        var probe = SessionProbe.pets(grants: .all)
        let enter = "enter tenant/d as ann Ann listed pets from now"
        #expect(
            probe.send(#"{"event":"message","data":{"conversation_id":"d","content":"x"}}"#) == [
                enter
            ])
        #expect(probe.answer(.joined(.empty)) == [#"post "x" id - by ann in tenant/d"#])
        #expect(
            probe.send(#"{"event":"history","data":{"conversation_id":"d"}}"#) == [
                "read newest limit 50 in tenant/d"
            ])

        #expect(probe.send(#"{"event":"history","data":{"conversation_id":"e"}}"#).count == 1)
        #expect(
            probe.answer(.failed(.accessDenied)) == [
                #"""
                {"event":"error","data":{"message":"conversation_id: access denied",\#
                "event":"history"}}
                """#
            ])
        // A repeated request is tried again.
        #expect(probe.send(#"{"event":"history","data":{"conversation_id":"e"}}"#).count == 1)
        #expect(
            probe.answer(.failed(.noSuchConversation)) == [
                #"""
                {"event":"error","data":{"message":"conversation_id: no such conversation",\#
                "event":"history"}}
                """#
            ])
        // A removed member must enter again.
        _ = probe.perform {
            $0.leftConversation(ConversationKey(tenant: "tenant", id: "d"), into: &$1)
        }
        #expect(probe.send(#"{"event":"history","data":{"conversation_id":"d"}}"#) == [enter])
    }

    @Test("report a new conversation after the connection has subscribed to it")
    func creating() throws {
        var probe = SessionProbe.pets()
        let steps = probe.send(
            #"""
            {"event":"new_conversation","data":{"pet_id":"\#(Self.pet)",\#
            "providers":["\#(Self.bob)"]}}
            """#
        )
        #expect(steps.count == 1)
        let pattern =
            /create pets "" (.*) by ann with ann, ([0-9a-f-]{36}) in tenant\/([0-9a-f-]{36})/
        let create = try #require(steps.first?.wholeMatch(of: pattern))
        #expect(create.1 == Self.fields && create.2 == Self.bob)
        let id = String(create.3)
        let described = ChatAnswer.described(
            ConversationDetails(
                record: ConversationRecord(
                    .pets, creator: UserID(tokenSubject: "ann"),
                    createdAt: Self.time), head: 0,
                members: [], online: []))
        let notifications = probe.answer(described)
        #expect(
            notifications.dropLast().sorted()
                == ["tenant/@user:\(Self.bob)", "tenant/@user:ann"].map {
                    #"""
                    post "\#(id)" id "\#(id)" by ann with {"head":0,"rev":0,\#(Self.fields)} \#
                    in \#($0)
                    """#
                })
        #expect(notifications.last == "enter tenant/\(id) as ann Ann unlisted pets after 0")
        #expect(
            probe.answer(.joined(.empty)) == [
                #"""
                {"event":"conversation_created","data":{"conversation_id":"\#(id)",\#
                \#(Self.fields),"client_id":"ann"}}
                """#
            ])
        // The session's own notification returns through the inbox.
        #expect(
            probe.perform {
                $0.receivedInboxMessage(
                    Self.invitation(to: id),
                    in: .inbox(of: UserID(tokenSubject: "ann"), in: "tenant"), into: &$1)
            }.isEmpty)

        _ = probe.send(
            #"""
            {"event":"new_conversation","data":{"pet_id":"\#(Self.pet)",\#
            "providers":["\#(Self.bob)"]}}
            """#
        )
        #expect(
            probe.answer(.failed(.tooManyMembers(limit: 1))) == [
                #"""
                {"event":"error","data":{"message":"the conversation has its 1 members, \#
                or has removed as many users",\#
                "event":"new_conversation"}}
                """#
            ])
    }

    @Test("notify the new members through their inboxes")
    func invitedMembers() {
        var probe = SessionProbe.pets()
        let inbox = ConversationKey.inbox(of: UserID(tokenSubject: "ann"), in: "tenant")
        #expect(
            probe.perform {
                $0.receivedInboxMessage(Self.invitation(to: "new"), in: inbox, into: &$1)
            } == [
                "enter tenant/new as ann Ann unlisted pets after 3 since 7"
            ])
        #expect(
            probe.answer(.joined(.empty)) == [
                #"""
                {"event":"conversation_created","data":{"conversation_id":"new",\#(Self.fields),\#
                "client_id":"cid"}}
                """#
            ])
        #expect(
            probe.perform {
                $0.receivedInboxMessage(Self.invitation(to: "new"), in: inbox, into: &$1)
            }.isEmpty, "twice")
    }

    private static func invitation(to conversation: String) -> Message {
        let author = Person(id: UserID(tokenSubject: "cid"), name: "Cid")
        return Message(
            sequence: 1, revision: 1, sentAt: Self.time,
            body: InboxNotice(
                ByteString(conversation), from: .init(head: 3, revision: 7),
                fields: ByteString(Self.fields)
            ).body(by: author))
    }
}
