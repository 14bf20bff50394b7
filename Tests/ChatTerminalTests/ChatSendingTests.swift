import Testing

@testable import ChatTerminal
@testable import ConfabClient

@Suite("Sent lines")
struct ChatSendingTests {
    @Test("are sent one after the other, each after the previous one is stored")
    func oneAtATime() {
        var fixture = ChatSessionFixture()
        _ = fixture.join()
        #expect(
            fixture.type("one \"quoted\" \u{7}").sent == [
                #"{"action":"send_message","content":"one \"quoted\" \u0007","local_id":"id-1"}"#
            ])
        #expect(fixture.type("two").sent == [])
        #expect(fixture.receive(ChatSessionFixture.message(1, "bob", "from bob")).sentLines == [])
        let steps = fixture.receive(ChatSessionFixture.message(2, "alice", "one", localID: "id-1"))
        #expect(steps.shown == ["#2 me: one"])
        #expect(
            steps.sentLines == [#"{"action":"send_message","content":"two","local_id":"id-2"}"#])
    }

    @Test("wait as long as the server asks after a rate error, and keep their order")
    func rateLimit() {
        var fixture = ChatSessionFixture()
        _ = fixture.join()
        _ = fixture.type("one")
        _ = fixture.type("two")
        #expect(
            fixture.receive(ChatSessionFixture.failed("id-1", "rate limited", retryAfter: "0.75"))
                == [])
        #expect(fixture.advanceTime(.milliseconds(700)).sent == [])
        #expect(
            fixture.advanceTime(.milliseconds(100)).sentLines == [
                #"{"action":"send_message","content":"one","local_id":"id-1"}"#
            ])
    }

    @Test("are retried until they are stored after temporary store errors")
    func unavailable() {
        var fixture = ChatSessionFixture()
        _ = fixture.join()
        _ = fixture.type("one")
        for _ in 1..<20 {
            #expect(
                fixture.receive(
                    ChatSessionFixture.failed("id-1", "this could not be stored; try again"))
                    == [])
            #expect(fixture.advanceTime(.seconds(16)).sentLines.count == 1)
        }
        #expect(
            fixture.receive(ChatSessionFixture.message(1, "alice", "one", localID: "id-1")).shown
                == ["#1 me: one"])
    }

    @Test(
        "are sent again under the same id on the next connection, until they are stored"
    )
    func resending() {
        var fixture = ChatSessionFixture()
        _ = fixture.join([(4, "bob", "hi")])
        _ = fixture.type("one")
        _ = fixture.type("two")
        #expect(
            fixture.disconnect().shown == [
                "error The connection was lost: reset. Reconnecting."
            ])
        _ = fixture.type("three")
        #expect(fixture.advanceTime(.seconds(1)).connects == [4])
        #expect(
            // Not before the missed messages, which may contain it.
            fixture.open().sentLines == [])
        let replay = fixture.receive(ChatSessionFixture.message(5, "alice", "one", localID: "id-1"))
        #expect(replay.shown == ["#5 me: one"])
        #expect(
            replay.sentLines == [#"{"action":"send_message","content":"two","local_id":"id-2"}"#])
        #expect(
            fixture.receive(ChatSessionFixture.message(5, "alice", "one", localID: "id-1")) == [])
        #expect(
            fixture.receive(ChatSessionFixture.page([(5, "alice", "one")])).shown == [
                "notice Reconnected."
            ])
        #expect(
            fixture.receive(ChatSessionFixture.message(6, "alice", "two", localID: "id-2"))
                .sentLines
                .count == 1)
        #expect(
            fixture.receive(ChatSessionFixture.message(7, "alice", "three", localID: "id-3")).shown
                == ["#7 me: three"])
        #expect(fixture.session.outbox.items.isEmpty)
    }

    @Test("drop a connection without an answer")
    func noAnswer() {
        var fixture = ChatSessionFixture()
        _ = fixture.join()
        _ = fixture.type("one")
        #expect(fixture.advanceTime(.milliseconds(19_900)) == [])
        #expect(fixture.advanceTime(.milliseconds(100)) == [.drop(.unresponsive(seconds: 20))])
    }

    @Test("display the status of the newest line")
    func progress() {
        var fixture = ChatSessionFixture()
        _ = fixture.join()
        #expect(fixture.chat.status.progress == nil)
        _ = fixture.type("one")
        #expect(fixture.chat.status.progress == .sending)
        _ = fixture.receive(ChatSessionFixture.message(1, "alice", "one", localID: "id-1"))
        #expect(fixture.chat.status.progress == .sent)
        let status = { (id: Int, status: String) in
            #"""
            {"type":"message.status","message_id":"\#(id)","status":"\#(status)","timestamp":"x"}
            """#
        }
        #expect(fixture.receive(status(1, "delivered")).shown == ["#1 delivered"])
        #expect(fixture.receive(status(1, "read")).shown == ["#1 read"])
        #expect(fixture.receive(status(1, "delivered")).shown == [])
        #expect(fixture.chat.status.progress == .read)
        #expect(fixture.receive(status(9, "read")).shown == [])
    }

    @Test("are never blank", arguments: ["", " ", "\t \u{A0}\u{2003}"])
    func blank(line: String) {
        var fixture = ChatSessionFixture()
        _ = fixture.join()
        #expect(fixture.type(line) == [])
    }
}
