import Bytes
import EventLoop
import HTTPWire
import Testing

@testable import ChatClient

@Suite("Somebody who enters")
struct ChatJoinTests {
    @Test("asks for the history, sees it oldest first, and hears who is here")
    func joining() {
        var stage = ChatSessionFixture()
        #expect(stage.start() == [.connect(after: nil)])
        #expect(stage.open() == [.send(#"{"action":"fetch_messages","limit":20}"#)])
        #expect(
            stage.receive(
                #"{"type":"user_status","user_id":"bob","status":"online","timestamp":"2026-01-31T12:00:00.123Z"}"#
            ) == [])
        let steps = stage.receive(
            ChatSessionFixture.page([(3, "bob", "three"), (2, "alice", "two"), (1, "carol", "one")])
        )
        #expect(
            steps.shown == ["#1 carol: one", "#2 me: two", "#3 bob: three", "notice Here: bob."])
        #expect(steps.sent == [#"{"action":"read","message_ids":["3"]}"#])
    }

    @Test("sees what came while the history was on its way once, and behind it")
    func liveBeforeHistory() {
        var stage = ChatSessionFixture()
        _ = stage.start()
        _ = stage.open()
        #expect(stage.receive(ChatSessionFixture.message(2, "bob", "two")).shown == [])
        #expect(stage.receive(ChatSessionFixture.message(3, "bob", "three")).shown == [])
        let steps = stage.receive(ChatSessionFixture.page([(2, "bob", "two"), (1, "bob", "one")]))
        #expect(
            steps.shown == [
                "#1 bob: one", "#2 bob: two", "#3 bob: three", "notice Nobody else is here.",
            ])
        #expect(stage.receive(ChatSessionFixture.message(3, "bob", "three")).shown == [])
    }

    @Test("does not wait for ever for a history that does not come")
    func noHistory() {
        var stage = ChatSessionFixture()
        _ = stage.start()
        _ = stage.open()
        var shown = 0
        for id in 1...MessageOrder.queueLimit + 5 {
            shown += stage.receive(ChatSessionFixture.message(id, "bob", "x")).shown.count
        }
        #expect(shown == MessageOrder.queueLimit + 5)
    }

    @Test("asks again for a history that the server cannot read at the moment")
    func historyFails() {
        var stage = ChatSessionFixture()
        _ = stage.start()
        _ = stage.open()
        let error =
            #"{"type":"error","action":"fetch_messages","error":"the history cannot be read at the moment; try again"}"#
        #expect(
            stage.receive(error).shown == [
                "trouble The server says: the history cannot be read at the moment; try again"
            ])
        #expect(stage.advanceTime(.seconds(1)).sent == [])
        #expect(stage.advanceTime(.seconds(2)).sent == [#"{"action":"fetch_messages","limit":20}"#])
        #expect(
            stage.receive(ChatSessionFixture.page([(1, "bob", "one")])).shown.first == "#1 bob: one"
        )
    }

    @Test("is told why when the first connection fails, and leaves")
    func firstFailure() {
        for error in [
            ClientError.socket(.refused, endpoint: "host:1"),
            .closed(WebSocketCloseCode(rawValue: 4003), reason: ""),
        ] {
            var stage = ChatSessionFixture()
            _ = stage.start()
            let steps = stage.disconnect(error)
            #expect(steps.shown == ["trouble \(error)"])
            #expect(steps.exitStatus == 1)
        }
    }

    @Test("learns one's own name from the first answer when the token does not tell it")
    func unknownUser() {
        var stage = ChatSessionFixture(user: nil)
        _ = stage.join()
        _ = stage.type("hello")
        #expect(
            stage.receive(ChatSessionFixture.message(1, "zoe", "hello", localID: "id-1")).shown == [
                "#1 me: hello"
            ])
    }
}

@Suite("A program in a pipe")
struct ChatPipeTests {
    @Test("gets no history that it could take for news, and marks nothing as read")
    func noHistory() {
        var stage = ChatSessionFixture(isInteractive: false)
        _ = stage.start()
        #expect(stage.open() == [.send(#"{"action":"fetch_messages","limit":1}"#)])
        #expect(stage.receive(ChatSessionFixture.page([(57, "bob", "old")])) == [])
        #expect(
            stage.receive(ChatSessionFixture.message(58, "bob", "new")) == [
                .show(.message(Self.message(58, "bob", "new"), isMine: false))
            ])
    }

    private static func message(_ id: Int, _ sender: String, _ content: String) -> ChatMessage {
        ChatMessage(
            id: id, sender: sender, content: content, sentAt: .init(milliseconds: 1_769_860_800_123)
        )
    }

    @Test("sees its own line even if that is already in the history")
    func ownLineInHistory() {
        var stage = ChatSessionFixture(isInteractive: false)
        _ = stage.start()
        _ = stage.type("hello")
        #expect(stage.open().sentLines.count == 1)
        _ = stage.receive(ChatSessionFixture.message(8, "alice", "hello", localID: "id-1"))
        let steps = stage.receive(ChatSessionFixture.page([(8, "alice", "hello")]))
        #expect(steps.shown == ["#8 me: hello"])
    }

    @Test("ends with 0 when all its lines are answered")
    func success() {
        var stage = ChatSessionFixture(isInteractive: false)
        _ = stage.join()
        _ = stage.type("one")
        _ = stage.type("two")
        #expect(stage.endInput() == [])
        #expect(
            stage.receive(ChatSessionFixture.message(1, "alice", "one", localID: "id-1")).exitStatus
                == nil)
        let steps = stage.receive(ChatSessionFixture.message(2, "alice", "two", localID: "id-2"))
        #expect(Array(steps.suffix(2)) == [.close, .exit(0)])
    }

    @Test("ends with 1 and a sentence when a line is refused, but sends the others")
    func refused() {
        var stage = ChatSessionFixture(isInteractive: false)
        _ = stage.join()
        _ = stage.type("one")
        _ = stage.type("two")
        _ = stage.endInput()
        let steps = stage.receive(
            ChatSessionFixture.failed("id-1", "content: longer than 16384 bytes"))
        #expect(steps.shown == ["trouble Not sent: one (content: longer than 16384 bytes)"])
        #expect(
            steps.sentLines == [#"{"action":"send_message","content":"two","local_id":"id-2"}"#])
        #expect(
            stage.receive(ChatSessionFixture.message(1, "alice", "two", localID: "id-2")).exitStatus
                == 1)
    }

    @Test("has to be let in even if it says nothing")
    func nothingToSay() {
        var stage = ChatSessionFixture(isInteractive: false)
        _ = stage.start()
        #expect(stage.endInput() == [])
        #expect(stage.open().exitStatus == nil)
        #expect(stage.receive(ChatSessionFixture.page([])).exitStatus == 0)
    }

    @Test("waits a minute for a connection to come back, then says what was not sent")
    func reconnectTimeout() {
        var stage = ChatSessionFixture(isInteractive: false)
        _ = stage.join()
        _ = stage.type("one")
        _ = stage.type("two")
        _ = stage.endInput()
        var steps = stage.disconnect()
        var waited = Duration.zero
        while steps.exitStatus == nil, waited < .seconds(300) {
            steps = stage.advanceTime(.milliseconds(100))
            waited += .milliseconds(100)
            if !steps.connects.isEmpty {
                steps += stage.disconnect(.socket(.refused, endpoint: "host:1"))
            }
        }
        #expect(steps.exitStatus == 1)
        #expect(
            steps.shown == [
                "trouble host:1 refuses the connection: nobody listens there.",
                "trouble 2 lines were not sent; the first is: one",
            ])
        #expect((.seconds(60)...(.seconds(95))).contains(waited))
    }

    @Test("waits for the answers to its commands, too")
    func commands() {
        var stage = ChatSessionFixture(isInteractive: false)
        _ = stage.join([(5, "alice", "x")])
        #expect(stage.type("/history 2").sent == [#"{"action":"fetch_messages","limit":2}"#])
        _ = stage.type("/edit 5 y \"z\"")
        _ = stage.type("/delete 4")
        #expect(stage.endInput().exitStatus == nil)
        #expect(
            stage.receive(ChatSessionFixture.page([(5, "alice", "x"), (4, "bob", "w")])).shown == [
                "#4 bob: w", "#5 me: x",
            ])
        #expect(
            stage.receive(
                #"{"type":"message.edited","message":{"id":"5","sender_id":"alice","content":"y"}}"#
            ).shown == ["edited #5: y"])
        let steps = stage.receive(
            #"{"type":"error","action":"delete_message","error":"only the author may do this"}"#)
        #expect(steps.shown == ["trouble The server says: only the author may do this"])
        #expect(steps.exitStatus == 1)
    }

    @Test("is held up when it writes faster than the server takes")
    func backPressure() {
        var stage = ChatSessionFixture(isInteractive: false)
        _ = stage.join()
        for number in 0..<LineOutbox.lineLimit {
            #expect(stage.session.acceptsInput)
            _ = stage.type("\(number)")
        }
        #expect(!stage.session.acceptsInput)
        _ = stage.receive(ChatSessionFixture.message(1, "alice", "0", localID: "id-1"))
        #expect(stage.session.acceptsInput)
    }
}

@Suite("A person in a conversation")
struct InteractiveChatTests {
    @Test("is told who comes and goes, once")
    func presence() {
        var stage = ChatSessionFixture()
        _ = stage.join()
        let status = { (user: String, status: String) in
            #"{"type":"user_status","user_id":"\#(user)","status":"\#(status)","timestamp":"x"}"#
        }
        #expect(stage.receive(status("bob", "online")).shown == ["notice bob is here."])
        #expect(stage.receive(status("bob", "online")).shown == [])
        #expect(stage.receive(status("alice", "online")).shown == [])
        #expect(
            stage.receive(status(#"b\u001b[2J"#, "online")).shown == [
                #"notice b\u{1b}[2J is here."#
            ])
        #expect(stage.type("/who").shown == [#"notice Here: b\u{1b}[2J, bob."#])
        #expect(stage.receive(status("bob", "offline")).shown == ["notice bob has left."])
        #expect(stage.receive(status("bob", "offline")).shown == [])
        #expect(
            stage.receive(
                #"{"type":"presence","conversation_id":"general","online":1200,"changes":[]}"#
            ).shown == [])
        #expect(stage.type("/who").shown == ["notice 1200 people are here."])
    }

    @Test("sees who types, until they send, stop, leave, or are forgotten")
    func typing() {
        var stage = ChatSessionFixture()
        _ = stage.join()
        let typing = { (user: String, isTyping: Bool) in
            #"{"type":"typing","user_id":"\#(user)","username":"Mr \#(user)","is_typing":\#(isTyping)}"#
        }
        for user in ["bob", "carol", "dave", "eve"] { _ = stage.receive(typing(user, true)) }
        #expect(stage.session.status.typing == ["Mr bob", "Mr carol", "Mr dave", "Mr eve"])
        _ = stage.receive(typing("bob", false))
        _ = stage.receive(ChatSessionFixture.message(1, "carol", "hi"))
        _ = stage.receive(
            #"{"type":"user_status","user_id":"dave","status":"offline","timestamp":"x"}"#)
        #expect(stage.session.status.typing == ["Mr eve"])
        _ = stage.advanceTime(.seconds(9))
        #expect(stage.session.status.typing == [])
    }

    @Test("lets others know of typing, now and then, and of its end")
    func ownTyping() {
        var stage = ChatSessionFixture()
        func edit(_ line: String) -> [String] {
            stage.apply { $0.editing(line, at: $1, into: &$2) }.sent
        }
        _ = stage.join()
        #expect(edit("h") == [#"{"action":"typing","is_typing":true}"#])
        #expect(edit("he") == [])
        _ = stage.advanceTime(.seconds(4))
        #expect(edit("hel") == [#"{"action":"typing","is_typing":true}"#])
        #expect(edit("") == [#"{"action":"typing","is_typing":false}"#])
        #expect(edit("") == [])
        #expect(edit("/who") == [])
        #expect(edit("x").count == 1)
        _ = stage.type("x")
        #expect(edit("") == [])
    }

    @Test("reports what was shown as read, once for all that came together")
    func readReceipts() {
        var stage = ChatSessionFixture()
        _ = stage.join()
        let steps = stage.apply { session, now, steps in
            for id in 1...3 {
                session.received(
                    Array(ChatSessionFixture.message(id, "bob", "x").utf8), at: now, into: &steps)
            }
        }
        #expect(steps.sent == [#"{"action":"read","message_ids":["3"]}"#])
        #expect(stage.receive(ChatSessionFixture.message(4, "alice", "mine")).sent == [])
    }

    @Test("sees changes and deletions")
    func changes() {
        var stage = ChatSessionFixture()
        _ = stage.join([(1, "bob", "x")])
        #expect(
            stage.receive(
                #"{"type":"message.edited","message":{"id":"1","sender_id":"bob","content":"y","is_edited":true}}"#
            ).shown
                == ["edited #1: y"])
        #expect(
            stage.receive(
                #"{"type":"message.deleted","message":{"id":"1","sender_id":"bob","content":"","is_deleted":true}}"#
            ).shown
                == ["deleted #1"])
    }

    @Test("has commands, and a way to send what looks like one")
    func commands() {
        var stage = ChatSessionFixture()
        _ = stage.join()
        #expect(stage.type("/help").shown.first?.contains("/history N") == true)
        #expect(
            stage.type("/history 101").shown == ["trouble /history takes a number from 1 to 100."])
        #expect(stage.type("/edit 3").shown.first?.hasPrefix("trouble /edit takes") == true)
        #expect(stage.type("/edit x y").shown.first?.hasPrefix("trouble /edit takes") == true)
        #expect(stage.type("/delete").shown.first?.hasPrefix("trouble /delete takes") == true)
        #expect(stage.type("/delete #7").sent == [#"{"action":"delete_message","message_id":"7"}"#])
        #expect(
            stage.type("/nope").shown.first?.hasPrefix("trouble There is no command /nope") == true)
        #expect(
            stage.type("//etc").sentLines == [
                #"{"action":"send_message","content":"/etc","local_id":"id-1"}"#
            ])
    }

    @Test("leaves at once, or as soon as the last line is stored")
    func quitting() {
        var stage = ChatSessionFixture()
        _ = stage.join()
        #expect(stage.type("/quit") == [.close, .exit(0)])

        stage = ChatSessionFixture()
        _ = stage.join()
        _ = stage.type("bye")
        #expect(stage.endInput() == [])
        #expect(
            Array(
                stage.receive(ChatSessionFixture.message(1, "alice", "bye", localID: "id-1"))
                    .suffix(2)) == [.close, .exit(0)])

        stage = ChatSessionFixture()
        _ = stage.join()
        _ = stage.type("never answered")
        _ = stage.type("/quit")
        #expect(stage.advanceTime(.milliseconds(4900)).exitStatus == nil)
        let steps = stage.advanceTime(.milliseconds(200))
        #expect(steps.shown == ["trouble A line was not sent: never answered"])
        #expect(steps.exitStatus == 1)
    }

    @Test("answers heartbeats, and is not bothered with what means nothing here")
    func others() {
        var stage = ChatSessionFixture()
        _ = stage.join()
        #expect(stage.receive(#"{"type":"heartbeat"}"#).sent == [#"{"action":"heartbeat_ack"}"#])
        #expect(stage.receive(#"{"type":"read","user_id":"bob","message_ids":["1"]}"#) == [])
        #expect(stage.receive(#"{"type":"from.the.future","x":1}"#) == [])
        #expect(
            stage.receive(
                #"{"type":"error","action":"read","error":"rate limited","retry_after":1.00}"#)
                == [])
        #expect(
            stage.receive("nonsense").shown == [
                "trouble The server said something that is not of the Conversations protocol."
            ])
        #expect(stage.receive(#"{"type":"chat_message","message":{"id":"x"}}"#) == [])
        #expect(
            stage.receive(#"{"type":"error","action":null,"error":"token expired"}"#).shown == [
                "trouble The server says: token expired"
            ])
    }
}
