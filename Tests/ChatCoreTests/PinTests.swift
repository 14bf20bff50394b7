import Bytes
import ChatModel
import ChatSimulation
import Testing

@testable import ChatCore

@Suite("A pin")
struct PinTests {
    /// Ann, who created the conversation, and Bob, and three messages by Ann.
    private static func fixture(_ limits: Limits = .withoutRates) -> ConversationFixture {
        var fixture = ConversationFixture(of: [ann, bob], limits)
        for content in ["one", "two", "three"] { _ = fixture.post(content, by: ann) }
        return fixture
    }

    @Test("is announced, listed with the newest first, and ended by any member")
    func pins() {
        var fixture = Self.fixture()
        #expect(
            fixture.pin(1, by: bob, request: 1) == ["event: pinned 1 by bob, answers 1"])
        _ = fixture.pin(3, by: ann)
        #expect(fixture.pins(ann, request: 2) == ["answer 2: pins 3,1"])
        #expect(fixture.unpin(1, by: ann) == ["event: unpinned 1 by ann"])
        #expect(fixture.pins(ann, request: 2) == ["answer 2: pins 3"])
        #expect(fixture.unpin(1, by: ann) == [refused(.notPinned(1))])
        #expect(
            fixture.unpin(1, by: ann, request: 3, retry: true) == ["answer 3: asSent 1 one"])
        // A retry cannot have ended the pin of a message that was never pinned.
        #expect(
            fixture.unpin(2, by: ann, request: 4, retry: true)
                == ["answer 4: refused, message_id: message 2 is not pinned"])
    }

    @Test("that is retried is not done again after its end, nor an end after the next pin")
    func retried() {
        var fixture = Self.fixture()
        _ = fixture.pin(1, by: bob, request: 1)
        _ = fixture.unpin(1, by: ann, request: 2)
        #expect(fixture.pin(1, by: bob, request: 1, retry: true) == ["answer 1: asSent 1 one"])
        #expect(fixture.pins(ann, request: 3) == ["answer 3: pins "])
        _ = fixture.pin(1, by: bob, request: 4)
        #expect(fixture.unpin(1, by: ann, request: 2, retry: true) == ["answer 2: asSent 1 one"])
        #expect(fixture.pins(ann, request: 3) == ["answer 3: pins 1"])
    }

    @Test("that is repeated becomes the newest")
    func repeated() {
        var fixture = Self.fixture()
        for sequence in [1, 2, 1] {
            _ = fixture.advance(by: .seconds(1))
            _ = fixture.pin(sequence, by: ann)
        }
        #expect(fixture.pins(ann, request: 1) == ["answer 1: pins 1,2"])
    }

    @Test("is the newest even if the clock was set back meanwhile")
    func clockSetBack() {
        var fixture = Self.fixture()
        _ = fixture.pin(3, by: ann)
        fixture.now.wall.milliseconds -= 3_600_000
        _ = fixture.pin(1, by: ann)
        #expect(fixture.pins(ann, request: 1) == ["answer 1: pins 1,3"])
        _ = fixture.pin(3, by: ann)
        #expect(fixture.pins(ann, request: 1) == ["answer 1: pins 3,1"])
    }

    @Test("is for the creator and admins only if the conversation says so")
    func policy() {
        var fixture = Self.fixture()
        fixture.conversation.record?.pinPolicy = .creator
        let refusal = refused(.notAllowed("the creator of the conversation or an admin"))
        #expect(fixture.pin(1, by: bob) == [refusal])
        #expect(fixture.pin(1, by: ann) == ["event: pinned 1 by ann"])
        #expect(fixture.unpin(1, by: bob) == [refusal])
        #expect(fixture.unpin(1, by: bob, admin: true) == ["event: unpinned 1 by bob"])
    }

    @Test("needs a retained message that is not deleted")
    func refusals() {
        var fixture = Self.fixture()
        #expect(fixture.pin(4, by: ann) == [refused(.noSuchMessage(4))])
        #expect(fixture.pin(1, by: cid) == [refused(.noSuchConversation)])
        _ = fixture.delete(1, by: ann)
        #expect(fixture.pin(1, by: ann) == [refused(.messageDeleted(1))])
        _ = fixture.end(by: ann)
        #expect(fixture.pin(2, by: ann) == [refused(.conversationEnded)])
    }

    @Test("shows the present text, and ends when the message is deleted")
    func amended() {
        var fixture = Self.fixture()
        _ = fixture.pin(1, by: ann)
        _ = fixture.edit(1, to: "uno", by: ann)
        #expect(fixture.conversation.pins.map(\.body.content) == ["uno"])
        #expect(fixture.conversation.pins[0].isPinned)
        _ = fixture.delete(1, by: ann)
        #expect(fixture.conversation.pins.isEmpty)
        #expect(fixture.store.pins.isEmpty)
    }

    @Test("outlives the history, and can be ended after it")
    func trimmed() {
        var limits = Limits()
        limits.historyLimit = 2
        var fixture = Self.fixture(limits)
        _ = fixture.pin(2, by: ann)
        for _ in 0..<3 { _ = fixture.post("more", by: ann) }
        fixture.store.oldest = 5
        #expect(fixture.pins(bob, request: 1) == ["answer 1: pins 2"])
        #expect(fixture.unpin(2, by: bob) == ["event: unpinned 2 by bob"])
        #expect(fixture.pins(bob, request: 1) == ["answer 1: pins "])
    }

    @Test("that has left the history can be edited, deleted and reacted to")
    func trimmedAmendments() {
        var limits = Limits()
        limits.historyLimit = 2
        var fixture = Self.fixture(limits)
        _ = fixture.pin(2, by: ann)
        _ = fixture.pin(3, by: ann)
        for _ in 0..<3 { _ = fixture.post("more", by: ann) }
        fixture.store.oldest = 5
        #expect(
            fixture.react(2, Emoji(given: "👍")!, by: bob, request: 1) == [
                "event: reactions of 2: 👍bob, answers 1"
            ])
        #expect(
            fixture.edit(2, to: "due", by: bob) == [
                refused(.notAllowed("the author of a message or an admin"))
            ])
        #expect(fixture.edit(2, to: "due", by: ann).count == 1)
        #expect(fixture.conversation.pins.first?.body.content == "due")
        #expect(fixture.conversation.pins.first?.body.annotations?.reactions != nil)
        #expect(fixture.edit(1, to: "no", by: ann) == [refused(.noSuchMessage(1))])
        #expect(fixture.delete(2, by: ann).count == 1)
        #expect(fixture.delete(3, by: bob, admin: true).count == 1)
        #expect(fixture.conversation.pins.isEmpty)
        #expect(fixture.store.pins.isEmpty)
        #expect(fixture.delete(2, by: ann) == [refused(.noSuchMessage(2))])
    }

    @Test("is limited to a hundred messages")
    func limit() {
        var fixture = ConversationFixture(of: [ann])
        for number in 1...101 { _ = fixture.post("\(number)", by: ann) }
        for number in 1...100 { _ = fixture.pin(number, by: ann) }
        #expect(fixture.pin(101, by: ann) == [refused(.tooManyPins(limit: 100))])
        #expect(fixture.pin(50, by: ann).count == 1)
        _ = fixture.unpin(1, by: ann)
        #expect(fixture.pin(101, by: ann).count == 1)
    }
}
