import EventLoop
import HTTPWire
import SeededRandom
import Testing

@testable import ChatClient

@Suite("A lost connection")
struct ReconnectTests {
    @Test("comes back after longer and longer waits, up to half a minute, and never all at once")
    func backoff() {
        var first = SeededGenerator(seed: 1)
        var second = SeededGenerator(seed: 2)
        var backoff = Backoff()
        var other = Backoff()
        var longest = Duration.milliseconds(500)
        for _ in 0..<20 {
            let wait = backoff.next(using: &first)
            #expect(wait != other.next(using: &second))
            #expect((longest * 0.5...longest).contains(wait))
            longest = min(longest * 2, .seconds(30))
        }
        backoff.reset()
        #expect(backoff.next(using: &first) <= .milliseconds(500))
    }

    @Test("goes on where it was, from the very beginning where there was nothing yet")
    func resumePoint() {
        var stage = ChatSessionFixture()
        _ = stage.join([])
        _ = stage.disconnect()
        #expect(stage.advanceTime(.seconds(1)).connects == [0])

        stage = ChatSessionFixture()
        _ = stage.join([(9, "bob", "nine")])
        _ = stage.receive(ChatSessionFixture.message(10, "bob", "ten"))
        _ = stage.disconnect()
        #expect(stage.advanceTime(.seconds(1)).connects == [10])
        _ = stage.open()
        #expect(
            stage.receive(ChatSessionFixture.message(11, "bob", "eleven")).shown == [
                "#11 bob: eleven"
            ])
    }

    @Test("that broke before the history came is made from the start")
    func brokenJoin() {
        var stage = ChatSessionFixture()
        _ = stage.join([(1, "bob", "one")])
        _ = stage.disconnect()
        _ = stage.advanceTime(.seconds(1))
        #expect(stage.open().sent == [#"{"action":"fetch_messages","limit":1}"#])
        _ = stage.disconnect()
        #expect(stage.advanceTime(.seconds(3)).connects == [1])
    }

    @Test(
        "is not made again when the server does not want us", arguments: [4003, 4004] as [UInt16])
    func unwanted(code: UInt16) {
        var stage = ChatSessionFixture()
        _ = stage.join()
        let steps = stage.disconnect(.closed(WebSocketCloseCode(rawValue: code), reason: "why"))
        #expect(steps.shown.count == 1)
        #expect(steps.exitStatus == 1)
    }

    @Test("keeps a person waiting as long as they like, without a word at every attempt")
    func longOutage() {
        var stage = ChatSessionFixture()
        _ = stage.join()
        _ = stage.disconnect()
        var shown: [String] = []
        var attempts = 0
        for _ in 0..<3600 {
            let steps = stage.advanceTime(.milliseconds(100))
            shown += steps.shown
            #expect(steps.exitStatus == nil)
            guard !steps.connects.isEmpty else { continue }
            attempts += 1
            shown += stage.disconnect(.socket(.refused, endpoint: "host:1")).shown
        }
        #expect(shown == [])
        #expect((12...40).contains(attempts))
        #expect(stage.session.status.connection == "connection lost; connecting again")
    }

    @Test("says which messages are gone for good")
    func truncated() {
        var stage = ChatSessionFixture()
        _ = stage.join([(3, "bob", "x")])
        _ = stage.disconnect()
        _ = stage.advanceTime(.seconds(1))
        _ = stage.open()
        let error =
            #"{"type":"error","action":"connect","error":"history truncated","oldest_id":"90"}"#
        #expect(
            stage.receive(error).shown == [
                "trouble Some messages are gone: the server keeps them from #90 on only."
            ])
    }

    @Test("goes on at the revision that it has seen, and anew where that is none of the server's")
    func revision() {
        var stage = ChatSessionFixture()
        _ = stage.join([(3, "bob", "x")])
        #expect(stage.session.dialect.url(after: 3).target == "/conversations/general/?after=3")
        _ = stage.receive(
            #"{"type":"message.edited","message":{"id":"1","sender_id":"bob","content":"y","rev":9},"rev":9}"#
        )
        _ = stage.receive(
            #"{"type":"chat_message","message":{"id":"4","sender_id":"bob","content":"z","rev":8},"rev":8}"#
        )
        #expect(
            stage.session.dialect.url(after: 4).target == "/conversations/general/?after=4&rev=9")
        _ = stage.disconnect()
        _ = stage.advanceTime(.seconds(1))
        _ = stage.open()
        #expect(
            stage.receive(
                #"{"type":"error","action":"connect","error":"history truncated","oldest_id":"1"}"#
            ).shown == [
                "trouble The server cannot say what has changed meanwhile; /history shows the messages as they are."
            ])
        #expect(stage.session.dialect.url(after: 4).target == "/conversations/general/?after=4")
    }

    @Test(
        "goes on behind the newest message of a server that has another history", arguments: [0, 2])
    func reset(head: Int) {
        var stage = ChatSessionFixture()
        _ = stage.join([(3, "bob", "x")])
        _ = stage.disconnect()
        _ = stage.advanceTime(.seconds(1))
        _ = stage.open()
        #expect(
            stage.receive(
                #"{"type":"error","action":"connect","error":"history reset","head":"\#(head)"}"#
            ).shown == [
                "trouble The server has another history than before, whose newest message is #\(head): a restored backup, perhaps."
                    + " What follows it is shown."
            ])
        #expect(
            stage.receive(ChatSessionFixture.message(head + 1, "bob", "new")).shown == [
                "#\(head + 1) bob: new"
            ])
        #expect(
            stage.disconnect().connects.isEmpty
                && stage.advanceTime(.seconds(1)).connects == [head + 1])
    }

    @Test("asks again what was not answered")
    func pendingCommands() {
        var stage = ChatSessionFixture()
        _ = stage.join()
        _ = stage.type("/edit 3 new")
        _ = stage.type("/history 5")
        _ = stage.disconnect()
        _ = stage.advanceTime(.seconds(1))
        #expect(
            stage.open().sent == [
                #"{"action":"fetch_messages","limit":1}"#,
                #"{"action":"edit_message","message_id":"3","content":"new"}"#,
                #"{"action":"fetch_messages","limit":5}"#,
            ])
    }
}
