import ChatModel
import Testing

@testable import ChatCore

@Suite("A conversation of which nothing is known")
struct LoadingTests {
    /// A new owner of a conversation with one message, whose store is slow.
    private static func unknown(said words: String? = "before") -> Stage {
        var stage = Stage(of: [ann, bob])
        if let words { _ = stage.say(words, by: ann) }
        stage.changeOwner()
        stage.isStoreSlow = true
        return stage
    }

    @Test("asks the store once, however many wait")
    func asksOnce() {
        var stage = Self.unknown()
        #expect(stage.say("hi", by: ann) == [])
        #expect(stage.describe(by: bob) == [])
        #expect(stage.enter(bob) == [])
        #expect(stage.asked == ["load"])
    }

    @Test("does what waits in the order in which it came")
    func order() {
        var stage = Self.unknown(said: nil)
        _ = stage.say("first", by: bob)
        _ = stage.describe(by: ann)
        _ = stage.say("second", by: ann)
        #expect(stage.answerStore() == ["answer: described"])
        #expect(stage.answerStore() == ["event: posted 1 first", "event: posted 2 second"])
    }

    @Test("asks for the newest messages' senders only when somebody needs them")
    func recallsLate() {
        var stage = Self.unknown()
        stage.isStoreSlow = false
        _ = stage.enter(ann)
        _ = stage.type(by: ann)
        #expect(stage.asked == ["load"])
        _ = stage.say("hi", by: ann)
        #expect(stage.asked == ["load", "recall", "5 message 2 hi"])
    }

    @Test("asks for no senders where there are no messages")
    func nothingToRecall() {
        var stage = Self.unknown(said: nil)
        stage.isStoreSlow = false
        _ = stage.say("hi", by: ann)
        #expect(stage.asked == ["load", "4 message 1 hi"])
    }

    @Test("lets nothing overtake a send that waits for the senders")
    func nothingOvertakes() {
        var stage = Self.unknown()
        _ = stage.say("hi", by: ann)
        _ = stage.end(by: ann)
        #expect(stage.answerStore() == [])
        _ = stage.describe(by: bob)
        #expect(stage.answerStore() == ["answer: described"])
        #expect(stage.answerStore() == ["event: posted 2 hi", "event: ended by ann"])
    }

    @Test("takes a farewell without asking the store")
    func farewell() {
        var stage = Self.unknown()
        #expect(stage.leave(ann) == [])
        #expect(stage.detach(east) == [])
        #expect(stage.asked == [])
    }

    @Test("takes a farewell in its turn while the store is asked")
    func farewellInTurn() {
        var stage = Self.unknown()
        _ = stage.enter(ann)
        _ = stage.enter(bob)
        _ = stage.leave(ann)
        _ = stage.describe(by: bob)
        _ = stage.answerStore()
        #expect(stage.described?.online == [bob.id])
    }

    @Test("has 4096 wait, tells the next one to try again, and takes every farewell")
    func bound() {
        var stage = Self.unknown()
        for _ in 0..<4096 { #expect(stage.enter(ann) == []) }
        #expect(stage.enter(bob) == [refused(.unavailable)])
        #expect(stage.leave(ann) == [])
        _ = stage.answerStore()
        _ = stage.describe(by: ann)
        #expect(stage.described?.online == [])
    }

    @Test("that does not exist either is refused to whoever waits")
    func missing() {
        var stage = Stage()
        stage.isStoreSlow = true
        _ = stage.say("hi", by: ann)
        #expect(stage.answerStore() == [refused(.noSuchConversation)])
    }

    @Test("takes no answer that it has not asked for")
    func unasked() {
        var stage = Self.unknown()
        stage.isStoreSlow = false
        _ = stage.say("hi", by: ann)
        #expect(stage.run { $0.loaded(nil, at: $1, into: &$2) } == [])
        #expect(stage.run { $0.remember([], at: $1, into: &$2) } == [])
        #expect(stage.say("more", by: ann) == ["event: posted 3 more"])
    }
}
