import ChatModel
import Testing

@testable import ChatCore

@Suite("A send that is repeated")
struct RepeatedSendTests {
    @Test("gets the first answer again, whatever its words, and nobody else hears of it")
    func stored() {
        var stage = ConversationFixture(of: [ann])
        #expect(stage.post("first", by: ann, id: "a") == ["event: posted 1 first"])
        _ = stage.advance(by: .seconds(1))
        #expect(stage.post("second", by: ann, id: "a") == ["answer: posted 1 first"])
        #expect(stage.store.messages.count == 1)
    }

    @Test("waits for the first one that is on its way")
    func whilePending() {
        var stage = ConversationFixture(of: [ann])
        stage.isStoreSlow = true
        _ = stage.post("hi", by: ann, id: "a", request: 1)
        #expect(stage.post("hi", by: ann, id: "a", request: 2) == [])
        #expect(stage.answerStore() == ["event: posted 1 hi, answers 1", "answer 2: posted 1 hi"])
    }

    @Test("waits for its own first one, and not for another that is stored earlier")
    func eachWhilePending() {
        var stage = ConversationFixture(of: [ann])
        stage.isStoreSlow = true
        _ = stage.post("one", by: ann, id: "a", request: 1)
        _ = stage.post("two", by: ann, id: "b", request: 2)
        _ = stage.post("two", by: ann, id: "b", request: 3)
        _ = stage.post("one", by: ann, id: "a", request: 4)
        #expect(
            stage.answerStore(1) == ["event: posted 1 one, answers 1", "answer 4: posted 1 one"])
        #expect(
            stage.answerStore(1) == ["event: posted 2 two, answers 2", "answer 3: posted 2 two"])
    }

    @Test(
        "is known among the newest thousand messages, by this owner and the next",
        arguments: [false, true])
    func newestThousand(ownerChanges: Bool) {
        var stage = ConversationFixture(of: [ann])
        for number in 1...3000 {
            _ = stage.post("\(number)", by: ann, id: "\(number)")
            _ = stage.advance(by: .seconds(1))
        }
        if ownerChanges { stage.changeOwner() }
        for number in [2001, 2500, 3000] {
            #expect(
                stage.post("again", by: ann, id: "\(number)") == [
                    "answer: posted \(number) \(number)"
                ])
        }
    }

    @Test("by the same request gets one answer, however often it was asked again")
    func sameRequest() {
        var stage = ConversationFixture(of: [ann])
        stage.isStoreSlow = true
        _ = stage.post("hi", by: ann, id: "a", request: 1)
        _ = stage.post("hi", by: ann, id: "a", request: 2, retry: true)
        _ = stage.post("hi", by: ann, id: "a", request: 2, retry: true)
        _ = stage.post("hi", by: ann, id: "a", on: west, request: 2, retry: true)
        #expect(
            stage.answerStore() == [
                "event: posted 1 hi, answers 1", "answer 2: posted 1 hi", "answer 2: posted 1 hi",
            ])
    }

    @Test("is another message where its client gave no id")
    func withoutID() {
        var stage = ConversationFixture(of: [ann])
        _ = stage.post("hi", by: ann)
        #expect(stage.post("hi", by: ann) == ["event: posted 2 hi"])
    }

    @Test("is another message where another user sends it")
    func otherAuthor() {
        var stage = ConversationFixture(of: [ann, bob])
        _ = stage.post("hi", by: ann, id: "a")
        #expect(stage.post("hi", by: bob, id: "a") == ["event: posted 2 hi"])
    }

    @Test("is known to the next owner")
    func nextOwner() {
        var stage = ConversationFixture(of: [ann])
        _ = stage.post("hi", by: ann, id: "a")
        _ = stage.post("more", by: ann, id: "b")
        stage.changeOwner()
        #expect(stage.post("hi", by: ann, id: "a") == ["answer: posted 1 hi"])
    }

    @Test("is answered after the end, and a first one is not")
    func afterTheEnd() {
        var stage = ConversationFixture(of: [ann])
        _ = stage.post("hi", by: ann, id: "a")
        _ = stage.end(by: ann)
        #expect(stage.post("hi", by: ann, id: "a") == ["answer: posted 1 hi"])
        #expect(stage.post("hi", by: ann, id: "b") == [refused(.conversationEnded)])
    }

    @Test("is answered while the store takes no writes")
    func storeUnavailable() {
        var stage = ConversationFixture(of: [ann])
        _ = stage.post("hi", by: ann, id: "a")
        stage.conversation.areWritesUnavailable = true
        #expect(stage.post("hi", by: ann, id: "a") == ["answer: posted 1 hi"])
    }

    @Test("may be tried again when the store cannot look up the first one")
    func storeFails() {
        var stage = ConversationFixture(of: [ann])
        _ = stage.post("hi", by: ann, id: "a")
        stage.isStoreSlow = true
        _ = stage.post("hi", by: ann, id: "a")
        #expect(stage.failStore() == [refused(.unavailable)])
    }

    @Test("is another message when the first one is not kept any more")
    func trimmedMessage() {
        var stage = ConversationFixture(of: [ann])
        _ = stage.post("hi", by: ann, id: "a")
        stage.store.oldest = 2
        #expect(stage.post("hi", by: ann, id: "a") == ["event: posted 2 hi"])
    }

    @Test("does not bring back words that were deleted while the first one was looked up")
    func deletedDuringLookup() {
        var stage = ConversationFixture(of: [ann])
        _ = stage.post("regret", by: ann, id: "a")
        stage.isStoreSlow = true
        _ = stage.post("regret", by: ann, id: "a")
        _ = stage.delete(1, by: ann)
        _ = stage.answerStoreNewest()
        #expect(stage.answerStoreNewest() == ["event: deleted 1"])
        #expect(stage.answerStore() == ["answer: posted 1"])
    }

    @Test("does not bring them back either when another message was found in between")
    func deletedLongDuringLookup() {
        var stage = ConversationFixture(of: [ann])
        _ = stage.post("regret", by: ann, id: "a")
        _ = stage.post("more", by: ann, id: "b")
        stage.isStoreSlow = true
        _ = stage.post("regret", by: ann, id: "a")
        _ = stage.post("more", by: ann, id: "b")
        _ = stage.delete(1, by: ann)
        _ = stage.answerStoreNewest()
        #expect(stage.answerStoreNewest() == ["event: deleted 1"])
        #expect(stage.answerStoreNewest() == ["answer: posted 2 more"])
        #expect(stage.answerStoreNewest() == ["answer: posted 1"])
    }

    @Test("is refused when its author has left meanwhile")
    func leftDuringLookup() {
        var stage = ConversationFixture(of: [ann, bob])
        _ = stage.post("hi", by: bob, id: "a")
        stage.store.oldest = 2
        stage.isStoreSlow = true
        _ = stage.post("hi", by: bob, id: "a")
        _ = stage.leave(bob)
        #expect(stage.answerStore(1) == [refused(.notAMember)])
    }
}
