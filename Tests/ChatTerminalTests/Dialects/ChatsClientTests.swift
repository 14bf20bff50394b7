import Testing

@testable import ChatTerminal
@testable import ConfabClient

@Suite("A chat in the Chats protocol")
struct ChatsClientTests {
    private func fixture(isInteractive: Bool = true, chat: String? = "5") -> ChatSessionFixture {
        ChatSessionFixture(
            isInteractive: isInteractive, user: nil,
            speaking: ChatsClient(ChatSessionFixture.url, in: chat))
    }

    private func message(_ id: Int, _ user: Int, _ name: String, _ text: String, in chat: Int = 5)
        -> String
    {
        #"""
        {"id":\#(id),"chat":\#(chat),"sender":{"id":\#(user),"username":"\#(name)"},\#
        "text":"\#(text)","timestamp":"2026-01-31T12:00:00.123Z","is_read":false}
        """#
    }

    private func created(
        _ id: Int, _ user: Int, _ name: String, _ text: String, in chat: Int = 5,
        as localID: String? = nil
    ) -> String {
        let end = localID.map { #","local_id":"\#($0)""# } ?? ""
        return
            #"""
            {"type":"messageCreated",\#
            "data":\#(self.message(id, user, name, text, in: chat).dropLast())\#(end)}}
            """#
    }

    private func post(_ text: String, as localID: String) -> String {
        #"{"type":"newMessage","data":{"chat":5,"text":"\#(text)","local_id":"\#(localID)"}}"#
    }

    private func messages(_ list: [(Int, Int, String, String)]) -> String {
        #"""
        {"type":"chatMessages",\#
        "data":[\#(list.map { self.message($0.0, $0.1, $0.2, $0.3) }.joined(separator: ","))]}
        """#
    }

    private static let join = #"{"type":"joinChat","data":{"chat":5,"last_read_message":0}}"#
    private static let joined =
        #"""
        {"type":"chatJoined","data":{"chat":5,"user":{"id":7,"username":"Ann"},\#
        "last_read_message":0}}
        """#

    private func joinConversation(
        _ fixture: inout ChatSessionFixture, _ list: [(Int, Int, String, String)] = []
    ) -> [FixtureStep] {
        _ = fixture.start()
        return fixture.open() + fixture.receive(Self.joined) + fixture.receive(self.messages(list))
    }

    @Test("joins, requests the messages, and reports displayed ones as read")
    func joining() {
        var fixture = self.fixture()
        _ = fixture.start()
        #expect(fixture.open().sent == [Self.join])
        // Another user joins, which is displayed.
        let bob = #"{"type":"chatJoined","data":{"chat":5,"user":{"id":8,"username":"Bob"}}}"#
        #expect(fixture.receive(bob).shown == ["notice Bob has joined."])
        #expect(
            fixture.receive(Self.joined).sent == [
                #"{"type":"getChatMessages","data":{"chatId":5,"last":20}}"#
            ])
        let steps = fixture.receive(self.messages([(1, 7, "Ann", "one"), (2, 8, "Bob", "two")]))
        #expect(steps.shown == ["#1 me: one", "#2 Bob: two"])
        #expect(steps.sent == [#"{"type":"markRead","data":{"chat":5,"last_read_message":2}}"#])
    }

    @Test(
        "sends an id that is not a number as a string",
        arguments: ["room-1", "007", "9007199254740992", "-1"])
    func stringID(chat: String) {
        var fixture = self.fixture(chat: chat)
        _ = fixture.start()
        #expect(
            fixture.open().sent == [
                #"{"type":"joinChat","data":{"chat":"\#(chat)","last_read_message":0}}"#
            ])
        let joined =
            #"""
            {"type":"chatJoined","data":{"chat":"\#(chat)","user":{"id":7,"username":"Ann"},\#
            "last_read_message":0}}
            """#
        #expect(
            fixture.receive(joined).sent == [
                #"{"type":"getChatMessages","data":{"chatId":"\#(chat)","last":20}}"#
            ])
    }

    @Test("creates a chat if none is named, once")
    func creating() {
        var fixture = self.fixture(chat: nil)
        _ = fixture.start()
        #expect(fixture.open().sent == [#"{"type":"createEmptyChat","data":{}}"#])
        let steps = fixture.receive(
            #"""
            {"type":"emptyChatCreated","data":{"id":5,"participants":[],"created_at":"x",\#
            "updated_at":"x"}}
            """#
        )
        #expect(steps.shown == ["notice Chat 5 was created; others join with --conversation 5."])
        #expect(steps.sent == [Self.join])
        _ = fixture.receive(Self.joined)
        _ = fixture.receive(self.messages([]))
        _ = fixture.disconnect()
        _ = fixture.advanceTime(.seconds(1))
        #expect(fixture.open().sent == [Self.join])
    }

    @Test("stores a line when it comes back under its id")
    func sending() {
        var fixture = self.fixture()
        _ = self.joinConversation(&fixture)
        #expect(fixture.type("one").sent == [self.post("one", as: "id-1")])
        _ = fixture.type("two")
        #expect(fixture.receive(self.created(1, 8, "Bob", "one")).shown == ["#1 Bob: one"])
        // Another terminal of the same user sends the same text.
        #expect(fixture.receive(self.created(2, 7, "Ann", "one", as: "other-1")).sent == [])
        let steps = fixture.receive(self.created(3, 7, "Ann", "one", as: "id-1"))
        #expect(steps.shown == ["#3 me: one"])
        #expect(steps.sent == [self.post("two", as: "id-2")])
        let read =
            #"""
            {"type":"messagesRead","data":{"chat":5,"user":{"id":8,"username":"Bob"},\#
            "last_read_message":9}}
            """#
        _ = fixture.receive(self.created(4, 7, "Ann", "two", as: "id-2"))
        #expect(fixture.receive(read).shown == ["#4 read"])
    }

    @Test(
        "sends an unanswered line again under its id, and displays it once",
        arguments: [true, false])
    func resending(wasStored: Bool) {
        var fixture = self.fixture()
        _ = self.joinConversation(&fixture, [(1, 7, "Ann", "one")])
        _ = fixture.type("one")
        _ = fixture.disconnect()
        _ = fixture.advanceTime(.seconds(1))
        #expect(fixture.open().sent == [Self.join])
        #expect(
            fixture.receive(Self.joined).sent == [
                #"{"type":"getChatMessages","data":{"chatId":5,"last":100}}"#
            ])
        let mine = wasStored ? [(3, 7, "Ann", "one")] : []
        let steps = fixture.receive(
            self.messages([(1, 7, "Ann", "one"), (2, 8, "Bob", "one")] + mine))
        #expect(
            steps.shown == ["#2 Bob: one"] + (wasStored ? ["#3 me: one"] : []) + [
                "notice Reconnected."
            ])
        #expect(steps.sent.contains(self.post("one", as: "id-1")))
        #expect(
            fixture.receive(self.created(3, 7, "Ann", "one", as: "id-1")).shown
                == (wasStored ? [] : ["#3 me: one"]))
        #expect(fixture.session.outbox.items.isEmpty)
    }

    @Test(
        "looks for an anonymous user's unanswered line among the missed messages"
    )
    func anonymousLine() {
        var fixture = self.fixture()
        _ = self.joinConversation(&fixture, [(1, 7, "Ann", "one")])
        _ = fixture.type("one")
        _ = fixture.disconnect()
        _ = fixture.advanceTime(.seconds(1))
        _ = fixture.open()
        _ = fixture.receive(
            #"""
            {"type":"chatJoined","data":{"chat":5,"user":{"id":9,"username":"guest:b"},\#
            "last_read_message":0}}
            """#
        )
        let steps = fixture.receive(
            self.messages([(1, 7, "Ann", "one"), (2, 8, "Bob", "one"), (3, 7, "Ann", "one")]))
        #expect(!steps.sent.contains(self.post("one", as: "id-1")))
        #expect(fixture.session.outbox.items.isEmpty)
    }

    @Test("sends a line again under its id after a temporary store error")
    func unknownOutcome() {
        var fixture = self.fixture()
        _ = self.joinConversation(&fixture, [(1, 7, "Ann", "one")])
        _ = fixture.type("one")
        let error =
            #"""
            {"type":"error","data":{"message":"this could not be stored; try again",\#
            "request":"newMessage","local_id":"id-1"}}
            """#
        #expect(fixture.receive(error) == [])
        #expect(fixture.advanceTime(.seconds(1)).sent == [self.post("one", as: "id-1")])
        #expect(
            fixture.receive(self.created(2, 7, "Ann", "one", as: "id-1")).shown == ["#2 me: one"])
        #expect(fixture.session.outbox.items.isEmpty)
    }

    @Test("requests all messages if the newest hundred do not reach back far enough")
    func longAbsence() {
        var fixture = self.fixture()
        _ = self.joinConversation(&fixture, [(1, 8, "Bob", "one")])
        _ = fixture.disconnect()
        _ = fixture.advanceTime(.seconds(1))
        _ = fixture.open()
        _ = fixture.receive(Self.joined)
        let newest = fixture.receive(self.messages((151...250).map { ($0, 8, "Bob", "x") }))
        #expect(newest.sent == [#"{"type":"getChatMessages","data":{"chatId":5,"last":10000}}"#])
        #expect(newest.shown == [])
        #expect(
            fixture.receive(self.messages((1...250).map { ($0, 8, "Bob", "x") })).shown.count == 250
        )
    }

    @Test("decodes ten thousand messages in one frame")
    func everything() {
        var fixture = self.fixture()
        _ = self.joinConversation(&fixture, [(1, 8, "Bob", "one")])
        _ = fixture.disconnect()
        _ = fixture.advanceTime(.seconds(1))
        _ = fixture.open()
        _ = fixture.receive(Self.joined)
        #expect(
            fixture.receive(self.messages((1...10_000).map { ($0, 8, "Bob", "x") })).shown.count
                == 10_000)
    }

    @Test("attributes errors to requests")
    func errors() {
        var fixture = self.fixture()
        _ = self.joinConversation(&fixture)
        _ = fixture.type("one")
        let error = { (sentence: String, request: String) in
            #"{"type":"error","data":{"message":"\#(sentence)","request":"\#(request)"}}"#
        }
        #expect(
            fixture.receive(error("conversation ended", "newMessage")).shown == [
                "error Not sent: one (conversation ended)", "notice The conversation was ended.",
            ])
        #expect(
            fixture.type("/members").sent == [#"{"type":"getChatDetails","data":{"chatId":5}}"#])
        #expect(
            fixture.receive(error("no such conversation", "getChatDetails")).shown == [
                "error The server says: no such conversation"
            ])
        #expect(fixture.session.requests.isEmpty)
        #expect(
            fixture.receive(
                #"""
                {"type":"error","data":{"message":"rate limited","request":"markRead",\#
                "retry_after":1.00}}
                """#
            ).shown == [])
        _ = fixture.type("/history 3")
        _ = fixture.receive(
            error("the messages cannot be read at the moment; try again", "getChatMessages"))
        #expect(fixture.advanceTime(.seconds(1)).sent.count == 1)
        _ = fixture.receive(#"{"type":"chatMessages","data":[]}"#)
        #expect(fixture.session.requests.isEmpty)

        fixture = self.fixture()
        _ = fixture.start()
        _ = fixture.open()
        #expect(fixture.receive(error("chat: no such chat", "joinChat")).exitStatus == 1)
    }

    @Test("lists the members of the chat")
    func members() {
        var fixture = self.fixture()
        _ = self.joinConversation(&fixture)
        _ = fixture.type("/members")
        let details =
            #"""
            {"type":"chatDetails","data":{"id":5,"participants":[{"id":7,"username":"Ann"},\#
            {"id":8,"username":"B\u001bob"}]}}
            """#
        #expect(fixture.receive(details).shown == [#"notice Members: Ann, B\u{1b}ob."#])
    }

    @Test("ignores other chats, and reports malformed frames")
    func others() {
        var fixture = self.fixture()
        _ = self.joinConversation(&fixture)
        #expect(fixture.receive(self.created(1, 8, "Bob", "elsewhere", in: 6)) == [])
        #expect(fixture.receive(#"{"type":"messageCreated","data":{"chat":5,"text":"x"}}"#) == [])
        #expect(fixture.receive(#"{"type":"chatMessages","data":7}"#) == [])
        #expect(fixture.receive(#"{"type":"from.the.future","data":{}}"#) == [])
        for text in ["nonsense", "{}", #"{"type":7,"data":{}}"#, #"{"type":"messageCreated"}"#] {
            #expect(
                fixture.receive(text).shown == [
                    "error The server sent a frame that is not part of the Chats protocol."
                ])
        }
    }
}
