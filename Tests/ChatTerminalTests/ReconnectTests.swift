import EventLoop
import HTTPWire
import SeededRandom
import Testing

@testable import ChatTerminal
@testable import ConfabClient

@Suite("A lost connection")
struct ReconnectTests {
    @Test("resumes after the last message, or from the beginning without one")
    func resumePoint() {
        var fixture = ChatSessionFixture()
        _ = fixture.join([])
        _ = fixture.disconnect()
        #expect(fixture.advanceTime(.seconds(1)).connects == [0])

        fixture = ChatSessionFixture()
        _ = fixture.join([(9, "bob", "nine")])
        _ = fixture.receive(ChatSessionFixture.message(10, "bob", "ten"))
        _ = fixture.disconnect()
        #expect(fixture.advanceTime(.seconds(1)).connects == [10])
        _ = fixture.open()
        #expect(
            fixture.receive(ChatSessionFixture.message(11, "bob", "eleven")).shown == [
                "#11 bob: eleven"
            ])
    }

    @Test("joins from the start if it broke before the history")
    func brokenJoin() {
        var fixture = ChatSessionFixture()
        _ = fixture.join([(1, "bob", "one")])
        _ = fixture.disconnect()
        _ = fixture.advanceTime(.seconds(1))
        #expect(fixture.open().sent == [#"{"action":"fetch_messages","limit":1}"#])
        _ = fixture.disconnect()
        #expect(fixture.advanceTime(.seconds(3)).connects == [1])
    }

    @Test(
        "does not reconnect after a permanent rejection", arguments: [4003, 4004] as [UInt16])
    func unwanted(code: UInt16) {
        var fixture = ChatSessionFixture()
        _ = fixture.join()
        let steps = fixture.disconnect(.closed(WebSocketCloseCode(rawValue: code), reason: "why"))
        #expect(steps.shown.count == 1)
        #expect(steps.exitStatus == 1)
    }

    @Test("retries forever for an interactive user, without a message per attempt")
    func longOutage() {
        var fixture = ChatSessionFixture()
        _ = fixture.join()
        _ = fixture.disconnect()
        var shown: [String] = []
        var attempts = 0
        for _ in 0..<3600 {
            let steps = fixture.advanceTime(.milliseconds(100))
            shown += steps.shown
            #expect(steps.exitStatus == nil)
            guard !steps.connects.isEmpty else { continue }
            attempts += 1
            shown += fixture.disconnect(.socket(.refused, endpoint: "host:1")).shown
        }
        #expect(shown == [])
        #expect((24...200).contains(attempts))
        #expect(fixture.chat.status.connection == "reconnecting")
    }

    @Test("reports messages that are no longer available")
    func truncated() {
        var fixture = ChatSessionFixture()
        _ = fixture.join([(3, "bob", "x")])
        _ = fixture.disconnect()
        _ = fixture.advanceTime(.seconds(1))
        _ = fixture.open()
        let error =
            #"{"type":"error","action":"connect","error":"history truncated","oldest_id":"90"}"#
        #expect(fixture.receive(error).shown == [])
        // The newest message, and the messages that the server has.
        #expect(fixture.receive(ChatSessionFixture.page([(91, "bob", "y")])).shown.count == 1)
        #expect(fixture.receive(ChatSessionFixture.message(90, "bob", "x")).shown == [])
        #expect(
            fixture.receive(ChatSessionFixture.message(91, "bob", "y")).shown == [
                """
                error Some messages are no longer available: the server retains them from #90 \
                on.
                """, "#90 bob: x", "#91 bob: y",
            ])
    }

    @Test("resumes at the last revision, and starts over after a reset")
    func revision() {
        var fixture = ChatSessionFixture()
        _ = fixture.join([(3, "bob", "x")])
        #expect(
            fixture.session.dialect.url(after: 3, rev: nil).target
                == "/conversations/general/?after=3")
        _ = fixture.receive(
            #"""
            {"type":"message.edited","message":{"id":"1","sender_id":"bob","content":"y",\#
            "rev":9},"rev":9}
            """#
        )
        _ = fixture.receive(
            #"""
            {"type":"chat_message","message":{"id":"4","sender_id":"bob","content":"z","rev":8},\#
            "rev":8}
            """#
        )
        // Reactions of the same revision may follow the edit.
        #expect(fixture.session.timeline.rev == 8)
        #expect(
            fixture.session.dialect.url(after: 4, rev: 9).target
                == "/conversations/general/?after=4&rev=9")
        _ = fixture.disconnect()
        _ = fixture.advanceTime(.seconds(1))
        _ = fixture.open()
        _ = fixture.receive(
            #"{"type":"error","action":"connect","error":"history truncated","oldest_id":"3"}"#)
        _ = fixture.receive(ChatSessionFixture.page([(4, "bob", "z")]))
        _ = fixture.receive(ChatSessionFixture.message(3, "bob", "x"))
        #expect(
            fixture.receive(ChatSessionFixture.message(4, "bob", "z")).shown == [
                """
                error The server no longer has the changes in between; /history shows the \
                current messages.
                """
            ])
        #expect(fixture.session.timeline.rev == nil)
    }

    @Test(
        "resumes after the newest message of a server with another history", arguments: [0, 2])
    func reset(head: Int) {
        var fixture = ChatSessionFixture()
        _ = fixture.join([(3, "bob", "x")])
        _ = fixture.disconnect()
        _ = fixture.advanceTime(.seconds(1))
        _ = fixture.open()
        _ = fixture.receive(
            #"{"type":"error","action":"connect","error":"history reset","head":"\#(head)"}"#)
        _ = fixture.receive(ChatSessionFixture.page([]))
        let messages = (0..<head).reversed().map { ($0 + 1, "bob", "restored") }
        #expect(
            fixture.receive(ChatSessionFixture.page(messages)).shown.prefix(1) == [
                """
                error The server's history was replaced, for instance by a restored backup. Its \
                newest message is #\(head). Later messages are shown.
                """
            ])
        let steps = fixture.receive(ChatSessionFixture.message(head + 1, "bob", "new"))
        #expect(steps.shown == ["#\(head + 1) bob: new"])
        // A number that was read in the former history is read again.
        let reports = steps.sent + fixture.advanceTime(.seconds(1)).sent
        #expect(reports.contains(#"{"action":"read","message_ids":["\#(head + 1)"]}"#))
        #expect(
            fixture.disconnect().connects.isEmpty
                && fixture.advanceTime(.seconds(1)).connects == [head + 1])
    }

    @Test("sends unanswered commands again")
    func pendingCommands() {
        var fixture = ChatSessionFixture()
        _ = fixture.join()
        _ = fixture.type("/edit 3 new")
        _ = fixture.type("/history 5")
        _ = fixture.disconnect()
        _ = fixture.advanceTime(.seconds(1))
        #expect(
            fixture.open().sent == [
                #"{"action":"fetch_messages","limit":1}"#,
                #"{"action":"edit_message","message_id":"3","content":"new"}"#,
                #"{"action":"fetch_messages","limit":5}"#,
            ])
    }
}
