import Bytes
import ChatCore
import ChatModel
import Testing

@testable import ChatEngine

@Suite("A subscribe request")
struct SubscribeTests {
    let cluster = ThreeNodeCluster()

    @Test("is answered with the conversation's head, and delivers no earlier messages")
    func startsAtHead() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.say("one", by: bob)
        self.cluster.unsubscribe(alice)
        self.cluster.say("two", by: bob)
        self.cluster.clearRecords()
        let again = self.cluster.subscribe(.alice, on: .near, context: 7)
        self.cluster.runUntilIdle()
        #expect(self.cluster.takeDeliveries(on: .near) == ["7: joined at 2"])
        #expect(self.cluster.deliveredThrough(again) == 2)
    }

    @Test(
        "gets earlier events in its answer while the first join of its loop is pending"
    )
    func eventsWhileOpening() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.unsubscribe(alice)
        self.cluster.clearRecords()
        self.cluster.storeBehaviors[.far] = .holding
        self.cluster.say("meanwhile", by: bob)
        // Carol becomes a member after that message, and her loop receives both.
        let carol = self.cluster.subscribe(.carol, on: .near, context: 7)
        self.cluster.runUntilIdle()
        self.cluster.answerHeldRequests()
        #expect(self.cluster.takeDeliveries(on: .near) == ["7: joined at 1"])
        #expect(self.cluster.deliveredThrough(carol) == 1)
    }

    @Test("for an open feed costs the other subscribers nothing, and opens no second feed")
    func secondSubscriber() {
        _ = self.cluster.subscribeAliceAndBob()
        let carol = self.cluster.subscribe(.carol, on: .near, context: 7)
        self.cluster.runUntilIdle()
        #expect(
            self.cluster.takeDeliveries(on: .near).filter { $0 != "carol joined" && $0 != "+carol" }
                == ["7: joined at 0"])
        #expect(self.cluster.counts(of: .near).subscribed == 1)
        self.cluster.say("hello", by: carol, context: 8)
        #expect(self.cluster.takeDeliveries(on: .near) == ["1 hello ← 8"])
        #expect(self.cluster.takeItems(from: .far, to: .near).count { $0 == "event 1 hello" } == 1)
    }

    @Test("that is refused leaves nothing behind")
    func refused() {
        _ = self.cluster.subscribeAliceAndBob()
        let carol = self.cluster.subscribe(.carol, on: .far, context: 7, isListed: false)
        self.cluster.runUntilIdle()
        #expect(self.cluster.takeDeliveries(on: .far) == ["7: refused: access denied"])
        #expect(self.cluster.counts(of: .far) == (owned: 1, subscribed: 0, pending: 0))
        self.cluster.unsubscribe(carol)
        #expect(self.cluster.counts(of: .far).subscribed == 0)
    }

    @Test(
        "without an answer ends as unavailable, and unsubscribes in case the answer was lost"
    )
    func unanswered() {
        _ = self.cluster.subscribeAliceAndBob()
        _ = self.cluster.subscribe(.carol, on: .near)
        self.cluster.runUntilIdle()
        self.cluster.clearRecords()
        self.cluster.set(.losing, from: .far, to: .near)
        _ = self.cluster.subscribe(.named("dora"), on: .near, context: 7)
        self.cluster.advance(by: 5000)
        #expect(self.cluster.takeDeliveries(on: .near) == ["7: unavailable"])
        #expect(self.cluster.takeItems(from: .near, to: .far).contains("dora unsubscribes"))
        #expect(self.cluster.counts(of: .near).subscribed == 1)
    }

    @Test("that is cancelled before its answer gets none, and leaves nothing behind")
    func cancelledBeforeAnswer() {
        let (_, bob) = self.cluster.subscribeAliceAndBob()
        let carol = self.cluster.subscribe(.carol, on: .far, context: 7)
        self.cluster.cancelSubscribe(carol)
        self.cluster.advance(by: 4000)
        #expect(self.cluster.takeDeliveries(on: .far) == [])
        #expect(self.cluster.counts(of: .far) == (owned: 1, subscribed: 0, pending: 0))
        #expect(self.cluster.takeDeliveries(on: .third) == ["+carol", "carol joined", "-carol"])
        self.cluster.say("one", by: bob)
        #expect(self.cluster.takeDeliveries(on: .far) == [])
    }

    @Test("that is cancelled while its answer is delivered unsubscribes")
    func cancelledBeforeAnswerWasRead() {
        _ = self.cluster.subscribeAliceAndBob()
        let carol = self.cluster.subscribe(.carol, on: .far, context: 7)
        self.cluster.onDelivery = { [unowned cluster] delivery in
            if delivery == "7: joined at 0" { cluster.cancelSubscribe(carol) }
        }
        self.cluster.runUntilIdle()
        #expect(self.cluster.takeDeliveries(on: .far) == ["7: joined at 0"])
        #expect(self.cluster.counts(of: .far) == (owned: 1, subscribed: 0, pending: 0))
    }

    @Test(
        "cannot be cancelled after its answer was delivered"
    )
    func cancelledAfterAnswer() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.cancelSubscribe(alice)
        self.cluster.say("one", by: bob)
        #expect(self.cluster.takeDeliveries(on: .near) == ["1 one"])
        self.cluster.unsubscribe(alice)
        #expect(self.cluster.counts(of: .near).subscribed == 0)
    }

    @Test(
        "waits for a pending attach, so that it starts where the other subscribers are"
    )
    func duringRepair() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        // The owner notices a gap at carol's join, and requests a reattach before it answers.
        self.cluster.set(.losing, from: .near, to: .far)
        self.cluster.submit(.typing(true, by: .alice), by: alice)
        self.cluster.runUntilIdle()
        self.cluster.set(.open, from: .near, to: .far)
        self.cluster.clearRecords()
        _ = self.cluster.subscribe(.carol, on: .near, context: 7)
        self.cluster.runUntilIdle()
        #expect(self.cluster.takeItems(from: .near, to: .far).last == "carol joins, retry")
        #expect(
            self.cluster.takeDeliveries(on: .near).filter { $0.hasPrefix("7") } == [
                "7: joined at 0"
            ])
    }

    @Test("fails if it cannot be repeated after a repair, because the user may be removed since")
    func repairWithoutEnd() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        self.cluster.set(.losing, from: .near, to: .far)
        self.cluster.submit(.typing(true, by: .alice), by: alice)
        self.cluster.runUntilIdle()
        self.cluster.set(.open, from: .near, to: .far)
        // The owner notices the gap at carol's join. Its answer arrives when near must attach
        // again, and no attach arrives.
        self.cluster.set(.holding, from: .far, to: .near)
        _ = self.cluster.subscribe(.carol, on: .near, context: 7)
        self.cluster.runUntilIdle()
        self.cluster.set(.losing, from: .near, to: .far)
        self.cluster.set(.open, from: .far, to: .near)
        self.cluster.releaseEnvelopes()
        self.cluster.advance(by: 6000)
        #expect(
            self.cluster.takeDeliveries(on: .near).filter { $0.hasPrefix("7") } == [
                "7: unavailable"
            ])
    }

    @Test("after a stall of the owner starts at the store's head")
    func afterStall() {
        let (_, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.say("one", by: bob)
        self.cluster.storeBehindOwner("two")
        self.cluster.clearRecords()
        self.cluster.resumeAfterStall(.far)
        _ = self.cluster.subscribe(.alice, on: .near, context: 9)
        self.cluster.runUntilIdle()
        #expect(self.cluster.takeDeliveries(on: .near).contains("9: joined at 2"))
        // The owner first checks its claim.
        #expect(self.cluster.takeStoreRequests(by: .far).prefix(2) == ["claim", "load"])
    }
}

@Suite("An unsubscribe")
struct UnsubscribeTests {
    let cluster = ThreeNodeCluster()

    @Test("of the last subscriber closes the feed, and the owner sends nothing more")
    func lastSubscriber() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.unsubscribe(alice)
        #expect(self.cluster.takeItems(from: .near, to: .far) == ["alice unsubscribes", "detach"])
        #expect(self.cluster.counts(of: .near).subscribed == 0)
        self.cluster.clearRecords()
        self.cluster.say("one", by: bob)
        #expect(self.cluster.takeItems(from: .far, to: .near) == [])
        self.cluster.advance(by: 3000)
        #expect(self.cluster.takeDeliveries(on: .third) == ["1 one", "-alice"])
    }

    @Test("of one of a user's two connections does not notify the owner")
    func oneOfTwoConnections() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        _ = self.cluster.subscribe(.alice, on: .near)
        self.cluster.runUntilIdle()
        self.cluster.clearRecords()
        self.cluster.unsubscribe(alice)
        #expect(self.cluster.takeItems(from: .near, to: .far) == [])
        self.cluster.say("one", by: bob)
        #expect(self.cluster.takeDeliveries(on: .near) == ["1 one"])
    }

    @Test("of one of two users notifies the owner about that user only")
    func oneOfTwoUsers() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        _ = self.cluster.subscribe(.carol, on: .near)
        self.cluster.runUntilIdle()
        self.cluster.clearRecords()
        self.cluster.unsubscribe(alice)
        #expect(self.cluster.takeItems(from: .near, to: .far) == ["alice unsubscribes"])
        #expect(self.cluster.counts(of: .near).subscribed == 1)
    }

    @Test("that is repeated has no effect")
    func twice() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.unsubscribe(alice)
        _ = self.cluster.subscribe(.carol, on: .near)
        self.cluster.runUntilIdle()
        self.cluster.unsubscribe(alice)
        self.cluster.clearRecords()
        self.cluster.say("one", by: bob)
        #expect(self.cluster.takeDeliveries(on: .near) == ["1 one"])
    }

    @Test("that was lost is repeated when an event arrives without a subscriber")
    func lost() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.set(.losing, from: .near, to: .far)
        self.cluster.unsubscribe(alice)
        self.cluster.set(.open, from: .near, to: .far)
        self.cluster.clearRecords()
        self.cluster.say("one", by: bob)
        #expect(self.cluster.takeItems(from: .near, to: .far) == ["detach"])
        self.cluster.clearRecords()
        self.cluster.say("two", by: bob)
        #expect(self.cluster.takeItems(from: .far, to: .near) == [])
        self.cluster.advance(by: 3000)
        #expect(self.cluster.takeDeliveries(on: .third).contains("-alice"))
    }

    @Test("before the answer to a pending send keeps the answer for the requester")
    func withPendingAnswer() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        self.cluster.storeBehaviors[.far] = .holding
        self.cluster.say("last words", by: alice, context: 7)
        self.cluster.unsubscribe(alice)
        self.cluster.storeBehaviors[.far] = .working
        self.cluster.answerHeldRequests()
        #expect(self.cluster.takeDeliveries(on: .near) == ["7: posted 1"])
    }

    @Test("releases an answer that waits for earlier messages")
    func withDeferredAnswer() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.set(.losing, from: .far, to: .near)
        self.cluster.say("theirs", by: bob)
        self.cluster.set(.open, from: .far, to: .near)
        self.cluster.storeBehaviors[.near] = .holding
        self.cluster.say("mine", by: alice, context: 7)
        self.cluster.unsubscribe(alice)
        #expect(self.cluster.takeDeliveries(on: .near) == ["7: posted 2"])
        self.cluster.storeBehaviors[.near] = .working
        self.cluster.answerHeldRequests()
        self.cluster.advance(by: 6000)
        #expect(self.cluster.takeDeliveries(on: .near) == [])
        #expect(self.cluster.counts(of: .near) == (owned: 0, subscribed: 0, pending: 0))
    }
}
