import Bytes
import ChatCore
import ChatModel
import Testing

@testable import ChatEngine

@Suite("A requester")
struct OwnerRequestFlowTests {
    let cluster = ThreeNodeCluster()

    @Test(
        "gets its answer as the event for all subscribers: one item per loop"
    )
    func answerInEvent() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        _ = self.cluster.subscribe(.carol, on: .third)
        self.cluster.advance(by: 3000)
        self.cluster.clearRecords()
        self.cluster.say("hello", by: alice, context: 7)

        #expect(self.cluster.takeDeliveries(on: .near) == ["1 hello ← 7"])
        #expect(self.cluster.takeDeliveries(on: .third) == ["1 hello"])
        #expect(self.cluster.takeItems(from: .far, to: .near) == ["event 1 hello"])
        #expect(self.cluster.takeItems(from: .far, to: .third) == ["event 1 hello"])
    }

    @Test("gets the same answer without an envelope if its loop is the owner")
    func ownLoop() {
        let alice = self.cluster.subscribe(.alice, on: .far)
        self.cluster.advance(by: 3000)
        self.cluster.clearRecords()
        self.cluster.say("hello", by: alice, context: 7)

        #expect(self.cluster.takeDeliveries(on: .far) == ["1 hello ← 7"])
        #expect(self.cluster.takeItems(from: .far, to: .far) == [])
        #expect(self.cluster.counts(of: .far) == (owned: 1, subscribed: 1, pending: 0))
    }

    @Test("gets a separate answer if its loop does not subscribe")
    func withoutSubscription() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        self.cluster.unsubscribe(alice)
        self.cluster.clearRecords()
        self.cluster.submit(.post(.said("by the by", by: .alice)), from: .near, context: 7)
        self.cluster.runUntilIdle()

        #expect(self.cluster.takeDeliveries(on: .near) == ["7: posted 1"])
        #expect(self.cluster.takeDeliveries(on: .third) == ["1 by the by"])
    }

    @Test("gets its answer through the conversation's new feed if its own has closed")
    func closedFeed() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        self.cluster.unsubscribe(alice)
        _ = self.cluster.subscribe(.alice, on: .near)
        self.cluster.runUntilIdle()
        self.cluster.clearRecords()
        self.cluster.say("hello", by: alice, context: 7)
        #expect(self.cluster.takeDeliveries(on: .near).last == "1 hello ← 7")
    }

    @Test("gets no answer without a context, but the event")
    func withoutContext() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        self.cluster.say("hello", by: alice)
        self.cluster.submit(.typing(true, by: .alice), by: alice)
        #expect(self.cluster.counts(of: .near).pending == 0)
        self.cluster.runUntilIdle()
        #expect(self.cluster.takeDeliveries(on: .near) == ["1 hello", "alice types"])
    }

    @Test("gets a refusal of the owner at once")
    func refusal() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        self.cluster.submit(.post(.said("hello", by: .carol)), by: alice, context: 7)
        self.cluster.submit(
            .end(by: Principal(person: .bob, isAdmin: false)), from: .third, context: 8)
        self.cluster.runUntilIdle()

        #expect(
            self.cluster.takeDeliveries(on: .near) == [
                "7: refused: no such conversation"
            ])
        #expect(
            self.cluster.takeDeliveries(on: .third) == [
                "8: refused: only the creator of a conversation or an admin may do this"
            ])
        #expect(self.cluster.counts(of: .near).pending == 0)
        #expect(self.cluster.stored.head == 0)
    }

    @Test("sends under its own id, or under a generated one that is never displayed")
    func clientIDs() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.say("one", by: alice, id: "mine")
        self.cluster.say("two", by: alice)
        self.cluster.say("three", by: alice)
        self.cluster.say("four", by: bob)

        let ids = self.cluster.stored.messages.map(\.body.clientMessageID)
        #expect(ids[0] == ClientMessageID(given: "mine"))
        #expect(ids[0]?.displayID == "mine")
        #expect(ids.dropFirst().allSatisfy { $0 != nil && $0?.displayID == nil })
        #expect(Set(ids).count == 4)
    }

    @Test("gets the same message for two sends with one id, even while the first is in flight")
    func sameID() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        self.cluster.submit(.post(.said("hello", by: .alice, id: "a")), by: alice, context: 7)
        self.cluster.submit(.post(.said("hello", by: .alice, id: "a")), by: alice, context: 8)
        self.cluster.runUntilIdle()
        self.cluster.say("hello", by: alice, id: "a", context: 9)

        // Answer 8 names a message that the feed delivered after the request, answer 9 one
        // delivered before.
        #expect(
            self.cluster.takeDeliveries(on: .near) == [
                "1 hello ← 7", "8: posted 1, also an event", "9: posted 1",
            ])
        #expect(self.cluster.takeDeliveries(on: .third) == ["1 hello"])
        #expect(self.cluster.storedText == ["1 hello"])
    }

    @Test("gets events as answers to edits, deletions and the end")
    func amendmentsAnsweredByEvents() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        let actor = Principal(person: .alice, isAdmin: false)
        self.cluster.say("one", by: alice)
        self.cluster.submit(.edit(1, content: "uno", by: actor), by: alice, context: 7)
        self.cluster.runUntilIdle()
        self.cluster.submit(.delete(1, by: actor), by: alice, context: 8)
        self.cluster.runUntilIdle()
        self.cluster.submit(.end(by: actor), by: alice, context: 9)
        self.cluster.runUntilIdle()

        #expect(
            self.cluster.takeDeliveries(on: .near) == [
                "1 one", "edited 1 uno ← 7", "1 deleted ← 8", "ended by alice ← 9",
            ])
        #expect(
            self.cluster.takeDeliveries(on: .third) == [
                "1 one", "edited 1 uno", "1 deleted", "ended by alice",
            ])
    }

    @Test(
        "shares a batch with other sends of its turn, and not with later ones"
    )
    func batches() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.storeBehaviors[.far] = .holding
        for text in ["one", "two", "three"] {
            self.cluster.submit(.post(.said(text, by: .alice)), by: alice, context: 7)
        }
        self.cluster.runUntilIdle()
        self.cluster.say("four", by: bob, context: 8)
        #expect(self.cluster.takeStoreRequests(by: .far) == ["write 3", "write 1"])
        #expect(self.cluster.takeDeliveries(on: .near) == [])

        self.cluster.answerHeldRequests()
        #expect(
            self.cluster.takeDeliveries(on: .near) == [
                "1 one ← 7", "2 two ← 7", "3 three ← 7", "4 four",
            ])
        #expect(
            self.cluster.takeDeliveries(on: .third) == ["1 one", "2 two", "3 three", "4 four ← 8"])
    }
}
