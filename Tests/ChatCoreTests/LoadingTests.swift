import ChatModel
import Testing

@testable import ChatCore

@Suite("A conversation of which nothing is known")
struct LoadingTests {
    /// A new owner of a conversation with one message, whose store is slow.
    private static func unloaded(content words: String? = "before") -> ConversationFixture {
        var stage = ConversationFixture(of: [ann, bob])
        if let words { _ = stage.post(words, by: ann) }
        stage.changeOwner()
        stage.isStoreSlow = true
        return stage
    }

    @Test("asks the store once, however many wait")
    func loadsOnce() {
        var stage = Self.unloaded()
        #expect(stage.post("hi", by: ann) == [])
        #expect(stage.describe(by: bob) == [])
        #expect(stage.joinAndSubscribe(bob) == [])
        #expect(stage.storeRequests == ["load"])
    }

    @Test("does what waits in the order in which it came")
    func order() {
        var stage = Self.unloaded(content: nil)
        _ = stage.post("first", by: bob)
        _ = stage.describe(by: ann)
        _ = stage.post("second", by: ann)
        #expect(stage.answerStore() == ["answer: described"])
        #expect(stage.answerStore() == ["event: posted 1 first", "event: posted 2 second"])
    }

    @Test("asks for the newest messages' senders only when somebody needs them")
    func loadsRecentsLate() {
        var stage = Self.unloaded()
        stage.isStoreSlow = false
        _ = stage.joinAndSubscribe(ann)
        _ = stage.setTyping(by: ann)
        #expect(stage.storeRequests == ["load"])
        _ = stage.post("hi", by: ann)
        #expect(stage.storeRequests == ["load", "recall", "5 message 2 hi"])
    }

    @Test("asks for no senders where there are no messages")
    func noRecentsToLoad() {
        var stage = Self.unloaded(content: nil)
        stage.isStoreSlow = false
        _ = stage.post("hi", by: ann)
        #expect(stage.storeRequests == ["load", "4 message 1 hi"])
    }

    @Test("lets nothing overtake a send that waits for the senders")
    func nothingOvertakes() {
        var stage = Self.unloaded()
        _ = stage.post("hi", by: ann)
        _ = stage.end(by: ann)
        #expect(stage.answerStore() == [])
        _ = stage.describe(by: bob)
        #expect(stage.answerStore() == ["answer: described"])
        #expect(stage.answerStore() == ["event: posted 2 hi", "event: ended by ann"])
    }

    @Test("takes a farewell without asking the store")
    func departure() {
        var stage = Self.unloaded()
        #expect(stage.unsubscribe(ann) == [])
        #expect(stage.detach(east) == [])
        #expect(stage.storeRequests == [])
    }

    @Test("takes a farewell in its turn while the store is asked")
    func departureInOrder() {
        var stage = Self.unloaded()
        _ = stage.joinAndSubscribe(ann)
        _ = stage.joinAndSubscribe(bob)
        _ = stage.unsubscribe(ann)
        _ = stage.describe(by: bob)
        _ = stage.answerStore()
        #expect(stage.lastDetails?.online == [bob.id])
    }

    @Test("has 4096 wait, tells the next one to try again, and takes every farewell")
    func bound() {
        var stage = Self.unloaded()
        for _ in 0..<4096 { #expect(stage.joinAndSubscribe(ann) == []) }
        #expect(stage.joinAndSubscribe(bob) == [refused(.unavailable)])
        #expect(stage.unsubscribe(ann) == [])
        _ = stage.answerStore()
        _ = stage.describe(by: ann)
        #expect(stage.lastDetails?.online == [])
    }

    @Test("that does not exist either is refused to whoever waits")
    func missing() {
        var stage = ConversationFixture()
        stage.isStoreSlow = true
        _ = stage.post("hi", by: ann)
        #expect(stage.answerStore() == [refused(.noSuchConversation)])
    }

    @Test("takes no answer that it has not asked for")
    func unrequested() {
        var stage = Self.unloaded()
        stage.isStoreSlow = false
        _ = stage.post("hi", by: ann)
        #expect(stage.run { $0.loaded(nil, at: $1, into: &$2) } == [])
        #expect(stage.run { $0.loadedRecents([], at: $1, into: &$2) } == [])
        #expect(stage.post("more", by: ann) == ["event: posted 3 more"])
    }
}
