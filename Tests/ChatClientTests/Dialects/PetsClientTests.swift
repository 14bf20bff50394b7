import Testing

@testable import ChatClient

@Suite("A chat in the Pets protocol")
struct PetsClientTests {
    private static let time = #""timestamp":"2026-01-31T12:00:00.123Z""#

    private func fixture(isInteractive: Bool = true) -> ChatSessionFixture {
        ChatSessionFixture(
            isInteractive: isInteractive, user: nil,
            speaking: PetsClient(ChatSessionFixture.url, in: "123"))
    }

    private func message(
        _ id: Int, _ sender: String, _ content: String, in conversation: String = "123"
    ) -> String {
        #"{"conversation_id":"\#(conversation)","message_id":"\#(id)","sender_id":"\#(sender)","content":"\#(content)",\#(Self.time)}"#
    }

    private func live(
        _ id: Int, _ sender: String, _ content: String, in conversation: String = "123"
    ) -> String {
        #"{"event":"message","data":\#(self.message(id, sender, content, in: conversation))}"#
    }

    private func history(_ messages: [(Int, String, String)]) -> String {
        let list = messages.map { self.message($0.0, $0.1, $0.2) }.joined(separator: ",")
        return #"{"event":"history","data":{"conversation_id":"123","messages":[\#(list)]}}"#
    }

    private func sent(_ id: Int, _ content: String, _ localID: String) -> String {
        #"{"event":"message_sent","data":{"conversation_id":"123","message_id":"\#(id)","local_id":"\#(localID)","content":"\#(content)",\#(Self.time)}}"#
    }

    private func joinConversation(
        _ stage: inout ChatSessionFixture, as user: String = "alice",
        _ messages: [(Int, String, String)] = []
    ) -> [ChatStep] {
        _ = stage.start()
        _ = stage.open()
        return stage.receive(#"{"event":"connected","data":{"user_id":"\#(user)"}}"#)
            + stage.receive(self.history(messages))
    }

    @Test("enters by its history, and knows its own messages by what the server calls it")
    func joining() {
        var stage = self.fixture()
        #expect(stage.start() == [.connect(after: nil)])
        #expect(
            stage.open().sent == [
                #"{"event":"history","data":{"conversation_id":"123","limit":20}}"#
            ])
        #expect(stage.receive(#"{"event":"connected","data":{"user_id":"alice"}}"#) == [])
        #expect(stage.receive(self.live(3, "bob", "three")) == [])
        let steps = stage.receive(self.history([(1, "alice", "one"), (2, "bob", "two")]))
        #expect(steps.shown == ["#1 me: one", "#2 bob: two", "#3 bob: three"])
        // The protocol has no receipts.
        #expect(steps.sent == [])
    }

    @Test("says nothing before it is in, then one line after the other")
    func sending() {
        var stage = self.fixture(isInteractive: false)
        _ = stage.start()
        _ = stage.type(#"say "one""#)
        _ = stage.type("two")
        #expect(stage.open().sentLines == [])
        _ = stage.receive(#"{"event":"connected","data":{"user_id":"alice"}}"#)
        #expect(
            stage.receive(self.history([(9, "bob", "old")])).sent == [
                #"{"event":"message","data":{"conversation_id":"123","content":"say \"one\"","local_id":"id-1"}}"#
            ])
        let steps = stage.receive(self.sent(10, #"say \"one\""#, "id-1"))
        #expect(steps.shown == [#"#10 me: say "one""#])
        #expect(
            steps.sent == [
                #"{"event":"message","data":{"conversation_id":"123","content":"two","local_id":"id-2"}}"#
            ])
        _ = stage.endInput()
        #expect(stage.receive(self.sent(11, "two", "id-2")).exitStatus == 0)
    }

    @Test("reads what it missed page by page, and what is live meanwhile waits")
    func catchingUp() {
        var stage = self.fixture()
        _ = self.joinConversation(&stage, [(4, "bob", "four")])
        _ = stage.disconnect()
        #expect(stage.advanceTime(.seconds(1)).connects == [4])
        #expect(
            stage.open().sent == [
                #"{"event":"history","data":{"conversation_id":"123","after":"4","limit":100}}"#
            ])
        _ = stage.receive(#"{"event":"connected","data":{"user_id":"alice"}}"#)
        #expect(stage.receive(self.live(106, "bob", "live")) == [])
        let first = stage.receive(self.history((5...104).map { ($0, "bob", "x") }))
        #expect(
            first.sent == [
                #"{"event":"history","data":{"conversation_id":"123","after":"104","limit":100}}"#
            ])
        #expect(first.shown == [])
        let second = stage.receive(self.history([(105, "bob", "y"), (106, "bob", "live")]))
        #expect(second.shown.count == 103)
        #expect(
            Array(second.shown.suffix(3)) == [
                "#105 bob: y", "#106 bob: live", "notice Connected again.",
            ])
    }

    @Test("says which messages it can have no more")
    func unavailableHistory() {
        var stage = self.fixture()
        _ = self.joinConversation(&stage, [(4, "bob", "four")])
        _ = stage.disconnect()
        _ = stage.advanceTime(.seconds(1))
        _ = stage.open()
        let steps = stage.receive(self.history([(8, "bob", "eight")]))
        #expect(
            steps.shown.first
                == "trouble Some messages were missed: #5 to #7 are not among those that the server gives."
        )
        #expect(steps.shown.contains("#8 bob: eight"))
    }

    @Test("sends a line again under its id, and shows in its place what had been stored")
    func resending() {
        var stage = self.fixture()
        _ = self.joinConversation(&stage)
        _ = stage.type("one")
        _ = stage.disconnect()
        _ = stage.advanceTime(.seconds(1))
        _ = stage.open()
        _ = stage.receive(#"{"event":"connected","data":{"user_id":"alice"}}"#)
        let steps = stage.receive(self.history([(1, "bob", "zero"), (2, "alice", "one")]))
        #expect(steps.shown == ["#1 bob: zero", "#2 me: one", "notice Connected again."])
        #expect(
            steps.sent == [
                #"{"event":"message","data":{"conversation_id":"123","content":"one","local_id":"id-1"}}"#
            ])
        #expect(stage.receive(self.sent(2, "one", "id-1")).shown == [])
        #expect(stage.session.outbox.isEmpty)
    }

    @Test("does not say a stranger's line twice, who is another stranger on every connection")
    func anonymousUser() {
        var stage = self.fixture()
        _ = self.joinConversation(&stage, as: "stranger-1")
        _ = stage.type("one")
        _ = stage.disconnect()
        _ = stage.advanceTime(.seconds(1))
        _ = stage.open()
        _ = stage.receive(#"{"event":"connected","data":{"user_id":"stranger-2"}}"#)
        let steps = stage.receive(self.history([(1, "stranger-1", "one")]))
        #expect(steps.sent == [])
        #expect(stage.session.outbox.isEmpty)
    }

    @Test(
        "a history that cannot be read at the moment is asked for again; one that may not be read ends it"
    )
    func refused() {
        var stage = self.fixture()
        _ = stage.start()
        _ = stage.open()
        let later =
            #"{"event":"error","data":{"message":"the history cannot be read at the moment; try again","event":"history"}}"#
        #expect(stage.receive(later).exitStatus == nil)
        #expect(
            stage.advanceTime(.seconds(3)).sent == [
                #"{"event":"history","data":{"conversation_id":"123","limit":20}}"#
            ])
        let steps = stage.receive(
            #"{"event":"error","data":{"message":"access denied","event":"history"}}"#)
        #expect(steps.shown == ["trouble The server says: access denied"])
        #expect(steps.exitStatus == 1)
    }

    @Test("an error of a message is one of the line under way")
    func failed() {
        var stage = self.fixture()
        _ = self.joinConversation(&stage)
        _ = stage.type("one")
        let limited =
            #"{"event":"error","data":{"message":"rate limited","event":"message","retry_after":0.50}}"#
        #expect(stage.receive(limited) == [])
        #expect(stage.advanceTime(.seconds(1)).sent.count == 1)
        let ended = #"{"event":"error","data":{"message":"conversation ended","event":"message"}}"#
        #expect(stage.receive(ended).shown == ["trouble Not sent: one (conversation ended)"])
        #expect(
            stage.receive(#"{"event":"error","data":{"message":"token expired"}}"#).shown == [
                "trouble The server says: token expired"
            ])
    }

    @Test("has no commands that the protocol has no words for")
    func commands() {
        var stage = self.fixture()
        _ = self.joinConversation(&stage)
        #expect(
            stage.type("/history 2").sent == [
                #"{"event":"history","data":{"conversation_id":"123","limit":2}}"#
            ])
        #expect(stage.receive(self.history([(1, "bob", "one")])).shown == ["#1 bob: one"])
        for command in ["/who", "/edit 1 x", "/delete 1", "/to bob hello"] {
            #expect(
                stage.type(command).shown.first?.hasPrefix(
                    "trouble The Pets protocol has nothing for /") == true)
        }
        #expect(stage.type("/help").shown.first?.contains("/edit") == false)
        #expect(stage.apply { $0.editing("h", at: $1, into: &$2) } == [])
    }

    @Test("is not bothered by other conversations, and says so of what is no frame at all")
    func others() {
        var stage = self.fixture()
        _ = self.joinConversation(&stage)
        #expect(stage.receive(self.live(1, "bob", "elsewhere", in: "124")) == [])
        #expect(
            stage.receive(#"{"event":"history","data":{"conversation_id":"124","messages":[]}}"#)
                == [])
        #expect(
            stage.receive(#"{"event":"conversation_created","data":{"conversation_id":"124"}}"#)
                == [])
        #expect(
            stage.receive(
                #"{"event":"message","data":{"conversation_id":"123","message_id":"x","sender_id":"bob"}}"#
            ) == [])
        #expect(stage.receive(#"{"event":"message_sent","data":{"conversation_id":"123"}}"#) == [])
        #expect(
            stage.receive(
                #"{"event":"broadcast","data":{"sender_id":"bob","content":"We close\nat noon.",\#(Self.time)}}"#
            ).shown
                == [#"notice bob says to everybody: We close\nat noon."#])
        for text in ["nonsense", "[1]", #"{"data":{}}"#, #"{"event":"message"}"#, "\u{0}"] {
            #expect(
                stage.receive(text).shown == [
                    "trouble The server said something that is not of the Pets protocol."
                ])
        }
    }
}
