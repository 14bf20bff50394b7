import Bytes
import ChatModel
import DialectKit
import Identity
import Testing

@Suite("Every dialect")
struct EveryDialectTests {
    private let fixture = ChatLoopFixture()

    private static func token(_ user: String, _ grants: Grants = .all) -> Credentials {
        .bearer(Identity(user: .init(user), grants: grants))
    }

    private func enter(_ dialect: DialectUnderTest, _ user: String, after: Int? = nil) throws
        -> ChatLoopFixture.DialectClient
    {
        let client = try #require(
            self.fixture.connect(dialect, to: "room", after: after, as: Self.token(user)))
        try #require(client.closed == nil)
        return client
    }

    private static func messages(_ range: ClosedRange<Int>, by user: String) -> [DialectUnderTest
        .DeliveredMessage]
    {
        range.map {
            DialectUnderTest.DeliveredMessage(id: $0, author: user, content: "message \($0)")
        }
    }

    @Test(
        "delivers each message once and in order to all subscribers, including its sender",
        arguments: DialectUnderTest.all, DialectUnderTest.all)
    func delivery(_ left: DialectUnderTest, _ right: DialectUnderTest) throws {
        let ann = try self.enter(left, "ann")
        let bob = try self.enter(right, "bob")
        let elsewhere = try #require(self.fixture.connect(left, to: "other", as: Self.token("ann")))
        var expected: [DialectUnderTest.DeliveredMessage] = []
        for number in 1...10 {
            let (client, user) = number % 3 == 0 ? (bob, "bob") : (ann, "ann")
            self.fixture.post("message \(number)", in: "room", from: client)
            expected += Self.messages(number...number, by: user)
        }
        #expect(ann.received == expected)
        #expect(bob.received == expected)
        // A connection for one conversation is subscribed to no other; the other dialects subscribe
        // to all conversations of the user.
        #expect(elsewhere.received == (left.receivesAllConversations ? expected : []))
        #expect(ann.errors.isEmpty && bob.errors.isEmpty)
    }

    @Test(
        "stores one message per id, no matter how often and over which connection it is sent",
        arguments: DialectUnderTest.all, DialectUnderTest.all)
    func repeatedSends(_ left: DialectUnderTest, _ right: DialectUnderTest) throws {
        let ann = try self.enter(left, "ann")
        let bob = try self.enter(right, "bob")
        self.fixture.post("message 1", in: "room", as: "id-1", from: ann)
        let again = try self.enter(right, "ann")
        for client in [ann, again] {
            self.fixture.post("message 1", in: "room", as: "id-1", from: client)
        }
        #expect(bob.received == Self.messages(1...1, by: "ann"))
        #expect(
            ann.received == Self.messages(1...1, by: "ann") + Self.messages(1...1, by: "ann"),
            "a repeat returns the first message")
        #expect(again.received == Self.messages(1...1, by: "ann"))
        // The same id of another user is a different message.
        self.fixture.post("message 2", in: "room", as: "id-1", from: bob)
        #expect(bob.received == Self.messages(1...1, by: "ann") + Self.messages(2...2, by: "bob"))
    }

    @Test(
        "resumes where a client was, including its own messages",
        arguments: DialectUnderTest.all.filter(\.canResume))
    func resuming(_ dialect: DialectUnderTest) throws {
        let ann = try self.enter(dialect, "ann")
        for number in 1...4 { self.fixture.post("message \(number)", in: "room", from: ann) }
        self.fixture.disconnect(ann)
        let bob = try self.enter(dialect, "bob")
        for number in 5...6 { self.fixture.post("message \(number)", in: "room", from: bob) }
        for (after, first) in [(0, 1), (3, 4), (5, 6), (6, 7), (100, 7)] {
            let again = try self.enter(dialect, "ann", after: after)
            let missed = (Self.messages(1...4, by: "ann") + Self.messages(5...6, by: "bob")).filter
            { $0.id >= first }
            #expect(again.received == missed, "after \(after)")
            self.fixture.disconnect(again)
        }
        let live = try self.enter(dialect, "ann", after: 5)
        self.fixture.post("message 7", in: "room", from: bob)
        #expect(live.received == Self.messages(6...7, by: "bob"))
    }

    /// A session that does not handle an event that it causes itself stops the process.
    @Test(
        "handles exactly the optional events that it declares", arguments: DialectUnderTest.all,
        DialectUnderTest.OptionalEvent.allCases)
    func events(_ dialect: DialectUnderTest, _ event: DialectUnderTest.OptionalEvent) throws {
        var session = self.fixture.session(of: try self.enter(dialect, "ann"))
        var steps = SessionSteps(limits: Limits())
        let room = ConversationKey(tenant: Identity.defaultTenant, id: "room")
        let (bob, tag) = (Person(id: UserID(tokenSubject: "bob"), name: "bob"), RequestTag(kind: 0))
        let isDeclared = dialect.events.contains(event)
        switch event {
        case .page: if isDeclared { session.receivedPage(nil, for: tag, into: &steps) }
        case .storeAnswer:
            if isDeclared { session.receivedStoreAnswer(nil, for: tag, into: &steps) }
        case .wake: if isDeclared { session.wake(into: &steps) }
        case .delivery:
            guard isDeclared else { return }
            session.startedTrackingDeliveries(at: [(room, 0)], into: &steps)
            let body = MessageBody(author: bob, clientMessageID: nil, content: "hello")
            session.delivered(Self.message(body), in: room, into: &steps)
        case .inboxMessage:
            let body = InboxNotice("elsewhere", from: .start).body(by: bob)
            session.receivedInboxMessage(
                Self.message(body), in: .inbox(of: bob.id, in: room.tenant), into: &steps)
            #expect(steps.list.isEmpty != isDeclared)
        case .historyTruncated:
            session.historyTruncated(in: room, oldest: 7, into: &steps)
            #expect(steps.list.isEmpty != isDeclared)
        case .historyReset:
            session.historyReset(in: room, head: 7, into: &steps)
            #expect(steps.list.isEmpty != isDeclared)
        case .move:
            let snapshot = session.snapshot(at: [], now: 0)
            #expect((snapshot != nil) == isDeclared)
            let moved = dialect.dialect.resume(snapshot ?? "{}", allowsAnonymous: false, at: 0)
            #expect((moved != nil) == isDeclared)
        }
    }

    private static func message(_ body: MessageBody) -> Message {
        Message(sequence: 1, revision: 1, sentAt: Timestamp(milliseconds: 0), body: body)
    }

    @Test(
        "refuses clients without a valid token, and clients without access",
        arguments: DialectUnderTest.all)
    func refusals(_ dialect: DialectUnderTest) throws {
        _ = try self.enter(dialect, "ann")
        let unauthorized: [Credentials] = [
            .none, .invalid("it is forged"), Self.token("eve", .listed(["another room"])),
        ]
        for credentials in unauthorized {
            let client = self.fixture.connect(dialect, to: "room", as: credentials)
            if let client { self.fixture.post("I am in", in: "room", from: client) }
            #expect(
                client == nil || client?.closed.map { $0 >= 4000 } == true
                    || client?.errors.isEmpty == false, "\(credentials)")
            #expect(client?.received.isEmpty != false)
        }
        let bob = try self.enter(dialect, "bob")
        self.fixture.post("message 1", in: "room", from: bob)
        #expect(bob.received == Self.messages(1...1, by: "bob"))
        // A user who has entered once is a member, and needs no listing in the token.
        let carol = try #require(
            self.fixture.connect(dialect, to: "room", as: Self.token("carol", .listed(["room"]))))
        #expect(carol.closed == nil && carol.errors.isEmpty)
        self.fixture.disconnect(carol)
        let again = try #require(
            self.fixture.connect(dialect, to: "room", as: Self.token("carol", .none)))
        #expect(again.closed == nil && again.errors.isEmpty)
    }

    @Test(
        "creates a closed conversation without a creator if a token lists it, whoever is first",
        arguments: DialectUnderTest.all, [Grants.all, .listed(["room"])])
    func byToken(_ dialect: DialectUnderTest, _ grants: Grants) throws {
        _ = try #require(
            self.fixture.connect(dialect, to: "room", as: Self.token("ann", grants)))
        let record = try #require(self.fixture.record(of: "room"))
        #expect(record.joinPolicy == .closed)
        #expect(!record.isListed)
        #expect(record.creator == nil)
    }

    @Test(
        "answers a stranger as if a closed conversation did not exist",
        arguments: DialectUnderTest.all, DialectUnderTest.all)
    func hidden(_ first: DialectUnderTest, _ dialect: DialectUnderTest) throws {
        let ann = try self.enter(first, "ann")
        self.fixture.post("secret", in: "room", from: ann)
        var frames: [[String]] = []
        for conversation in ["room", "none"] {
            let eve = self.fixture.connect(dialect, to: conversation, as: Self.token("eve", .none))
            if let eve {
                self.fixture.post("let me in", in: conversation, from: eve)
                #expect(eve.received.isEmpty)
                frames.append(
                    // Ids of sessions are random.
                    eve.frames.filter { !$0.contains(#""sid""#) }
                        .map { $0.replacing("\"\(conversation)\"", with: "ID") }
                        + ["closed \(String(describing: eve.closed))"])
                self.fixture.disconnect(eve)
            } else {
                frames.append(["refused"])
            }
        }
        #expect(frames[0] == frames[1])
    }

    @Test(
        "answers an invalid frame with an error, and continues", arguments: DialectUnderTest.all,
        ["", "no JSON", "[]", "5", #"{"a":}"#, "nonsense", "blank", "too long"])
    func badInput(_ dialect: DialectUnderTest, _ kind: String) throws {
        let ann = try self.enter(dialect, "ann")
        let bob = try self.enter(dialect, "bob")
        let bytes = String(repeating: "é", count: 8193)
        switch kind {
        case "nonsense": self.fixture.send(dialect.wrongTypeFrame, from: ann)
        case "blank": self.fixture.post(" \u{3000}\n", in: "room", from: ann)
        case "too long": self.fixture.post(bytes, in: "room", from: ann)
        default: self.fixture.send(dialect.frameWithText(kind), from: ann)
        }
        #expect(ann.errors.count == 1, "\(ann.frames)")
        #expect(bob.received.isEmpty && bob.errors.isEmpty)
        self.fixture.post("message 1", in: "room", from: ann)
        #expect(ann.received == Self.messages(1...1, by: "ann"))
        #expect(ann.errors.count == 1)
        #expect(bob.received == ann.received)
    }

    @Test(
        "transmits every text unchanged", arguments: DialectUnderTest.all,
        ["é", "e\u{301}", "\u{0}", "\"\\/", "😀\u{200D}👩", "\u{2028}x", "\u{7F}"])
    func texts(_ dialect: DialectUnderTest, _ content: String) throws {
        let ann = try self.enter(dialect, "ann")
        let bob = try self.enter(dialect, "bob")
        self.fixture.post(content, in: "room", from: ann)
        #expect(
            bob.received.map { Array(($0.content ?? "").unicodeScalars) } == [
                Array(content.unicodeScalars)
            ])
        #expect(ann.received == bob.received)
    }
}
