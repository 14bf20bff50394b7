import Testing

@testable import ChatClient

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
        #"{"id":\#(id),"chat":\#(chat),"sender":{"id":\#(user),"username":"\#(name)"},"text":"\#(text)","timestamp":"2026-01-31T12:00:00.123Z","is_read":false}"#
    }

    private func created(
        _ id: Int, _ user: Int, _ name: String, _ text: String, in chat: Int = 5,
        as localID: String? = nil
    ) -> String {
        let end = localID.map { #","local_id":"\#($0)""# } ?? ""
        return
            #"{"type":"messageCreated","data":\#(self.message(id, user, name, text, in: chat).dropLast())\#(end)}}"#
    }

    private func post(_ text: String, as localID: String) -> String {
        #"{"type":"newMessage","data":{"chat":5,"text":"\#(text)","local_id":"\#(localID)"}}"#
    }

    private func messages(_ list: [(Int, Int, String, String)]) -> String {
        #"{"type":"chatMessages","data":[\#(list.map { self.message($0.0, $0.1, $0.2, $0.3) }.joined(separator: ","))]}"#
    }

    private static let join = #"{"type":"joinChat","data":{"chat":5,"last_read_message":0}}"#
    private static let joined =
        #"{"type":"chatJoined","data":{"chat":5,"user":{"id":7,"username":"Ann"},"last_read_message":0}}"#

    private func joinConversation(
        _ stage: inout ChatSessionFixture, _ list: [(Int, Int, String, String)] = []
    ) -> [ChatStep] {
        _ = stage.start()
        return stage.open() + stage.receive(Self.joined) + stage.receive(self.messages(list))
    }

    @Test("joins, asks for the messages, and marks as read what a person has seen")
    func joining() {
        var stage = self.fixture()
        _ = stage.start()
        #expect(stage.open().sent == [Self.join])
        // Somebody else, whom members hear of.
        let bob = #"{"type":"chatJoined","data":{"chat":5,"user":{"id":8,"username":"Bob"}}}"#
        #expect(stage.receive(bob).shown == ["notice Bob has joined."])
        #expect(
            stage.receive(Self.joined).sent == [
                #"{"type":"getChatMessages","data":{"chatId":5,"last":20}}"#
            ])
        let steps = stage.receive(self.messages([(1, 7, "Ann", "one"), (2, 8, "Bob", "two")]))
        #expect(steps.shown == ["#1 me: one", "#2 Bob: two"])
        #expect(steps.sent == [#"{"type":"markRead","data":{"chat":5,"last_read_message":2}}"#])
    }

    @Test(
        "an id that is no number goes by a string",
        arguments: ["room-1", "007", "9007199254740992", "-1"])
    func stringID(chat: String) {
        var stage = self.fixture(chat: chat)
        _ = stage.start()
        #expect(
            stage.open().sent == [
                #"{"type":"joinChat","data":{"chat":"\#(chat)","last_read_message":0}}"#
            ])
        let joined =
            #"{"type":"chatJoined","data":{"chat":"\#(chat)","user":{"id":7,"username":"Ann"},"last_read_message":0}}"#
        #expect(
            stage.receive(joined).sent == [
                #"{"type":"getChatMessages","data":{"chatId":"\#(chat)","last":20}}"#
            ])
    }

    @Test("makes a chat where none is named, once")
    func creating() {
        var stage = self.fixture(chat: nil)
        _ = stage.start()
        #expect(stage.open().sent == [#"{"type":"createEmptyChat","data":{}}"#])
        let steps = stage.receive(
            #"{"type":"emptyChatCreated","data":{"id":5,"participants":[],"created_at":"x","updated_at":"x"}}"#
        )
        #expect(steps.shown == ["notice Chat 5 is made; others come in with --conversation 5."])
        #expect(steps.sent == [Self.join])
        _ = stage.receive(Self.joined)
        _ = stage.receive(self.messages([]))
        _ = stage.disconnect()
        _ = stage.advanceTime(.seconds(1))
        #expect(stage.open().sent == [Self.join])
    }

    @Test("its line is stored when it comes back under its id")
    func sending() {
        var stage = self.fixture()
        _ = self.joinConversation(&stage)
        #expect(stage.type("one").sent == [self.post("one", as: "id-1")])
        _ = stage.type("two")
        #expect(stage.receive(self.created(1, 8, "Bob", "one")).shown == ["#1 Bob: one"])
        // Another terminal of the same user's says the same.
        #expect(stage.receive(self.created(2, 7, "Ann", "one", as: "other-1")).sent == [])
        let steps = stage.receive(self.created(3, 7, "Ann", "one", as: "id-1"))
        #expect(steps.shown == ["#3 me: one"])
        #expect(steps.sent == [self.post("two", as: "id-2")])
        let read =
            #"{"type":"messagesRead","data":{"chat":5,"user":{"id":8,"username":"Bob"},"last_read_message":9}}"#
        _ = stage.receive(self.created(4, 7, "Ann", "two", as: "id-2"))
        #expect(stage.receive(read).shown == ["#4 read"])
    }

    @Test(
        "a line that was not answered is sent again under its id, and shown once",
        arguments: [true, false])
    func resending(wasStored: Bool) {
        var stage = self.fixture()
        _ = self.joinConversation(&stage, [(1, 7, "Ann", "one")])
        _ = stage.type("one")
        _ = stage.disconnect()
        _ = stage.advanceTime(.seconds(1))
        #expect(stage.open().sent == [Self.join])
        #expect(
            stage.receive(Self.joined).sent == [
                #"{"type":"getChatMessages","data":{"chatId":5,"last":100}}"#
            ])
        let mine = wasStored ? [(3, 7, "Ann", "one")] : []
        let steps = stage.receive(
            self.messages([(1, 7, "Ann", "one"), (2, 8, "Bob", "one")] + mine))
        #expect(
            steps.shown == ["#2 Bob: one"] + (wasStored ? ["#3 me: one"] : []) + [
                "notice Connected again."
            ])
        #expect(steps.sent.contains(self.post("one", as: "id-1")))
        #expect(
            stage.receive(self.created(3, 7, "Ann", "one", as: "id-1")).shown
                == (wasStored ? [] : ["#3 me: one"]))
        #expect(stage.session.outbox.isEmpty)
    }

    @Test(
        "a stranger's line that was not answered is looked for among what was missed: its id was another stranger's"
    )
    func anonymousLine() {
        var stage = self.fixture()
        _ = self.joinConversation(&stage, [(1, 7, "Ann", "one")])
        _ = stage.type("one")
        _ = stage.disconnect()
        _ = stage.advanceTime(.seconds(1))
        _ = stage.open()
        _ = stage.receive(
            #"{"type":"chatJoined","data":{"chat":5,"user":{"id":9,"username":"guest:b"},"last_read_message":0}}"#
        )
        let steps = stage.receive(
            self.messages([(1, 7, "Ann", "one"), (2, 8, "Bob", "one"), (3, 7, "Ann", "one")]))
        #expect(!steps.sent.contains(self.post("one", as: "id-1")))
        #expect(stage.session.outbox.isEmpty)
    }

    @Test("a line that the server could not store for the moment is sent again under its id")
    func unknownOutcome() {
        var stage = self.fixture()
        _ = self.joinConversation(&stage, [(1, 7, "Ann", "one")])
        _ = stage.type("one")
        let error =
            #"{"type":"error","data":{"message":"the message could not be stored; try again","request":"newMessage","local_id":"id-1"}}"#
        #expect(stage.receive(error) == [])
        #expect(stage.advanceTime(.seconds(1)).sent == [self.post("one", as: "id-1")])
        #expect(stage.receive(self.created(2, 7, "Ann", "one", as: "id-1")).shown == ["#2 me: one"])
        #expect(stage.session.outbox.isEmpty)
    }

    @Test("asks for everything when a hundred messages do not reach back far enough")
    func longAbsence() {
        var stage = self.fixture()
        _ = self.joinConversation(&stage, [(1, 8, "Bob", "one")])
        _ = stage.disconnect()
        _ = stage.advanceTime(.seconds(1))
        _ = stage.open()
        _ = stage.receive(Self.joined)
        let newest = stage.receive(self.messages((151...250).map { ($0, 8, "Bob", "x") }))
        #expect(newest.sent == [#"{"type":"getChatMessages","data":{"chatId":5,"last":10000}}"#])
        #expect(newest.shown == [])
        #expect(
            stage.receive(self.messages((1...250).map { ($0, 8, "Bob", "x") })).shown.count == 250)
    }

    @Test("reads ten thousand messages at once")
    func everything() {
        var stage = self.fixture()
        _ = self.joinConversation(&stage, [(1, 8, "Bob", "one")])
        _ = stage.disconnect()
        _ = stage.advanceTime(.seconds(1))
        _ = stage.open()
        _ = stage.receive(Self.joined)
        #expect(
            stage.receive(self.messages((1...10_000).map { ($0, 8, "Bob", "x") })).shown.count
                == 10_000)
    }

    @Test("errors belong to what was asked")
    func errors() {
        var stage = self.fixture()
        _ = self.joinConversation(&stage)
        _ = stage.type("one")
        let error = { (sentence: String, request: String) in
            #"{"type":"error","data":{"message":"\#(sentence)","request":"\#(request)"}}"#
        }
        #expect(
            stage.receive(error("conversation ended", "newMessage")).shown == [
                "trouble Not sent: one (conversation ended)"
            ])
        #expect(stage.type("/who").sent == [#"{"type":"getChatDetails","data":{"chatId":5}}"#])
        #expect(
            stage.receive(error("no such conversation", "getChatDetails")).shown == [
                "trouble The server says: no such conversation"
            ])
        #expect(stage.session.pendingCommands.isEmpty)
        #expect(
            stage.receive(
                #"{"type":"error","data":{"message":"rate limited","request":"markRead","retry_after":1.00}}"#
            ).shown == [])
        _ = stage.type("/history 3")
        _ = stage.receive(
            error("the messages cannot be read at the moment; try again", "getChatMessages"))
        #expect(stage.session.pendingCommands.isEmpty)

        stage = self.fixture()
        _ = stage.start()
        _ = stage.open()
        #expect(stage.receive(error("chat: no such chat", "joinChat")).exitStatus == 1)
    }

    @Test("tells who belongs to the chat")
    func members() {
        var stage = self.fixture()
        _ = self.joinConversation(&stage)
        _ = stage.type("/who")
        let details =
            #"{"type":"chatDetails","data":{"id":5,"participants":[{"id":7,"username":"Ann"},{"id":8,"username":"B\u001bob"}]}}"#
        #expect(stage.receive(details).shown == [#"notice Members: Ann, B\u{1b}ob."#])
    }

    @Test("is not bothered by other chats, and says so of what is no frame at all")
    func others() {
        var stage = self.fixture()
        _ = self.joinConversation(&stage)
        #expect(stage.receive(self.created(1, 8, "Bob", "elsewhere", in: 6)) == [])
        #expect(stage.receive(#"{"type":"messageCreated","data":{"chat":5,"text":"x"}}"#) == [])
        #expect(stage.receive(#"{"type":"chatMessages","data":7}"#) == [])
        #expect(stage.receive(#"{"type":"from.the.future","data":{}}"#) == [])
        for text in ["nonsense", "{}", #"{"type":7,"data":{}}"#, #"{"type":"messageCreated"}"#] {
            #expect(
                stage.receive(text).shown == [
                    "trouble The server said something that is not of the Chats protocol."
                ])
        }
    }
}
