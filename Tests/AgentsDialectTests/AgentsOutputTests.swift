import AgentsDialect
import Bytes
import ChatModel
import DialectKit
import DialectTestSupport
import Identity
import Testing

@Suite("The server's frames")
struct AgentsOutputTests {
    private static let time = Timestamp(milliseconds: 1_769_860_800_123)
    private static let key = ConversationKey(tenant: "tenant", id: "c")
    private static let agent = Person(
        id: UserID(tokenSubject: "ann"), name: "Ann", agent: "agent-1")
    private static let user = Person(id: UserID(tokenSubject: "bob"), name: "Bob")

    private static func message(
        _ sequence: Int, _ content: String, by author: Person = agent, id: String? = nil,
        metadata: String? = nil,
        _ state: Message.State = .asSent
    ) -> Message {
        Message(
            sequence: sequence, revision: sequence, sentAt: Self.time, state: state,
            body: MessageBody(
                author: author, clientMessageID: id.flatMap { ClientMessageID(given: .init($0)) },
                content: content,
                metadata: metadata.map { Array($0.utf8) }))
    }

    private static func render(_ event: ChatEvent, in key: ConversationKey = key) -> [String] {
        var rendering = Rendering()
        AgentsDialect().render(event, in: key, into: &rendering)
        return rendering.frameTexts
    }

    @Test("contain messages and presence, and no other events")
    func events() {
        #expect(
            Self.render(.posted(Self.message(7, #"say "hi""#, id: "m-1", metadata: #"{ "k":1}"#)))
                == [
                    #"""
                    otherConnections {"id":"m-1","type":"message","content":"say \"hi\"",\#
                    "tenant_id":"tenant","agent_id":"agent-1","channel_id":"c",\#
                    "timestamp":"2026-01-31T12:00:00.123Z","metadata":{ "k":1},"seq":7,"rev":7}
                    """#
                ])
        #expect(
            Self.render(.posted(Self.message(8, "x", by: Self.user))) == [
                #"""
                otherConnections {"id":"8","type":"message","content":"x","tenant_id":"tenant",\#
                "agent_id":"bob","channel_id":"c","timestamp":"2026-01-31T12:00:00.123Z","seq":8,\#
                "rev":8}
                """#
            ])
        #expect(
            Self.render(.posted(Self.message(9, "", by: Self.user, .deleted))) == [
                #"""
                otherConnections {"id":"9","type":"message","content":"","tenant_id":"tenant",\#
                "agent_id":"bob","channel_id":"c","timestamp":"2026-01-31T12:00:00.123Z","seq":9,\#
                "rev":9,"is_edited":false,"is_deleted":true}
                """#
            ])
        #expect(
            Self.render(.edited(Self.message(9, "y", by: Self.user, .edited))) == [
                #"""
                everybody {"id":"9","type":"message.edited","content":"y","tenant_id":"tenant",\#
                "agent_id":"bob","channel_id":"c","timestamp":"2026-01-31T12:00:00.123Z","seq":9,\#
                "rev":9,"is_edited":true,"is_deleted":false}
                """#
            ])
        #expect(
            Self.render(.deleted(Self.message(9, "", by: Self.user, .deleted))) == [
                #"""
                everybody {"id":"9","type":"message.deleted","content":"","tenant_id":"tenant",\#
                "agent_id":"bob","channel_id":"c","timestamp":"2026-01-31T12:00:00.123Z","seq":9,\#
                "rev":9,"is_edited":false,"is_deleted":true}
                """#
            ])
        let changes = [
            PresenceChange(person: Self.agent, isOnline: true, at: Self.time),
            PresenceChange(person: Self.user, isOnline: false, at: Self.time),
        ]
        #expect(
            Self.render(.presence(changes)) == [
                #"""
                others(ann) {"type":"status","agent_id":"agent-1","status":"online",\#
                "timestamp":"2026-01-31T12:00:00.123Z"}
                """#,
                #"""
                others(bob) {"type":"status","agent_id":"bob","status":"offline",\#
                "timestamp":"2026-01-31T12:00:00.123Z"}
                """#,
            ])
        #expect(
            Self.render(.crowd(online: 300, [changes[0]])) == [
                #"""
                everybody {"type":"presence","channel_id":"c","online":300,\#
                "changes":[{"user_id":"ann","agent_id":"agent-1","status":"online",\#
                "timestamp":"2026-01-31T12:00:00.123Z"}]}
                """#
            ])
        let member = Member(user: Self.user.id, name: "Bob", role: .member, joinedAt: Self.time)
        let silent: [ChatEvent] = [
            .created, .joined(member), .renamed(member),
            .left(member, at: Self.time), .ended(by: Self.user.id, at: Self.time),
            .typing(Self.user, true),
            .read(Self.user, [1], through: 1),
            .status(author: Self.user.id, .read, [1], at: Self.time),
        ]
        for event in silent { #expect(Self.render(event).isEmpty, "\(event)") }
        #expect(
            Self.render(.posted(Self.message(1, "x")), in: .inbox(ofAgent: "b", in: "tenant"))
                .isEmpty, "the session does that")
    }

    // MARK: Connecting

    private static func open(
        path: [String] = ["v1", "ws"], _ query: [(name: String, value: String)] = [],
        grants: Grants = .listed(["c"])
    ) -> OpenResult? {
        let identity = Identity(
            user: "ann", displayName: "Ann", tenant: "tenant", agent: "agent-1", grants: grants)
        return AgentsDialect().open(.agents(.bearer(identity), path: path, query: query))
    }

    private static func status(_ opening: OpenResult?) -> Int? {
        switch opening {
        case .refused(let status, _): status
        case .session: 101
        case .awaitingAnswer: 0
        case nil: nil
        }
    }

    private static func path(_ tenant: String, _ agent: String, _ channel: String) -> [String] {
        ["v1", "ws", "tenant", tenant, "agent", agent, "channel", channel]
    }

    @Test("follow only if path, query and token agree")
    func openings() {
        #expect(Self.status(Self.open()) == 101)
        #expect(Self.status(Self.open([("channel_id", "c")])) == 101)
        #expect(Self.status(Self.open(path: Self.path("tenant", "agent-1", "c"))) == 101)
        #expect(
            Self.status(Self.open(path: Self.path("tenant", "agent-1", "c"), [("channel_id", "c")]))
                == 101)
        for (path, query, expected) in [
            (Self.path("other", "agent-1", "c"), nil, 403),
            (Self.path("tenant", "ann", "c"), nil, 403),
            (Self.path("tenant", "agent-1", "c"), "d", 403),
            (Self.path("tenant", "agent-1", "a b"), nil, 400),
            (["v1", "ws"], "", 400), (["v1", "ws"], "@agent:agent-1", 400), (["v1"], nil, nil),
            (["v1", "ws", "tenant"], nil, nil),
            (["v1", "ws", "tenant", "tenant", "agents", "agent-1", "channel", "c"], nil, nil),
        ] as [([String], String?, Int?)] {
            #expect(
                Self.status(Self.open(path: path, query.map { [("channel_id", $0)] } ?? []))
                    == expected, "\(path)")
        }
        for credentials in [Credentials.none, .invalid("The token has expired.")] {
            #expect(Self.status(AgentsDialect().open(.agents(credentials))) == 401)
        }
    }

    @Test("wait for the owner if the token does not list the channel")
    func openingByOwner() throws {
        for (path, query, expected) in [
            (["v1", "ws"], "d", ReadAccess.anyoneIfOpen),
            (Self.path("tenant", "agent-1", "d"), nil, .membersOnly),
        ] as [([String], String?, ReadAccess)] {
            guard
                case .awaitingAnswer(
                    .describe(let principal, let access, .none), let key, let then) = Self.open(
                        path: path, query.map { [("channel_id", $0)] } ?? [])
            else { throw MissingSession() }
            #expect(
                principal.person == Self.agent && access == expected
                    && key == ConversationKey(tenant: "tenant", id: "d"))
            let record = ConversationRecord(
                ConversationTemplate(origin: "rooms", joinPolicy: .open), creator: nil,
                createdAt: Self.time)
            #expect(
                Self.status(
                    then(
                        .described(
                            ConversationDetails(record: record, head: 0, members: [], online: []))))
                    == 101)
            for (error, status) in [
                (ChatError.accessDenied, 403), (.notAMember, 403), (.noSuchConversation, 403),
                (.unavailable, 503),
            ] { #expect(Self.status(then(.failed(error))) == status) }
        }
    }
    private struct MissingSession: Error {}

    @Test("start at the first unread inbox message, and in the channel where the client was")
    func opening() {
        let inbox =
            "enter tenant/@agent:agent-1 as ann Ann for agent-1 listed inbox from the first unread"
        var probe = SessionProbe.agents(channel: nil)
        #expect(probe.opened() == [inbox])
        #expect(probe.session.homeConversation == .inbox(ofAgent: "agent-1", in: "tenant"))
        probe = SessionProbe.agents()
        #expect(
            probe.opened() == [
                inbox, "enter tenant/c as ann Ann for agent-1 listed agents from now",
            ])
        #expect(probe.session.homeConversation == Self.key)
        probe = SessionProbe.agents(after: "17")
        #expect(
            probe.opened() == [
                inbox, "enter tenant/c as ann Ann for agent-1 listed agents after 17",
            ])
        probe = SessionProbe.agents(after: "x")
        #expect(
            probe.opened() == [
                inbox,
                #"""
                {"type":"ERROR","error":"after: must be a message id",\#
                "timestamp":"1970-01-01T00:00:00.000Z"}
                """#,
                "enter tenant/c as ann Ann for agent-1 listed agents from now",
            ])
        #expect(
            probe.answer(.failed(.accessDenied)) == [
                #"{"type":"ERROR","error":"access denied","timestamp":"1970-01-01T00:00:00.000Z"}"#,
                "close 1008 access denied",
            ])
        #expect(
            probe.answer(.failed(.unavailable), to: 0) == [
                "close 1013 the channel cannot be entered at the moment; try again"
            ])
    }

    // MARK: Answers

    @Test("acknowledge a message when it is stored, in a channel with its number")
    func acknowledgements() {
        var probe = SessionProbe.agents()
        _ = probe.send(#"{"type":"message","id":"m-1","content":"x"}"#)
        #expect(
            probe.answer(.posted(Self.message(7, "x", id: "m-1")), isDelivered: true) == [
                #"""
                {"type":"ACK","message_id":"m-1","seq":7,"rev":7,\#
                "timestamp":"2026-01-31T12:00:00.123Z"}
                """#
            ])
        _ = probe.send(#"{"type":"message","content":"x"}"#)
        #expect(
            probe.answer(.posted(Self.message(8, "x"))) == [
                #"""
                {"type":"ACK","message_id":"8","seq":8,"rev":8,\#
                "timestamp":"2026-01-31T12:00:00.123Z"}
                """#
            ])
        _ = probe.send(#"{"type":"message","id":"m-2","to":"b","content":"x"}"#)
        #expect(
            probe.answer(.posted(Self.message(9, "x", id: "m-2"))) == [
                #"{"type":"ACK","message_id":"m-2","timestamp":"2026-01-31T12:00:00.123Z"}"#
            ])
        _ = probe.send(#"{"type":"message","id":"m-3","content":"x"}"#)
        #expect(
            probe.answer(.failed(.conversationEnded)) == [
                #"""
                {"type":"ERROR","error":"conversation ended","message_id":"m-3",\#
                "outcome":"refused","timestamp":"1970-01-01T00:00:00.000Z"}
                """#
            ])
    }

    @Test("contain direct messages to the agent, without a number")
    func direct() {
        var probe = SessionProbe.agents()
        let message = Self.message(3, "x", by: Self.user, id: "m-1", metadata: "{}")
        #expect(
            probe.perform {
                $0.receivedInboxMessage(
                    message, in: .inbox(ofAgent: "agent-1", in: "tenant"), into: &$1)
            } == [
                #"""
                {"id":"m-1","type":"message","content":"x","to":"agent-1","tenant_id":"tenant",\#
                "agent_id":"bob","timestamp":"2026-01-31T12:00:00.123Z","metadata":{}}
                """#
            ])
    }

    @Test("list the status of all members")
    func statuses() {
        var probe = SessionProbe.agents()
        _ = probe.send(#"{"type":"status_query"}"#)
        let members = [
            Member(
                user: Self.agent.id, name: "Ann", agent: "agent-1", role: .creator,
                joinedAt: Self.time),
            Member(user: Self.user.id, name: "Bob", role: .member, joinedAt: Self.time),
            Member(
                user: UserID(tokenSubject: "cid"), name: "Cid", agent: "agent-3", role: .member,
                joinedAt: Self.time),
        ]
        let record = ConversationRecord(
            .agents, creator: nil, createdAt: Self.time)
        let description = ConversationDetails(
            record: record, head: 0, members: members, online: [Self.agent.id])
        #expect(
            probe.answer(.described(description)) == [
                #"""
                {"type":"status_list","channel_id":"c","agents":[{"agent_id":"agent-1",\#
                "status":"online","timestamp":"1970-01-01T00:00:00.000Z"},{"agent_id":"bob",\#
                "status":"offline","timestamp":"1970-01-01T00:00:00.000Z"},{"agent_id":"agent-3",\#
                "status":"offline","timestamp":"1970-01-01T00:00:00.000Z"}],\#
                "timestamp":"1970-01-01T00:00:00.000Z"}
                """#
            ])
    }

    @Test("report a truncated history, tokens and a removal")
    func otherFrames() {
        var probe = SessionProbe.agents()
        let time = #""timestamp":"1970-01-01T00:00:00.000Z"}"#
        #expect(
            probe.perform {
                $0.historyTruncated(
                    in: ConversationKey(tenant: "tenant", id: "r"), oldest: 12, into: &$1)
            } == [
                #"{"type":"ERROR","error":"history truncated","oldest_id":12,\#(time)"#
            ])
        #expect(
            probe.perform {
                $0.historyTruncated(
                    in: .inbox(ofAgent: "agent-1", in: "tenant"), oldest: 12, into: &$1)
            } == [
                #"""
                {"type":"ERROR","error":"direct messages truncated: the oldest are not kept any \#
                more",\#(time)
                """#
            ])
        #expect(
            probe.perform {
                $0.authenticated(.success(.init(user: "ann", tenant: "tenant")), into: &$1)
            } == [
                #"{"type":"authenticated","agent_id":"agent-1",\#(time)"#
            ])
        #expect(
            probe.perform { $0.authenticated(.failure(CredentialError("it is forged")), into: &$1) }
                == [
                    #"{"type":"ERROR","error":"token: it is forged",\#(time)"#
                ])
        // The failed frame had an id.
        #expect(
            probe.send(#"{"type":"authenticate","id":"m-1","token":"t"}"#) == ["authenticate t"])
        #expect(
            probe.perform { $0.authenticated(.failure(CredentialError("it is forged")), into: &$1) }
                == [
                    #"{"type":"ERROR","error":"token: it is forged","message_id":"m-1",\#(time)"#
                ])
        #expect(
            probe.send(#"{"type":"status_query","id":"m-2"}"#) == [
                "describe for ann access membersOnly in tenant/c"
            ])
        #expect(
            probe.answer(.failed(.unavailable)) == [
                #"""
                {"type":"ERROR","error":"this could not be stored; try again",\#
                "message_id":"m-2",\#(time)
                """#
            ])
        #expect(
            probe.perform { $0.tokenExpired(into: &$1) } == [
                #"{"type":"ERROR","error":"token expired",\#(time)"#, "close 4401 token expired",
            ])
        #expect(
            probe.perform { $0.leftConversation(Self.key, into: &$1) } == [
                #"{"type":"ERROR","error":"not a member of this conversation",\#(time)"#,
                "close 1008 no member of the channel any more",
            ])
    }

    @Test("show the keys of guests, who may have the same id")
    func guests() {
        let guest = Person(
            id: UserID(guest: "zoë", key: "q8Zt-m_R", provenBy: .token), name: "Zoë")
        let body = MessageBody(author: guest, clientMessageID: nil, content: "x")
        let message = Message(
            sequence: 1, revision: 1, sentAt: Timestamp(milliseconds: 0), body: body)
        let change = PresenceChange(
            person: guest, isOnline: true, at: Timestamp(milliseconds: 0))
        let shown = #""agent_id":"guest:zoë","guest":true,"guest_key":"q8Zt-m_R""#
        for event in [
            ChatEvent.posted(message), .presence([change]), .crowd(online: 300, [change]),
        ] {
            #expect(Self.render(event).joined().contains(shown), "\(event)")
        }
    }
}
