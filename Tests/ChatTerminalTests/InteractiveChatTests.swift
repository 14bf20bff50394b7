import Bytes
import EventLoop
import HTTPWire
import Testing

@testable import ChatTerminal
@testable import ConfabClient

@Suite("An interactive client")
struct InteractiveChatTests {
    @Test("displays presence changes, once each")
    func presence() {
        var fixture = ChatSessionFixture()
        _ = fixture.join()
        let status = { (user: String, status: String) in
            #"{"type":"user_status","user_id":"\#(user)","status":"\#(status)","timestamp":"x"}"#
        }
        #expect(fixture.receive(status("bob", "online")).shown == ["notice bob is online."])
        #expect(fixture.receive(status("bob", "online")).shown == [])
        #expect(fixture.receive(status("alice", "online")).shown == [])
        #expect(
            fixture.receive(status(#"b\u001b[2J"#, "online")).shown == [
                #"notice b\u{1b}[2J is online."#
            ])
        #expect(fixture.type("/who").shown == [#"notice Online: b\u{1b}[2J, bob."#])
        #expect(fixture.receive(status("bob", "offline")).shown == ["notice bob has left."])
        #expect(fixture.receive(status("bob", "offline")).shown == [])
        #expect(
            fixture.receive(
                #"{"type":"presence","conversation_id":"general","online":1200,"changes":[]}"#
            ).shown == [])
        #expect(fixture.type("/who").shown == ["notice 1200 users are online."])
    }

    @Test("displays typing users until they send, stop, leave, or time out")
    func typing() {
        var fixture = ChatSessionFixture()
        _ = fixture.join()
        let typing = { (user: String, isTyping: Bool) in
            #"""
            {"type":"typing","user_id":"\#(user)","username":"Mr \#(user)","is_typing":\#(isTyping)}
            """#
        }
        for user in ["bob", "carol", "dave", "eve"] { _ = fixture.receive(typing(user, true)) }
        #expect(fixture.chat.status.typing == ["Mr bob", "Mr carol", "Mr dave", "Mr eve"])
        _ = fixture.receive(typing("bob", false))
        _ = fixture.receive(ChatSessionFixture.message(1, "carol", "hi"))
        _ = fixture.receive(
            #"{"type":"user_status","user_id":"dave","status":"offline","timestamp":"x"}"#)
        #expect(fixture.chat.status.typing == ["Mr eve"])
        _ = fixture.advanceTime(.seconds(9))
        #expect(fixture.chat.status.typing == [])
    }

    @Test("reports its own typing at intervals, and its end")
    func ownTyping() {
        var fixture = ChatSessionFixture()
        func edit(_ line: String) -> [String] {
            fixture.applyInput { chat, _, steps in chat.editing(line, into: &steps) }.sent
        }
        _ = fixture.join()
        #expect(edit("h") == [#"{"action":"typing","is_typing":true}"#])
        #expect(edit("he") == [])
        _ = fixture.advanceTime(.seconds(4))
        #expect(edit("hel") == [#"{"action":"typing","is_typing":true}"#])
        #expect(edit("") == [#"{"action":"typing","is_typing":false}"#])
        #expect(edit("") == [])
        #expect(edit("/who") == [])
        #expect(edit("x").count == 1)
        _ = fixture.type("x")
        #expect(edit("") == [])
    }

    @Test("reports displayed messages as read, once per turn")
    func readReceipts() {
        var fixture = ChatSessionFixture()
        _ = fixture.join()
        let steps = fixture.apply { session, now, steps in
            for id in 1...3 {
                session.received(
                    Array(ChatSessionFixture.message(id, "bob", "x").utf8), at: now, into: &steps)
            }
        }
        #expect(steps.sent == [#"{"action":"read","message_ids":["3"]}"#])
        #expect(fixture.receive(ChatSessionFixture.message(4, "alice", "mine")).sent == [])
    }

    @Test("displays edits and deletions")
    func changes() {
        var fixture = ChatSessionFixture()
        _ = fixture.join([(1, "bob", "x")])
        #expect(
            fixture.receive(
                #"""
                {"type":"message.edited","message":{"id":"1","sender_id":"bob","content":"y",\#
                "is_edited":true}}
                """#
            ).shown
                == ["edited #1: y"])
        #expect(
            fixture.receive(
                #"""
                {"type":"message.deleted","message":{"id":"1","sender_id":"bob","content":"",\#
                "is_deleted":true}}
                """#
            ).shown
                == ["deleted #1"])
    }

    @Test("has commands, and can send a line that looks like one")
    func commands() {
        var fixture = ChatSessionFixture()
        _ = fixture.join()
        #expect(fixture.type("/help").shown.first?.contains("/history N") == true)
        #expect(
            fixture.type("/history 101").shown == ["error /history takes a number from 1 to 100."]
        )
        #expect(fixture.type("/edit 3").shown.first?.hasPrefix("error /edit takes") == true)
        #expect(fixture.type("/edit x y").shown.first?.hasPrefix("error /edit takes") == true)
        #expect(fixture.type("/delete").shown.first?.hasPrefix("error /delete takes") == true)
        #expect(
            fixture.type("/delete #7").sent == [#"{"action":"delete_message","message_id":"7"}"#])
        #expect(
            fixture.type("/nope").shown.first?.hasPrefix("error There is no command /nope")
                == true)
        #expect(
            fixture.type("//etc").sentLines == [
                #"{"action":"send_message","content":"/etc","local_id":"id-1"}"#
            ])
    }

    @Test("exits at once, or as soon as the last line is stored")
    func quitting() {
        var fixture = ChatSessionFixture()
        _ = fixture.join()
        #expect(fixture.type("/quit") == [.close, .exit(0)])

        fixture = ChatSessionFixture()
        _ = fixture.join()
        _ = fixture.type("bye")
        #expect(fixture.endInput() == [])
        #expect(
            Array(
                fixture.receive(ChatSessionFixture.message(1, "alice", "bye", localID: "id-1"))
                    .suffix(2)) == [.close, .exit(0)])

        fixture = ChatSessionFixture()
        _ = fixture.join()
        _ = fixture.type("never answered")
        _ = fixture.type("/quit")
        #expect(fixture.advanceTime(.milliseconds(4900)).exitStatus == nil)
        let steps = fixture.advanceTime(.milliseconds(200))
        #expect(steps.shown == ["error A line was not sent: never answered"])
        #expect(steps.exitStatus == 1)
    }

    @Test("answers heartbeats, and ignores unknown frames")
    func others() {
        var fixture = ChatSessionFixture()
        _ = fixture.join()
        #expect(fixture.receive(#"{"type":"heartbeat"}"#).sent == [#"{"action":"heartbeat_ack"}"#])
        #expect(fixture.receive(#"{"type":"read","user_id":"bob","message_ids":["1"]}"#) == [])
        #expect(fixture.receive(#"{"type":"from.the.future","x":1}"#) == [])
        #expect(
            fixture.receive(
                #"{"type":"error","action":"read","error":"rate limited","retry_after":1.00}"#)
                == [])
        #expect(
            fixture.receive("nonsense").shown == [
                "error The server sent a frame that is not part of the Conversations protocol."
            ])
        #expect(fixture.receive(#"{"type":"chat_message","message":{"id":"x"}}"#) == [])
        #expect(
            fixture.receive(#"{"type":"error","action":null,"error":"token expired"}"#).shown == [
                "error The server says: token expired"
            ])
    }
}
