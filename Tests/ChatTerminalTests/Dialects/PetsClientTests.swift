import Testing

@testable import ChatTerminal
@testable import ConfabClient

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
        #"""
        {"conversation_id":"\#(conversation)","message_id":"\#(id)","sender_id":"\#(sender)",\#
        "content":"\#(content)",\#(Self.time)}
        """#
    }

    private func live(
        _ id: Int, _ sender: String, _ content: String, in conversation: String = "123"
    ) -> String {
        #"{"event":"message","data":\#(self.message(id, sender, content, in: conversation))}"#
    }

    /// - Parameter next: continues the page.
    private func history(_ messages: [(Int, String, String)], next: Int? = nil) -> String {
        let list = messages.map { self.message($0.0, $0.1, $0.2) }.joined(separator: ",")
        let next = next.map { #","next_after_id":"\#($0)""# } ?? ""
        return
            #"{"event":"history","data":{"conversation_id":"123","messages":[\#(list)]\#(next)}}"#
    }

    private func sent(_ id: Int, _ content: String, _ localID: String) -> String {
        #"""
        {"event":"message_sent","data":{"conversation_id":"123","message_id":"\#(id)",\#
        "local_id":"\#(localID)","content":"\#(content)",\#(Self.time)}}
        """#
    }

    private func joinConversation(
        _ fixture: inout ChatSessionFixture, as user: String = "alice",
        _ messages: [(Int, String, String)] = []
    ) -> [FixtureStep] {
        _ = fixture.start()
        _ = fixture.open()
        return fixture.receive(#"{"event":"connected","data":{"user_id":"\#(user)"}}"#)
            + fixture.receive(self.history(messages))
    }

    @Test("joins with the history, and recognises its own messages by the server's user id")
    func joining() {
        var fixture = self.fixture()
        #expect(fixture.start() == [.connect(after: nil)])
        #expect(
            fixture.open().sent == [
                #"{"event":"history","data":{"conversation_id":"123","limit":20}}"#
            ])
        #expect(fixture.receive(#"{"event":"connected","data":{"user_id":"alice"}}"#) == [])
        #expect(fixture.receive(self.live(3, "bob", "three")) == [])
        let steps = fixture.receive(self.history([(1, "alice", "one"), (2, "bob", "two")]))
        #expect(steps.shown == ["#1 me: one", "#2 bob: two", "#3 bob: three"])
        // The protocol has no receipts.
        #expect(steps.sent == [])
    }

    @Test("sends nothing before the join, and then one line after the other")
    func sending() {
        var fixture = self.fixture(isInteractive: false)
        _ = fixture.start()
        _ = fixture.type(#"say "one""#)
        _ = fixture.type("two")
        #expect(fixture.open().sentLines == [])
        _ = fixture.receive(#"{"event":"connected","data":{"user_id":"alice"}}"#)
        #expect(
            fixture.receive(self.history([(9, "bob", "old")])).sent == [
                #"""
                {"event":"message","data":{"conversation_id":"123","content":"say \"one\"",\#
                "local_id":"id-1"}}
                """#
            ])
        let steps = fixture.receive(self.sent(10, #"say \"one\""#, "id-1"))
        #expect(steps.shown == [#"#10 me: say "one""#])
        #expect(
            steps.sent == [
                #"""
                {"event":"message","data":{"conversation_id":"123","content":"two",\#
                "local_id":"id-2"}}
                """#
            ])
        _ = fixture.endInput()
        #expect(fixture.receive(self.sent(11, "two", "id-2")).exitStatus == 0)
    }

    @Test("fetches missed messages page by page, while live messages wait")
    func catchingUp() {
        var fixture = self.fixture()
        _ = self.joinConversation(&fixture, [(4, "bob", "four")])
        _ = fixture.disconnect()
        #expect(fixture.advanceTime(.seconds(1)).connects == [4])
        #expect(
            fixture.open().sent == [
                #"{"event":"history","data":{"conversation_id":"123","after":"4","limit":100}}"#
            ])
        _ = fixture.receive(#"{"event":"connected","data":{"user_id":"alice"}}"#)
        #expect(fixture.receive(self.live(106, "bob", "live")) == [])
        let first = fixture.receive(self.history((5...104).map { ($0, "bob", "x") }, next: 104))
        #expect(
            first.sent == [
                #"{"event":"history","data":{"conversation_id":"123","after":"104","limit":100}}"#
            ])
        #expect(first.shown == [])
        let second = fixture.receive(self.history([(105, "bob", "y"), (106, "bob", "live")]))
        #expect(second.shown.count == 103)
        #expect(
            Array(second.shown.suffix(3)) == [
                "#105 bob: y", "#106 bob: live", "notice Reconnected.",
            ])
    }

    @Test("reports messages that are no longer available")
    func unavailableHistory() {
        var fixture = self.fixture()
        _ = self.joinConversation(&fixture, [(4, "bob", "four")])
        _ = fixture.disconnect()
        _ = fixture.advanceTime(.seconds(1))
        _ = fixture.open()
        let steps = fixture.receive(self.history([(8, "bob", "eight")]))
        #expect(
            steps.shown.first
                == """
                error Some messages are no longer available: the server retains them from #8 on.
                """)
        #expect(steps.shown.contains("#8 bob: eight"))
    }

    @Test("sends a line again under its id, and displays the stored message in its place")
    func resending() {
        var fixture = self.fixture()
        _ = self.joinConversation(&fixture)
        _ = fixture.type("one")
        _ = fixture.disconnect()
        _ = fixture.advanceTime(.seconds(1))
        _ = fixture.open()
        _ = fixture.receive(#"{"event":"connected","data":{"user_id":"alice"}}"#)
        let steps = fixture.receive(self.history([(1, "bob", "zero"), (2, "alice", "one")]))
        #expect(steps.shown == ["#1 bob: zero", "#2 me: one", "notice Reconnected."])
        #expect(
            steps.sent == [
                #"""
                {"event":"message","data":{"conversation_id":"123","content":"one",\#
                "local_id":"id-1"}}
                """#
            ])
        #expect(fixture.receive(self.sent(2, "one", "id-1")).shown == [])
        #expect(fixture.session.outbox.items.isEmpty)
    }

    @Test("does not send an anonymous user's line twice, although its id changes")
    func anonymousUser() {
        var fixture = self.fixture()
        _ = self.joinConversation(&fixture, as: "stranger-1")
        _ = fixture.type("one")
        _ = fixture.disconnect()
        _ = fixture.advanceTime(.seconds(1))
        _ = fixture.open()
        _ = fixture.receive(#"{"event":"connected","data":{"user_id":"stranger-2"}}"#)
        let steps = fixture.receive(self.history([(1, "stranger-1", "one")]))
        #expect(steps.sent == [])
        #expect(fixture.session.outbox.items.isEmpty)
    }

    @Test(
        "retries a history after a temporary error, and exits after a permanent one"
    )
    func refused() {
        var fixture = self.fixture()
        _ = fixture.start()
        _ = fixture.open()
        let later =
            #"""
            {"event":"error","data":{"message":"the history cannot be read at the moment; try \#
            again","event":"history"}}
            """#
        #expect(fixture.receive(later).exitStatus == nil)
        #expect(
            fixture.advanceTime(.seconds(3)).sent == [
                #"{"event":"history","data":{"conversation_id":"123","limit":20}}"#
            ])
        let steps = fixture.receive(
            #"{"event":"error","data":{"message":"access denied","event":"history"}}"#)
        #expect(steps.shown == ["error The server says: access denied"])
        #expect(steps.exitStatus == 1)
    }

    @Test("attributes an error of a message to the line in flight")
    func failed() {
        var fixture = self.fixture()
        _ = self.joinConversation(&fixture)
        _ = fixture.type("one")
        let limited =
            #"""
            {"event":"error","data":{"message":"rate limited","event":"message","retry_after":0.50}}
            """#
        #expect(fixture.receive(limited) == [])
        #expect(fixture.advanceTime(.seconds(1)).sent.count == 1)
        let ended = #"{"event":"error","data":{"message":"conversation ended","event":"message"}}"#
        #expect(
            fixture.receive(ended).shown == [
                "error Not sent: one (conversation ended)", "notice The conversation was ended.",
            ])
        #expect(
            fixture.receive(#"{"event":"error","data":{"message":"token expired"}}"#).shown == [
                "error The server says: token expired"
            ])
    }

    @Test("has no commands that the protocol does not support")
    func commands() {
        var fixture = self.fixture()
        _ = self.joinConversation(&fixture)
        #expect(
            fixture.type("/history 2").sent == [
                #"{"event":"history","data":{"conversation_id":"123","limit":2}}"#
            ])
        #expect(fixture.receive(self.history([(1, "bob", "one")])).shown == ["#1 bob: one"])
        for command in ["/who", "/edit 1 x", "/delete 1", "/to bob hello"] {
            #expect(
                fixture.type(command).shown.first?.hasPrefix(
                    "error The Pets protocol does not support /") == true)
        }
        #expect(fixture.type("/help").shown.first?.contains("/edit") == false)
        #expect(fixture.applyInput { chat, _, steps in chat.editing("h", into: &steps) } == [])
    }

    @Test("ignores other conversations, and reports malformed frames")
    func others() {
        var fixture = self.fixture()
        _ = self.joinConversation(&fixture)
        #expect(fixture.receive(self.live(1, "bob", "elsewhere", in: "124")) == [])
        #expect(
            fixture.receive(#"{"event":"history","data":{"conversation_id":"124","messages":[]}}"#)
                == [])
        #expect(
            fixture.receive(#"{"event":"conversation_created","data":{"conversation_id":"124"}}"#)
                == [])
        #expect(
            fixture.receive(
                #"""
                {"event":"message","data":{"conversation_id":"123","message_id":"x",\#
                "sender_id":"bob"}}
                """#
            ) == [])
        #expect(
            fixture.receive(#"{"event":"message_sent","data":{"conversation_id":"123"}}"#) == [])
        #expect(
            fixture.receive(
                #"""
                {"event":"broadcast","data":{"sender_id":"bob","content":"We close\nat noon.",\#
                \#(Self.time)}}
                """#
            ).shown
                == [#"notice bob broadcasts: We close\nat noon."#])
        for text in ["nonsense", "[1]", #"{"data":{}}"#, #"{"event":"message"}"#, "\u{0}"] {
            #expect(
                fixture.receive(text).shown == [
                    "error The server sent a frame that is not part of the Pets protocol."
                ])
        }
    }
}
