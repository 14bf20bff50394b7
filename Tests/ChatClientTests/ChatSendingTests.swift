import Testing

@testable import ChatClient

@Suite("Lines that are sent")
struct SendingTests {
    @Test("leave one after the other, each when the one before is stored")
    func oneAtATime() {
        var stage = SessionStage()
        _ = stage.enter()
        #expect(
            stage.type("one \"quoted\" \u{7}").sent == [#"{"action":"send_message","content":"one \"quoted\" \u0007","local_id":"id-1"}"#])
        #expect(stage.type("two").sent == [])
        #expect(stage.hear(SessionStage.message(1, "bob", "from bob")).sentLines == [])
        let steps = stage.hear(SessionStage.message(2, "alice", "one", localID: "id-1"))
        #expect(steps.shown == ["#2 me: one"])
        #expect(steps.sentLines == [#"{"action":"send_message","content":"two","local_id":"id-2"}"#])
    }

    @Test("wait as long as a server asks whose rate is exceeded, and keep their order")
    func rateLimit() {
        var stage = SessionStage()
        _ = stage.enter()
        _ = stage.type("one")
        _ = stage.type("two")
        #expect(stage.hear(SessionStage.failed("id-1", "rate limited", retryAfter: "0.75")) == [])
        #expect(stage.pass(.milliseconds(700)).sent == [])
        #expect(stage.pass(.milliseconds(100)).sentLines == [#"{"action":"send_message","content":"one","local_id":"id-1"}"#])
    }

    @Test("are tried a few times when the server cannot store them for the moment")
    func unavailable() {
        var stage = SessionStage()
        _ = stage.enter()
        _ = stage.type("one")
        for _ in 1..<5 {
            #expect(stage.hear(SessionStage.failed("id-1", "the message could not be stored; try again")) == [])
            #expect(stage.pass(.seconds(1)).sentLines.count == 1)
        }
        let steps = stage.hear(SessionStage.failed("id-1", "the message could not be stored; try again"))
        #expect(steps.shown == ["trouble Not sent: one (the message could not be stored; try again)"])
        #expect(stage.pass(.seconds(5)).sent == [])
    }

    @Test("are sent again under the same id on the next connection, and forgotten only when they are stored")
    func resending() {
        var stage = SessionStage()
        _ = stage.enter([(4, "bob", "hi")])
        _ = stage.type("one")
        _ = stage.type("two")
        #expect(stage.lose().shown == ["trouble The connection was lost: reset. Connecting again."])
        _ = stage.type("three")
        #expect(stage.pass(.seconds(1)).connects == [4])
        #expect(stage.open().sentLines == [#"{"action":"send_message","content":"one","local_id":"id-1"}"#])
        // It had been stored: the replay brings it, and the answer to the second try brings it again.
        let replay = stage.hear(SessionStage.message(5, "alice", "one", localID: "id-1"))
        #expect(replay.shown == ["#5 me: one"])
        #expect(replay.sentLines == [#"{"action":"send_message","content":"two","local_id":"id-2"}"#])
        #expect(stage.hear(SessionStage.message(5, "alice", "one", localID: "id-1")) == [])
        #expect(stage.hear(SessionStage.page([(5, "alice", "one")])).shown == ["notice Connected again."])
        #expect(stage.hear(SessionStage.message(6, "alice", "two", localID: "id-2")).sentLines.count == 1)
        #expect(stage.hear(SessionStage.message(7, "alice", "three", localID: "id-3")).shown == ["#7 me: three"])
        #expect(stage.session.outbox.isEmpty)
    }

    @Test("give a connection up on which no answer comes")
    func noAnswer() {
        var stage = SessionStage()
        _ = stage.enter()
        _ = stage.type("one")
        #expect(stage.pass(.milliseconds(19_900)) == [])
        #expect(stage.pass(.milliseconds(100)) == [.drop(.silent(seconds: 20))])
    }

    @Test("show how far the newest has come")
    func progress() {
        var stage = SessionStage()
        _ = stage.enter()
        #expect(stage.session.situation.progress == nil)
        _ = stage.type("one")
        #expect(stage.session.situation.progress == .sending)
        _ = stage.hear(SessionStage.message(1, "alice", "one", localID: "id-1"))
        #expect(stage.session.situation.progress == .stored)
        let status = { (id: Int, status: String) in
            #"{"type":"message.status","message_id":"\#(id)","status":"\#(status)","timestamp":"x"}"#
        }
        #expect(stage.hear(status(1, "delivered")).shown == ["#1 delivered"])
        #expect(stage.hear(status(1, "read")).shown == ["#1 read"])
        #expect(stage.hear(status(1, "delivered")).shown == [])
        #expect(stage.session.situation.progress == .read)
        #expect(stage.hear(status(9, "read")).shown == [])
    }

    @Test("are not made of nothing", arguments: ["", " ", "\t \u{A0}\u{2003}"])
    func blank(line: String) {
        var stage = SessionStage()
        _ = stage.enter()
        #expect(stage.type(line) == [])
    }
}
