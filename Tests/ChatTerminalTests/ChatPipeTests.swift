import Bytes
import EventLoop
import HTTPWire
import Testing

@testable import ChatTerminal
@testable import ConfabClient

@Suite("A client in a pipe")
struct ChatPipeTests {
    @Test("displays no history, and marks nothing as read")
    func noHistory() {
        var fixture = ChatSessionFixture(isInteractive: false)
        _ = fixture.start()
        #expect(fixture.open() == [.send(#"{"action":"fetch_messages","limit":1}"#)])
        #expect(fixture.receive(ChatSessionFixture.page([(57, "bob", "old")])) == [])
        #expect(
            fixture.receive(ChatSessionFixture.message(58, "bob", "new")) == [
                .show(.message(Self.message(58, "bob", "new")))
            ])
    }

    private static func message(_ id: Int, _ sender: String, _ content: String) -> ChatMessage {
        ChatMessage(
            id: id, author: sender, text: content, time: .init(milliseconds: 1_769_860_800_123)
        )
    }

    @Test("displays its own line even if the history already contains it")
    func ownLineInHistory() {
        var fixture = ChatSessionFixture(isInteractive: false)
        _ = fixture.start()
        _ = fixture.type("hello")
        #expect(fixture.open().sentLines.count == 1)
        _ = fixture.receive(ChatSessionFixture.message(8, "alice", "hello", localID: "id-1"))
        let steps = fixture.receive(ChatSessionFixture.page([(8, "alice", "hello")]))
        #expect(steps.shown == ["#8 me: hello"])
    }

    @Test("exits with 0 when all its lines are answered")
    func success() {
        var fixture = ChatSessionFixture(isInteractive: false)
        _ = fixture.join()
        _ = fixture.type("one")
        _ = fixture.type("two")
        #expect(fixture.endInput() == [])
        #expect(
            fixture.receive(ChatSessionFixture.message(1, "alice", "one", localID: "id-1"))
                .exitStatus
                == nil)
        let steps = fixture.receive(ChatSessionFixture.message(2, "alice", "two", localID: "id-2"))
        #expect(Array(steps.suffix(2)) == [.close, .exit(0)])
    }

    @Test("exits with 1 and an error when a line is rejected, but sends the others")
    func refused() {
        var fixture = ChatSessionFixture(isInteractive: false)
        _ = fixture.join()
        _ = fixture.type("one")
        _ = fixture.type("two")
        _ = fixture.endInput()
        let steps = fixture.receive(
            ChatSessionFixture.failed("id-1", "content: longer than 16384 bytes"))
        #expect(steps.shown == ["error Not sent: one (content: longer than 16384 bytes)"])
        #expect(
            steps.sentLines == [#"{"action":"send_message","content":"two","local_id":"id-2"}"#])
        #expect(
            fixture.receive(ChatSessionFixture.message(1, "alice", "two", localID: "id-2"))
                .exitStatus
                == 1)
    }

    @Test("must join even if it sends nothing")
    func nothingToSay() {
        var fixture = ChatSessionFixture(isInteractive: false)
        _ = fixture.start()
        #expect(fixture.endInput() == [])
        #expect(fixture.open().exitStatus == nil)
        #expect(fixture.receive(ChatSessionFixture.page([])).exitStatus == 0)
    }

    @Test("waits a minute for a reconnect, and then reports the unsent lines")
    func reconnectTimeout() {
        var fixture = ChatSessionFixture(isInteractive: false)
        _ = fixture.join()
        _ = fixture.type("one")
        _ = fixture.type("two")
        _ = fixture.endInput()
        var steps = fixture.disconnect()
        var waited = Duration.zero
        while steps.exitStatus == nil, waited < .seconds(300) {
            steps = fixture.advanceTime(.milliseconds(100))
            waited += .milliseconds(100)
            if !steps.connects.isEmpty {
                steps += fixture.disconnect(.socket(.refused, endpoint: "host:1"))
            }
        }
        #expect(steps.exitStatus == 1)
        #expect(
            steps.shown == [
                "error host:1 refuses the connection: nothing listens there.",
                "error 2 lines were not sent; the first is: one",
            ])
        #expect((.seconds(60)...(.seconds(95))).contains(waited))
    }

    @Test("also waits for the answers to its commands")
    func commands() {
        var fixture = ChatSessionFixture(isInteractive: false)
        _ = fixture.join([(5, "alice", "x")])
        #expect(fixture.type("/history 2").sent == [#"{"action":"fetch_messages","limit":2}"#])
        _ = fixture.type("/edit 5 y \"z\"")
        _ = fixture.type("/delete 4")
        #expect(fixture.endInput().exitStatus == nil)
        #expect(
            fixture.receive(ChatSessionFixture.page([(5, "alice", "x"), (4, "bob", "w")])).shown
                == [
                    "#4 bob: w", "#5 me: x",
                ])
        #expect(
            fixture.receive(
                #"""
                {"type":"message.edited","message":{"id":"5","sender_id":"alice",\#
                "content":"y \"z\""}}
                """#
            ).shown == ["edited #5: y \"z\""])
        let steps = fixture.receive(
            #"{"type":"error","action":"delete_message","error":"only the author may do this"}"#)
        #expect(steps.shown == ["error The server says: only the author may do this"])
        #expect(steps.exitStatus == 1)
    }

    @Test("stops reading input that is faster than the server")
    func backPressure() {
        var fixture = ChatSessionFixture(isInteractive: false)
        _ = fixture.join()
        for number in 0..<1000 {
            #expect(fixture.chat.acceptsInput)
            _ = fixture.type("\(number)")
        }
        #expect(!fixture.chat.acceptsInput)
        _ = fixture.receive(ChatSessionFixture.message(1, "alice", "0", localID: "id-1"))
        #expect(fixture.chat.acceptsInput)
    }
}
