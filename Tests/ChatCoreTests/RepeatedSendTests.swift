import ChatModel
import Testing

@testable import ChatCore

@Suite("A repeated send")
struct RepeatedSendTests {
    @Test("gets the first answer again, whatever its text, and causes no event")
    func stored() {
        var fixture = ConversationFixture(of: [ann])
        #expect(fixture.post("first", by: ann, id: "a") == ["event: posted 1 first"])
        _ = fixture.advance(by: .seconds(1))
        #expect(fixture.post("second", by: ann, id: "a") == ["answer: repeats 1 first"])
        #expect(fixture.store.messages.count == 1)
    }

    @Test("waits for the first one that is in flight")
    func whilePending() {
        var fixture = ConversationFixture(of: [ann])
        fixture.isStoreSlow = true
        _ = fixture.post("hi", by: ann, id: "a", request: 1)
        #expect(fixture.post("hi", by: ann, id: "a", request: 2) == [])
        #expect(
            fixture.answerStore() == ["event: posted 1 hi, answers 1", "answer 2: repeats 1 hi"])
    }

    @Test("waits for its own first one, and not for another one that is stored earlier")
    func eachWhilePending() {
        var fixture = ConversationFixture(of: [ann])
        fixture.isStoreSlow = true
        _ = fixture.post("one", by: ann, id: "a", request: 1)
        _ = fixture.post("two", by: ann, id: "b", request: 2)
        _ = fixture.post("two", by: ann, id: "b", request: 3)
        _ = fixture.post("one", by: ann, id: "a", request: 4)
        #expect(
            fixture.answerStore(1) == ["event: posted 1 one, answers 1", "answer 4: repeats 1 one"])
        #expect(
            fixture.answerStore(1) == ["event: posted 2 two, answers 2", "answer 3: repeats 2 two"])
    }

    @Test(
        "is recognized among the newest 1,000 messages, by this owner and the next",
        arguments: [false, true])
    func newestThousand(ownerChanges: Bool) {
        var fixture = ConversationFixture(of: [ann])
        for number in 1...3000 {
            _ = fixture.post("\(number)", by: ann, id: "\(number)")
            _ = fixture.advance(by: .seconds(1))
        }
        if ownerChanges { fixture.changeOwner() }
        for number in [2001, 2500, 3000] {
            #expect(
                fixture.post("again", by: ann, id: "\(number)") == [
                    "answer: repeats \(number) \(number)"
                ])
        }
    }

    @Test("of the same request gets one answer, however often it is retried")
    func sameRequest() {
        var fixture = ConversationFixture(of: [ann])
        fixture.isStoreSlow = true
        _ = fixture.post("hi", by: ann, id: "a", request: 1)
        _ = fixture.post("hi", by: ann, id: "a", request: 2, retry: true)
        _ = fixture.post("hi", by: ann, id: "a", request: 2, retry: true)
        _ = fixture.post("hi", by: ann, id: "a", on: west, request: 2, retry: true)
        #expect(
            fixture.answerStore() == [
                "event: posted 1 hi, answers 1", "answer 2: posted 1 hi", "answer 2: posted 1 hi",
            ])
    }

    @Test("is a new message if the client gave no id")
    func withoutID() {
        var fixture = ConversationFixture(of: [ann])
        _ = fixture.post("hi", by: ann)
        #expect(fixture.post("hi", by: ann) == ["event: posted 2 hi"])
    }

    @Test("is a new message if another user sends it")
    func otherAuthor() {
        var fixture = ConversationFixture(of: [ann, bob])
        _ = fixture.post("hi", by: ann, id: "a")
        #expect(fixture.post("hi", by: bob, id: "a") == ["event: posted 2 hi"])
    }

    @Test("is recognized by the next owner")
    func nextOwner() {
        var fixture = ConversationFixture(of: [ann])
        _ = fixture.post("hi", by: ann, id: "a")
        _ = fixture.post("more", by: ann, id: "b")
        fixture.changeOwner()
        #expect(fixture.post("hi", by: ann, id: "a") == ["answer: repeats 1 hi"])
    }

    @Test("by the server itself is not reported to the client as a repeat")
    func retriedByServer() {
        var fixture = ConversationFixture(of: [ann])
        _ = fixture.post("hi", by: ann, id: "a", request: 1)
        fixture.changeOwner()
        #expect(
            fixture.post("hi", by: ann, id: "a", request: 1, retry: true) == [
                "answer 1: posted 1 hi"
            ])
    }

    @Test("is answered after the end, and a first one is not")
    func afterTheEnd() {
        var fixture = ConversationFixture(of: [ann])
        _ = fixture.post("hi", by: ann, id: "a")
        _ = fixture.end(by: ann)
        #expect(fixture.post("hi", by: ann, id: "a") == ["answer: repeats 1 hi"])
        #expect(fixture.post("hi", by: ann, id: "b") == [refused(.conversationEnded)])
    }

    @Test("is answered while writes are unavailable")
    func storeUnavailable() {
        var fixture = ConversationFixture(of: [ann])
        _ = fixture.post("hi", by: ann, id: "a")
        fixture.conversation.areWritesUnavailable = true
        #expect(fixture.post("hi", by: ann, id: "a") == ["answer: repeats 1 hi"])
    }

    @Test("may be retried when the store cannot look up the first one")
    func storeFails() {
        var fixture = ConversationFixture(of: [ann])
        _ = fixture.post("hi", by: ann, id: "a")
        fixture.isStoreSlow = true
        _ = fixture.post("hi", by: ann, id: "a")
        #expect(fixture.failStore() == [refused(.unavailable)])
    }

    @Test("is a new message when the first one is no longer kept")
    func trimmedMessage() {
        var fixture = ConversationFixture(of: [ann])
        _ = fixture.post("hi", by: ann, id: "a")
        fixture.store.oldest = 2
        #expect(fixture.post("hi", by: ann, id: "a") == ["event: posted 2 hi"])
    }

    @Test("does not bring back text that was deleted during the lookup")
    func deletedDuringLookup() {
        var fixture = ConversationFixture(of: [ann])
        _ = fixture.post("regret", by: ann, id: "a")
        fixture.isStoreSlow = true
        _ = fixture.delete(1, by: ann)
        _ = fixture.answerStore()
        // The store reads the message before it stores the deletion.
        _ = fixture.post("regret", by: ann, id: "a")
        #expect(fixture.answerStore(1) == ["event: deleted 1"])
        #expect(fixture.answerStore() == ["answer: repeats 1"])
    }

    @Test("does not bring it back either if another message was found in between")
    func deletedLongDuringLookup() {
        var fixture = ConversationFixture(of: [ann])
        _ = fixture.post("regret", by: ann, id: "a")
        _ = fixture.post("more", by: ann, id: "b")
        fixture.isStoreSlow = true
        _ = fixture.delete(1, by: ann)
        _ = fixture.answerStore()
        _ = fixture.post("regret", by: ann, id: "a")
        _ = fixture.post("more", by: ann, id: "b")
        #expect(fixture.answerStore(1) == ["event: deleted 1"])
        #expect(fixture.answerStoreNewest() == ["answer: repeats 2 more"])
        #expect(fixture.answerStoreNewest() == ["answer: repeats 1"])
    }

    @Test("is refused if its author has left meanwhile")
    func leftDuringLookup() {
        var fixture = ConversationFixture(of: [ann, bob])
        _ = fixture.post("hi", by: bob, id: "a")
        fixture.store.oldest = 2
        fixture.isStoreSlow = true
        _ = fixture.post("hi", by: bob, id: "a")
        _ = fixture.leave(bob)
        #expect(fixture.answerStore(1) == [refused(.unavailable)])
        _ = fixture.answerStore()
        #expect(fixture.post("hi", by: bob, id: "a") == [refused(.noSuchConversation)])
    }
}
