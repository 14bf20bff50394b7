import ChatModel
import Testing

@testable import ChatCore

@Suite("When the store fails, a conversation")
struct StoreFailureTests {
    @Test("refuses waiting inputs, and loads again on the next one")
    func failedLoad() {
        var fixture = ConversationFixture(of: [ann, bob])
        fixture.changeOwner()
        fixture.isStoreSlow = true
        _ = fixture.post("hi", by: ann, request: 1)
        _ = fixture.attach(east, present: [ann])
        #expect(
            fixture.failStore() == [
                "answer 1: refused, \(ChatError.unavailable)",
                "answer 1: refused, \(ChatError.unavailable)",
            ])
        #expect(fixture.describe(by: bob) == [])
        #expect(fixture.storeRequests == ["load", "load"])
        #expect(fixture.answerStore() == ["answer: described"])
    }

    @Test("gives the number of a send that was not stored to the next one")
    func failedSend() {
        var fixture = ConversationFixture(of: [ann])
        #expect(fixture.failingStore { $0.post("lost", by: ann) } == [refused(.unavailable)])
        #expect(fixture.post("kept", by: ann) == ["event: posted 1 kept"])
    }

    @Test("refuses every requester of the same change")
    func failedChange() {
        var fixture = ConversationFixture(of: [ann])
        fixture.isStoreSlow = true
        _ = fixture.joinAndSubscribe(bob, request: 1)
        _ = fixture.joinAndSubscribe(bob, request: 2)
        _ = fixture.post("hi", by: ann, id: "a", request: 3)
        _ = fixture.post("hi", by: ann, id: "a", request: 4, retry: true)
        let refusals = (1...4).map { "answer \($0): refused, \(ChatError.unavailable)" }
        #expect(fixture.failStore().sorted() == refusals)
    }

    @Test("keeps subscribers and presence")
    func keepsSubscribers() {
        var fixture = ConversationFixture(of: [ann])
        _ = fixture.joinAndSubscribe(ann)
        _ = fixture.failingStore { $0.post("lost", by: ann) }
        #expect(fixture.conversation.subscribers.contains(east))
        #expect(fixture.describe(by: ann) == ["answer: described"])
        #expect(fixture.lastDetails?.online == [ann.id])
    }

    @Test("asks the loops to reattach if something was stored that was not announced")
    func storedButUnannounced() {
        var fixture = ConversationFixture(of: [ann])
        _ = fixture.joinAndSubscribe(ann)
        fixture.isStoreSlow = true
        _ = fixture.post("stored all the same", by: ann)
        let revision = fixture.store.revision + 1
        _ = fixture.failStore()
        let body = MessageBody.text("stored all the same", by: ann)
        fixture.store.write(
            .message(
                Message(sequence: 1, revision: revision, sentAt: fixture.now.wall, body: body)),
            revision)
        fixture.isStoreSlow = false
        #expect(fixture.describe(by: ann) == ["request reattach", "answer: described"])
        #expect(fixture.post("next", by: ann) == ["event: posted 2 next"])
    }

    @Test("asks no loop to reattach if nothing else was stored")
    func nothingUnannounced() {
        var fixture = ConversationFixture(of: [ann])
        _ = fixture.joinAndSubscribe(ann)
        _ = fixture.failingStore { $0.post("lost", by: ann) }
        #expect(fixture.describe(by: ann) == ["answer: described"])
    }

    @Test("handles departures that were waiting")
    func departures() {
        var fixture = ConversationFixture(of: [ann])
        _ = fixture.joinAndSubscribe(ann)
        fixture.isStoreSlow = true
        _ = fixture.post("lost", by: ann)
        _ = fixture.failStore()
        _ = fixture.describe(by: ann)
        _ = fixture.unsubscribe(ann)
        _ = fixture.detach(east)
        _ = fixture.failStore()
        #expect(fixture.conversation.subscribers.isEmpty)
    }

    @Test("keeps delivery reports that were waiting")
    func reports() {
        var fixture = ConversationFixture(of: [ann, bob])
        _ = fixture.post("hi", by: ann)
        fixture.changeOwner()
        _ = fixture.joinAndSubscribe(ann)
        #expect(fixture.failingStore { $0.reportDelivered(1...1, to: bob) } == [])
        #expect(
            fixture.describe(by: ann) == ["notify east: delivered 1 of ann", "answer: described"])
    }

    @Test("loads again after a second for delivery reports, which have no requester that retries")
    func reportsOnly() {
        var fixture = ConversationFixture(of: [ann, bob])
        _ = fixture.post("hi", by: ann)
        fixture.changeOwner()
        _ = fixture.failingStore { $0.reportDelivered(1...1, to: bob) }
        _ = fixture.advance(by: .seconds(8))
        #expect(fixture.store.members.map(\.deliveredCursor) == [0, 1])
        #expect(fixture.conversation.isIdle)
    }

    @Test("stores the cursors that had moved, even without another request")
    func cursorsOnly() {
        var fixture = ConversationFixture(of: [ann, bob])
        _ = fixture.post("hi", by: ann)
        _ = fixture.reportDelivered(1...1, to: bob)
        _ = fixture.failingStore { $0.post("lost", by: ann) }
        _ = fixture.advance(by: .seconds(8))
        #expect(fixture.store.members.map(\.deliveredCursor) == [0, 1])
        #expect(fixture.conversation.isIdle)
    }

    @Test("forgets a member whose join was not stored")
    func failedJoin() {
        var fixture = ConversationFixture(of: [ann])
        _ = fixture.failingStore { $0.join(bob, listed: true) }
        #expect(fixture.post("hi", by: bob) == [refused(.noSuchConversation)])
    }

    @Test("can be ended again after an end that was not stored")
    func failedEnd() {
        var fixture = ConversationFixture(of: [ann])
        #expect(fixture.failingStore { $0.end(by: ann) } == [refused(.unavailable)])
        #expect(fixture.post("hi", by: ann) == ["event: posted 1 hi"])
        #expect(fixture.end(by: ann) == ["event: ended by ann"])
    }
}
