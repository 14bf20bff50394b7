import Bytes
import EventLoop
import HTTPWire
import Testing

@testable import ChatTerminal
@testable import ConfabClient

@Suite("An interactive client that joins")
struct ChatJoinTests {
    @Test("requests the history, displays it oldest first, and lists the users online")
    func joining() {
        var fixture = ChatSessionFixture()
        #expect(fixture.start() == [.connect(after: nil)])
        #expect(fixture.open() == [.send(#"{"action":"fetch_messages","limit":20}"#)])
        #expect(
            fixture.receive(
                #"""
                {"type":"user_status","user_id":"bob","status":"online",\#
                "timestamp":"2026-01-31T12:00:00.123Z"}
                """#
            ) == [])
        let steps = fixture.receive(
            ChatSessionFixture.page([(3, "bob", "three"), (2, "alice", "two"), (1, "carol", "one")])
        )
        #expect(
            steps.shown == ["#1 carol: one", "#2 me: two", "#3 bob: three", "notice Online: bob."])
        #expect(steps.sent == [#"{"action":"read","message_ids":["3"]}"#])
    }

    @Test("displays messages that arrive before the history once, and after it")
    func liveBeforeHistory() {
        var fixture = ChatSessionFixture()
        _ = fixture.start()
        _ = fixture.open()
        #expect(fixture.receive(ChatSessionFixture.message(2, "bob", "two")).shown == [])
        #expect(fixture.receive(ChatSessionFixture.message(3, "bob", "three")).shown == [])
        let steps = fixture.receive(
            ChatSessionFixture.page([(2, "bob", "two"), (1, "bob", "one")]))
        #expect(
            steps.shown == [
                "#1 bob: one", "#2 bob: two", "#3 bob: three", "notice No one else is online.",
            ])
        #expect(fixture.receive(ChatSessionFixture.message(3, "bob", "three")).shown == [])
    }

    @Test("does not wait forever for a history")
    func noHistory() {
        var fixture = ChatSessionFixture()
        _ = fixture.start()
        _ = fixture.open()
        var shown = 0
        for id in 1...Timeline.earlyLimit + 5 {
            shown += fixture.receive(ChatSessionFixture.message(id, "bob", "x")).shown.count
        }
        #expect(shown == Timeline.earlyLimit + 5)
    }

    @Test("requests the history again after a temporary error")
    func historyFails() {
        var fixture = ChatSessionFixture()
        _ = fixture.start()
        _ = fixture.open()
        let error =
            #"""
            {"type":"error","action":"fetch_messages",\#
            "error":"the history cannot be read at the moment; try again"}
            """#
        #expect(
            fixture.receive(error).shown == [
                "error The server says: the history cannot be read at the moment; try again"
            ])
        #expect(fixture.advanceTime(.seconds(1)).sent == [])
        #expect(
            fixture.advanceTime(.seconds(2)).sent == [#"{"action":"fetch_messages","limit":20}"#])
        #expect(
            fixture.receive(ChatSessionFixture.page([(1, "bob", "one")])).shown.first
                == "#1 bob: one"
        )
    }

    @Test("reports the error and exits if the first connection fails")
    func firstFailure() {
        for error in [
            ClientError.socket(.refused, endpoint: "host:1"),
            .closed(WebSocketCloseCode(rawValue: 4003), reason: ""),
        ] {
            var fixture = ChatSessionFixture()
            _ = fixture.start()
            let steps = fixture.disconnect(error)
            #expect(steps.shown == ["error \(error)"])
            #expect(steps.exitStatus == 1)
        }
    }

    @Test("learns the user's id from the first answer if the token is unreadable")
    func unknownUser() {
        var fixture = ChatSessionFixture(user: nil)
        _ = fixture.join()
        _ = fixture.type("hello")
        #expect(
            fixture.receive(ChatSessionFixture.message(1, "zoe", "hello", localID: "id-1")).shown
                == [
                    "#1 me: hello"
                ])
    }
}
