import Testing

@testable import ChatClient

@Suite("Lines that are sent")
struct ChatSendingTests {
    @Test("leave one after the other, each when the one before is stored")
    func oneAtATime() {
        var stage = ChatSessionFixture()
        _ = stage.join()
        #expect(
            stage.type("one \"quoted\" \u{7}").sent == [
                #"{"action":"send_message","content":"one \"quoted\" \u0007","local_id":"id-1"}"#
            ])
        #expect(stage.type("two").sent == [])
        #expect(stage.receive(ChatSessionFixture.message(1, "bob", "from bob")).sentLines == [])
        let steps = stage.receive(ChatSessionFixture.message(2, "alice", "one", localID: "id-1"))
        #expect(steps.shown == ["#2 me: one"])
        #expect(
            steps.sentLines == [#"{"action":"send_message","content":"two","local_id":"id-2"}"#])
    }

    @Test("wait as long as a server asks whose rate is exceeded, and keep their order")
    func rateLimit() {
        var stage = ChatSessionFixture()
        _ = stage.join()
        _ = stage.type("one")
        _ = stage.type("two")
        #expect(
            stage.receive(ChatSessionFixture.failed("id-1", "rate limited", retryAfter: "0.75"))
                == [])
        #expect(stage.advanceTime(.milliseconds(700)).sent == [])
        #expect(
            stage.advanceTime(.milliseconds(100)).sentLines == [
                #"{"action":"send_message","content":"one","local_id":"id-1"}"#
            ])
    }

    @Test("are tried a few times when the server cannot store them for the moment")
    func unavailable() {
        var stage = ChatSessionFixture()
        _ = stage.join()
        _ = stage.type("one")
        for _ in 1..<5 {
            #expect(
                stage.receive(
                    ChatSessionFixture.failed("id-1", "the message could not be stored; try again"))
                    == [])
            #expect(stage.advanceTime(.seconds(1)).sentLines.count == 1)
        }
        let steps = stage.receive(
            ChatSessionFixture.failed("id-1", "the message could not be stored; try again"))
        #expect(
            steps.shown == ["trouble Not sent: one (the message could not be stored; try again)"])
        #expect(stage.advanceTime(.seconds(5)).sent == [])
    }

    @Test(
        "are sent again under the same id on the next connection, and forgotten only when they are stored"
    )
    func resending() {
        var stage = ChatSessionFixture()
        _ = stage.join([(4, "bob", "hi")])
        _ = stage.type("one")
        _ = stage.type("two")
        #expect(
            stage.disconnect().shown == [
                "trouble The connection was lost: reset. Connecting again."
            ])
        _ = stage.type("three")
        #expect(stage.advanceTime(.seconds(1)).connects == [4])
        #expect(
            stage.open().sentLines == [
                #"{"action":"send_message","content":"one","local_id":"id-1"}"#
            ])
        // It had been stored: the replay brings it, and the answer to the second try brings it again.
        let replay = stage.receive(ChatSessionFixture.message(5, "alice", "one", localID: "id-1"))
        #expect(replay.shown == ["#5 me: one"])
        #expect(
            replay.sentLines == [#"{"action":"send_message","content":"two","local_id":"id-2"}"#])
        #expect(stage.receive(ChatSessionFixture.message(5, "alice", "one", localID: "id-1")) == [])
        #expect(
            stage.receive(ChatSessionFixture.page([(5, "alice", "one")])).shown == [
                "notice Connected again."
            ])
        #expect(
            stage.receive(ChatSessionFixture.message(6, "alice", "two", localID: "id-2")).sentLines
                .count == 1)
        #expect(
            stage.receive(ChatSessionFixture.message(7, "alice", "three", localID: "id-3")).shown
                == ["#7 me: three"])
        #expect(stage.session.outbox.isEmpty)
    }

    @Test("give a connection up on which no answer comes")
    func noAnswer() {
        var stage = ChatSessionFixture()
        _ = stage.join()
        _ = stage.type("one")
        #expect(stage.advanceTime(.milliseconds(19_900)) == [])
        #expect(stage.advanceTime(.milliseconds(100)) == [.drop(.unresponsive(seconds: 20))])
    }

    @Test("show how far the newest has come")
    func progress() {
        var stage = ChatSessionFixture()
        _ = stage.join()
        #expect(stage.session.status.progress == nil)
        _ = stage.type("one")
        #expect(stage.session.status.progress == .sending)
        _ = stage.receive(ChatSessionFixture.message(1, "alice", "one", localID: "id-1"))
        #expect(stage.session.status.progress == .stored)
        let status = { (id: Int, status: String) in
            #"{"type":"message.status","message_id":"\#(id)","status":"\#(status)","timestamp":"x"}"#
        }
        #expect(stage.receive(status(1, "delivered")).shown == ["#1 delivered"])
        #expect(stage.receive(status(1, "read")).shown == ["#1 read"])
        #expect(stage.receive(status(1, "delivered")).shown == [])
        #expect(stage.session.status.progress == .read)
        #expect(stage.receive(status(9, "read")).shown == [])
    }

    @Test("are not made of nothing", arguments: ["", " ", "\t \u{A0}\u{2003}"])
    func blank(line: String) {
        var stage = ChatSessionFixture()
        _ = stage.join()
        #expect(stage.type(line) == [])
    }
}
