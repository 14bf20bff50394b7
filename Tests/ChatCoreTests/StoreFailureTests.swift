import ChatModel
import Testing

@testable import ChatCore

@Suite("When the store fails, a conversation")
struct StoreFailureTests {
    @Test("tells whoever waits for it to try again, and asks again when somebody does")
    func failedLoad() {
        var stage = ConversationFixture(of: [ann, bob])
        stage.changeOwner()
        stage.isStoreSlow = true
        _ = stage.post("hi", by: ann, request: 1)
        _ = stage.attach(east, present: [ann])
        #expect(
            stage.failStore() == [
                "answer 1: refused, \(ChatError.unavailable)",
                "answer 1: refused, \(ChatError.unavailable)",
            ])
        #expect(stage.describe(by: bob) == [])
        #expect(stage.storeRequests == ["load", "load"])
        #expect(stage.answerStore() == ["answer: described"])
    }

    @Test("gives the number of a send that was not stored to the next one")
    func failedSend() {
        var stage = ConversationFixture(of: [ann])
        #expect(stage.failingStore { $0.post("lost", by: ann) } == [refused(.unavailable)])
        #expect(stage.post("kept", by: ann) == ["event: posted 1 kept"])
    }

    @Test("tells everybody who asked for the same change to try again")
    func failedChange() {
        var stage = ConversationFixture(of: [ann])
        stage.isStoreSlow = true
        _ = stage.joinAndSubscribe(bob, request: 1)
        _ = stage.joinAndSubscribe(bob, request: 2)
        _ = stage.post("hi", by: ann, id: "a", request: 3)
        _ = stage.post("hi", by: ann, id: "a", request: 4, retry: true)
        let refusals = (1...4).map { "answer \($0): refused, \(ChatError.unavailable)" }
        #expect(stage.failStore().sorted() == refusals)
    }

    @Test("keeps who listens and who is there")
    func keepsSubscribers() {
        var stage = ConversationFixture(of: [ann])
        _ = stage.joinAndSubscribe(ann)
        _ = stage.failingStore { $0.post("lost", by: ann) }
        #expect(stage.conversation.subscribers.contains(east))
        #expect(stage.describe(by: ann) == ["answer: described"])
        #expect(stage.lastDetails?.online == [ann.id])
    }

    @Test("calls the listeners again when something was stored of which they have not heard")
    func storedButUnannounced() {
        var stage = ConversationFixture(of: [ann])
        _ = stage.joinAndSubscribe(ann)
        stage.isStoreSlow = true
        _ = stage.post("stored all the same", by: ann)
        let revision = stage.store.revision + 1
        _ = stage.failStore()
        let body = MessageBody.text("stored all the same", by: ann)
        stage.store.write(
            .message(Message(sequence: 1, revision: revision, sentAt: stage.now.wall, body: body)),
            revision)
        stage.isStoreSlow = false
        #expect(stage.describe(by: ann) == ["call again", "answer: described"])
        #expect(stage.post("next", by: ann) == ["event: posted 2 next"])
    }

    @Test("calls nobody again where nothing else was stored")
    func nothingUnannounced() {
        var stage = ConversationFixture(of: [ann])
        _ = stage.joinAndSubscribe(ann)
        _ = stage.failingStore { $0.post("lost", by: ann) }
        #expect(stage.describe(by: ann) == ["answer: described"])
    }

    @Test("still lets those go who said farewell while they waited")
    func departures() {
        var stage = ConversationFixture(of: [ann])
        _ = stage.joinAndSubscribe(ann)
        stage.isStoreSlow = true
        _ = stage.post("lost", by: ann)
        _ = stage.failStore()
        _ = stage.describe(by: ann)
        _ = stage.unsubscribe(ann)
        _ = stage.detach(east)
        _ = stage.failStore()
        #expect(stage.conversation.subscribers.isEmpty)
    }

    @Test("keeps the reports of deliveries that waited")
    func reports() {
        var stage = ConversationFixture(of: [ann, bob])
        _ = stage.post("hi", by: ann)
        stage.changeOwner()
        _ = stage.joinAndSubscribe(ann)
        #expect(stage.failingStore { $0.reportDelivered(1...1, to: bob) } == [])
        #expect(stage.describe(by: ann) == ["tell east: delivered 1 of ann", "answer: described"])
    }

    @Test("asks the store again in a second for what waits without an asker: reports of deliveries")
    func reportsOnly() {
        var stage = ConversationFixture(of: [ann, bob])
        _ = stage.post("hi", by: ann)
        stage.changeOwner()
        _ = stage.failingStore { $0.reportDelivered(1...1, to: bob) }
        _ = stage.advance(by: .seconds(8))
        #expect(stage.store.members.map(\.deliveredCursor) == [0, 1])
        #expect(stage.conversation.isIdle)
    }

    @Test("stores the cursors that had moved, though nobody asks for anything any more")
    func cursorsOnly() {
        var stage = ConversationFixture(of: [ann, bob])
        _ = stage.post("hi", by: ann)
        _ = stage.reportDelivered(1...1, to: bob)
        _ = stage.failingStore { $0.post("lost", by: ann) }
        _ = stage.advance(by: .seconds(8))
        #expect(stage.store.members.map(\.deliveredCursor) == [0, 1])
        #expect(stage.conversation.isIdle)
    }

    @Test("forgets who came in by a change that was not stored")
    func failedJoin() {
        var stage = ConversationFixture(of: [ann])
        _ = stage.failingStore { $0.join(bob, listed: true) }
        #expect(stage.post("hi", by: bob) == [refused(.notAMember)])
    }

    @Test("may be ended by somebody after an end that was not stored")
    func failedEnd() {
        var stage = ConversationFixture(of: [ann])
        #expect(stage.failingStore { $0.end(by: ann) } == [refused(.unavailable)])
        #expect(stage.post("hi", by: ann) == ["event: posted 1 hi"])
        #expect(stage.end(by: ann) == ["event: ended by ann"])
    }
}
