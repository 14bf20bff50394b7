import Bytes
import ChatModel
import ChatsDialect
import DialectKit
import DialectTestSupport
import Identity
import Testing

@Suite("The server's frames")
struct ChatsOutputTests {
    static let time = Timestamp(milliseconds: 1_769_860_800_123)
    private static let key = ConversationKey(tenant: "tenant", id: "5")
    private static let bob = UserID(tokenSubject: "bob")
    private static let bobsNumber = 1_099_511_627_776

    static func message(
        _ sequence: Int, _ content: String, by author: String = "7",
        _ state: Message.State = .asSent, isRead: Bool = false,
        at time: Timestamp = time
    ) -> Message {
        let person = Person(
            id: UserID(tokenSubject: .init(author)), name: author == "7" ? "Ann" : .init(author))
        return Message(
            sequence: sequence, revision: sequence, sentAt: time, state: state,
            body: MessageBody(
                author: person, clientMessageID: nil, content: content,
                metadata: isRead ? Array(#"{"is_read":true}"#.utf8) : nil))
    }

    static func member(_ user: String, name: String? = nil, read: Int = 0) -> Member {
        Member(
            user: UserID(tokenSubject: .init(user)), name: .init(name ?? user), role: .member,
            joinedAt: time, readCursor: read)
    }

    static func description(_ members: [Member], head: Int = 0) -> ConversationDetails {
        var record = ConversationRecord(
            .chats, creator: nil, createdAt: time)
        record.updatedAt = Timestamp(milliseconds: time.milliseconds + 1000)
        return ConversationDetails(record: record, head: head, members: members, online: [])
    }

    private static func render(
        _ event: ChatEvent, in key: ConversationKey = key, into rendering: inout Rendering
    ) -> [String] {
        rendering.removeAll()
        ChatsDialect().render(event, in: key, into: &rendering)
        return rendering.frameTexts
    }

    @Test("contain messages, joins and read marks, and no other events")
    func events() {
        var rendering = Rendering()
        rendering.userNumbers.record([Self.bobsNumber], of: [Self.bob], in: "tenant")
        #expect(
            Self.render(.posted(Self.message(7, #"say "hi""#)), into: &rendering) == [
                #"""
                everybody {"type":"messageCreated","data":{"id":7,"chat":5,"sender":{"id":7,\#
                "username":"Ann"},"text":"say \"hi\"","timestamp":"2026-01-31T12:00:00.123Z",\#
                "is_read":false}}
                """#
            ])
        #expect(
            Self.render(
                .posted(Self.message(8, "x", by: "bob", isRead: true)),
                in: .init(tenant: "tenant", id: "room"), into: &rendering)
                == [
                    #"""
                    everybody {"type":"messageCreated","data":{"id":8,"chat":"room",\#
                    "sender":{"id":1099511627776,"username":"bob"},"text":"x",\#
                    "timestamp":"2026-01-31T12:00:00.123Z","is_read":true}}
                    """#
                ])
        #expect(
            Self.render(.joined(Self.member("bob", name: "Bob")), into: &rendering) == [
                #"""
                others(bob) {"type":"chatJoined","data":{"chat":5,"user":{"id":1099511627776,\#
                "username":"Bob"}}}
                """#
            ])
        let ann = Person(id: UserID(tokenSubject: "7"), name: "Ann")
        #expect(
            Self.render(.read(ann, [3], through: 9), into: &rendering) == [
                #"""
                everybody {"type":"messagesRead","data":{"chat":5,"user":{"id":7,\#
                "username":"Ann"},"last_read_message":9}}
                """#
            ])
        let silent: [ChatEvent] = [
            .created, .edited(Self.message(1, "x", .edited)),
            .deleted(Self.message(1, "", .deleted)), .renamed(Self.member("bob")),
            .left(Self.member("bob"), at: Self.time), .ended(by: ann.id, at: Self.time),
            .typing(ann, true),
            .status(author: ann.id, .read, [1], at: Self.time),
            .presence([PresenceChange(person: ann, isOnline: true, at: Self.time)]),
            .crowd(online: 300, []),
        ]
        for event in silent { #expect(Self.render(event, into: &rendering).isEmpty, "\(event)") }
        #expect(rendering.usersWithoutNumber.isEmpty)
    }

    @Test("contain the local id only for the sender, and mark a guest's name")
    func localIDs() {
        var rendering = Rendering()
        let guest = UserID(guest: "7", key: "q8Zt-m_R", provenBy: .connection)
        let body = MessageBody(
            author: Person(id: guest, name: "Ann"), clientMessageID: ClientMessageID(given: "n-1"),
            content: "x")
        let frame =
            #"""
            {"type":"messageCreated","data":{"id":1,"chat":5,"sender":{"id":4692468364373969,\#
            "username":"guest:Ann","guest":true,"guest_key":"q8Zt-m_R"},"text":"x",\#
            "timestamp":"2026-01-31T12:00:00.123Z",\#
            "is_read":false
            """#
        #expect(
            Self.render(
                .posted(Message(sequence: 1, revision: 1, sentAt: Self.time, body: body)),
                into: &rendering) == [
                    #"others(anonymous 7) \#(frame)}}"#,
                    #"only(anonymous 7) \#(frame),"local_id":"n-1"}}"#,
                ])
    }

    @Test("request unknown numbers; numeric user ids need no lookup")
    func unnumbered() {
        var rendering = Rendering()
        _ = Self.render(.posted(Self.message(1, "x", by: "bob")), into: &rendering)
        #expect(rendering.usersWithoutNumber == [Self.bob])
        for (user, isOwn) in [
            ("0", true), ("1099511627775", true), ("1099511627776", false), ("07", false),
            ("-7", false), ("7.0", false), ("", false),
        ] {
            _ = Self.render(.posted(Self.message(1, "x", by: user)), into: &rendering)
            #expect(rendering.usersWithoutNumber.isEmpty == isOwn, "\(user)")
        }
        // An anonymous user cannot claim the number 7.
        #expect(UserNumbers.numericID(of: UserID(anonymous: "7")) == nil)
        // The number of a guest is its key, so that a connection stores none.
        for proof in [UserID.GuestProof.token, .connection] {
            let guest = UserID(guest: "7", key: "AAAAAAAB", provenBy: proof)
            #expect(UserNumbers.numericID(of: guest) == 1 << 52 + 1)
            let last = UserID(guest: "7", key: "________", provenBy: proof)
            #expect(UserNumbers.numericID(of: last) == 1 << 52 + 0xFFFF_FFFF_FFFF)
        }
        // The bob of another tenant is another user.
        rendering.userNumbers.record([Self.bobsNumber], of: [Self.bob], in: "tenant")
        #expect(rendering.userNumbers.number(of: Self.bob, in: "elsewhere") == nil)
    }

    @Test(
        "write chat ids as numbers as far as JSON represents them exactly",
        arguments: [
            ("0", "0"), ("9007199254740991", "9007199254740991"),
            ("9007199254740992", #""9007199254740992""#), ("007", #""007""#),
            ("a-b", #""a-b""#), ("1.5", #""1.5""#),
        ])
    func chatIDs(_ id: String, _ written: String) {
        var rendering = Rendering()
        let frames = Self.render(
            .posted(Self.message(1, "x")), in: .init(tenant: "tenant", id: .init(id)),
            into: &rendering)
        #expect(frames.count == 1 && frames[0].contains(#""chat":\#(written),"#), "\(frames)")
    }

    @Test("wait for the user's own number if the id is not numeric")
    func ownNumber() {
        let identity = Identity(user: "bob", displayName: "Bob", tenant: "tenant")
        var probe = SessionProbe(ChatsDialect(), .chats(.bearer(identity)))
        #expect(
            probe.opened() == [
                "fetch numbers of bob in tenant",
                "enter tenant/@user:bob as bob Bob listed inbox from now",
            ])
        let tag = probe.tags[0]
        var other = probe
        let steps = other.perform { $0.receivedStoreAnswer(nil, for: tag, into: &$1) }
        #expect(
            steps == ["close 1013 the user's number cannot be looked up at the moment; try again"])
        _ = probe.perform {
            $0.receivedStoreAnswer(.numbers([Self.bobsNumber]), for: tag, into: &$1)
        }
        _ = probe.answer(.joined(.empty))
        _ = probe.perform {
            $0.authenticated(.success(.init(user: "bob", tenant: "tenant")), into: &$1)
        }
        #expect(
            probe.perform {
                $0.authenticated(.success(.init(user: "bob", tenant: "tenant")), into: &$1)
            } == [
                #"{"type":"authenticated","data":{"user":{"id":1099511627776,"username":"Bob"}}}"#
            ])
        #expect(
            probe.perform { $0.authenticated(.failure(CredentialError("it is forged")), into: &$1) }
                == [
                    #"""
                    {"type":"error","data":{"message":"token: it is forged",\#
                    "request":"authenticate"}}
                    """#
                ])
        #expect(
            probe.perform { $0.tokenExpired(into: &$1) } == [
                #"{"type":"error","data":{"message":"token expired"}}"#, "close 4401 token expired",
            ])
    }

    @Test("give each anonymous user a name, where anonymous users are allowed")
    func anonymousUsers() {
        var named = SessionProbe(
            ChatsDialect(), .chats(.none, query: [("username", "bob")], allowsAnonymous: true))
        #expect(named.opened().first?.hasPrefix("enter default/@user:") == true)
        let bob = named.session.principal?.person.id
        #expect(bob?.name == "bob" && bob?.isConnectionGuest == true)
        // Another connection with this name is another guest, and so has no chats of the first.
        let other = SessionProbe(
            ChatsDialect(), .chats(.none, query: [("username", "bob")], allowsAnonymous: true))
        #expect(other.session.principal?.person.id != bob)
        let guests = (0..<2).map { _ in
            SessionProbe(ChatsDialect(), .chats(.none, allowsAnonymous: true)).session.principal?
                .person.name
        }
        #expect(guests[0] != guests[1] && guests[0]?.string.hasPrefix("guest-") == true)
        for (credentials, query, isAllowed, errorText) in [
            (Credentials.none, nil, false, "a token is required"),
            (.invalid("The token has expired."), "bob", true, "The token has expired."),
            (.none, "a\nb", true, "username: must be \(IdentityRule.name.text)"),
            (.none, " ", true, "username: must be \(IdentityRule.name.text)"),
            (.none, "\u{202E}", true, "username: must be \(IdentityRule.name.text)"),
        ] {
            var probe = SessionProbe(
                ChatsDialect(),
                .chats(
                    credentials, query: query.map { [("username", $0)] } ?? [],
                    allowsAnonymous: isAllowed))
            #expect(
                probe.opened() == [
                    #"{"type":"error","data":{"message":"\#(errorText)"}}"#,
                    "close 4401 authentication required",
                ])
        }
    }

    @Test(
        "belong to only one path", arguments: [[], ["ws"], ["ws", "Chats"], ["ws", "chats", "5"]])
    func paths(_ path: [String]) {
        #expect(
            ChatsDialect().open(
                DialectRequest(
                    path: path, query: [], credentials: .none, now: Timestamp(milliseconds: 0)))
                == nil)
    }
}
