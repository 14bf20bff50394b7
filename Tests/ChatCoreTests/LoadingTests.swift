import ChatModel
import Testing

@testable import ChatCore

@Suite("A conversation without loaded state")
struct LoadingTests {
    /// A new owner of a conversation with one message, whose store is slow.
    private static func unloaded(content: String? = "before") -> ConversationFixture {
        var fixture = ConversationFixture(of: [ann, bob])
        if let content { _ = fixture.post(content, by: ann) }
        fixture.changeOwner()
        fixture.isStoreSlow = true
        return fixture
    }

    @Test("is loaded once, however many inputs wait")
    func loadsOnce() {
        var fixture = Self.unloaded()
        #expect(fixture.post("hi", by: ann) == [])
        #expect(fixture.describe(by: bob) == [])
        #expect(fixture.joinAndSubscribe(bob) == [])
        #expect(fixture.storeRequests == ["load"])
    }

    @Test("handles waiting inputs in the order of their arrival")
    func order() {
        var fixture = Self.unloaded(content: nil)
        _ = fixture.post("first", by: bob)
        _ = fixture.describe(by: ann)
        _ = fixture.post("second", by: ann)
        #expect(fixture.answerStore() == ["answer: described"])
        #expect(fixture.answerStore() == ["event: posted 1 first", "event: posted 2 second"])
    }

    @Test("loads the recent messages only when an input needs them")
    func loadsRecentsLate() {
        var fixture = Self.unloaded()
        fixture.isStoreSlow = false
        _ = fixture.joinAndSubscribe(ann)
        _ = fixture.setTyping(by: ann)
        #expect(fixture.storeRequests == ["load"])
        _ = fixture.post("hi", by: ann)
        #expect(fixture.storeRequests == ["load", "load recents", "5 message 2 hi"])
    }

    @Test("loads no recent messages if there are no messages")
    func noRecentsToLoad() {
        var fixture = Self.unloaded(content: nil)
        fixture.isStoreSlow = false
        _ = fixture.post("hi", by: ann)
        #expect(fixture.storeRequests == ["load", "4 message 1 hi"])
    }

    @Test("lets no input overtake a send that waits for the recent messages")
    func nothingOvertakes() {
        var fixture = Self.unloaded()
        _ = fixture.post("hi", by: ann)
        _ = fixture.end(by: ann)
        #expect(fixture.answerStore() == [])
        _ = fixture.describe(by: bob)
        #expect(fixture.answerStore() == ["answer: described"])
        #expect(fixture.answerStore() == ["event: posted 2 hi", "event: ended by ann"])
    }

    @Test("accepts a departure without loading")
    func departure() {
        var fixture = Self.unloaded()
        #expect(fixture.unsubscribe(ann) == [])
        #expect(fixture.detach(east) == [])
        #expect(fixture.storeRequests == [])
    }

    @Test("handles a departure in order while it is being loaded")
    func departureInOrder() {
        var fixture = Self.unloaded()
        _ = fixture.joinAndSubscribe(ann)
        _ = fixture.joinAndSubscribe(bob)
        _ = fixture.unsubscribe(ann)
        _ = fixture.describe(by: bob)
        _ = fixture.answerStore()
        #expect(fixture.lastDetails?.online == [bob.id])
    }

    @Test("lets 4,096 inputs wait, refuses the next one, and accepts every departure")
    func bound() {
        var fixture = Self.unloaded()
        for _ in 0..<4096 { #expect(fixture.joinAndSubscribe(ann) == []) }
        #expect(fixture.joinAndSubscribe(bob) == [refused(.unavailable)])
        #expect(fixture.unsubscribe(ann) == [])
        _ = fixture.answerStore()
        _ = fixture.describe(by: ann)
        #expect(fixture.lastDetails?.online == [])
    }

    @Test("that does not exist refuses every waiting input")
    func missing() {
        var fixture = ConversationFixture()
        fixture.isStoreSlow = true
        _ = fixture.post("hi", by: ann)
        #expect(fixture.answerStore() == [refused(.noSuchConversation)])
    }

    @Test("ignores an answer of the store that it did not request")
    func unrequested() {
        var fixture = Self.unloaded()
        fixture.isStoreSlow = false
        _ = fixture.post("hi", by: ann)
        #expect(fixture.run { $0.loaded(nil, at: $1, into: &$2) } == [])
        #expect(fixture.run { $0.loadedRecents([], at: $1, into: &$2) } == [])
        #expect(fixture.post("more", by: ann) == ["event: posted 3 more"])
    }
}
