import Bytes
import ChatCore
import ChatModel
import Testing

@testable import Cluster

@Suite("An entrance")
struct SubscribeTests {
    let cluster = ThreeNodeCluster()

    @Test("is answered with where the conversation stands, and shows nothing from before")
    func startsAtHead() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.say("one", by: bob)
        self.cluster.unsubscribe(alice)
        self.cluster.say("two", by: bob)
        self.cluster.clearRecords()
        let again = self.cluster.subscribe(.alice, on: .near, context: 7)
        self.cluster.runUntilIdle()
        #expect(self.cluster.takeDeliveries(on: .near) == ["7: entered at 2"])
        #expect(self.cluster.deliveredThrough(again) == 2)
    }

    @Test(
        "shows in its answer, and not as events, what happens while the first on its loop is at the door"
    )
    func eventsWhileOpening() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.unsubscribe(alice)
        self.cluster.clearRecords()
        self.cluster.storeBehaviors[.far] = .holding
        self.cluster.say("meanwhile", by: bob)
        // Carol becomes a member behind that message, and her loop hears of both.
        let carol = self.cluster.subscribe(.carol, on: .near, context: 7)
        self.cluster.runUntilIdle()
        self.cluster.answerHeldRequests()
        #expect(self.cluster.takeDeliveries(on: .near) == ["7: entered at 1"])
        #expect(self.cluster.deliveredThrough(carol) == 1)
    }

    @Test("into a feed that others hear already costs them nothing, and opens no second feed")
    func secondSubscriber() {
        _ = self.cluster.subscribeAliceAndBob()
        let carol = self.cluster.subscribe(.carol, on: .near, context: 7)
        self.cluster.runUntilIdle()
        #expect(
            self.cluster.takeDeliveries(on: .near).filter { $0 != "carol joined" && $0 != "+carol" }
                == ["7: entered at 0"])
        #expect(self.cluster.counts(of: .near).heard == 1)
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
        #expect(self.cluster.counts(of: .far) == (owned: 1, heard: 0, waiting: 0))
        self.cluster.unsubscribe(carol)
        #expect(self.cluster.counts(of: .far).heard == 0)
    }

    @Test(
        "that never gets an answer ends as unavailable, and takes its leave: the answer may have been lost"
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
        #expect(self.cluster.takeItems(from: .near, to: .far).contains("dora leaves"))
        #expect(self.cluster.counts(of: .near).heard == 1)
    }

    @Test("that is cancelled before its answer answers nobody and leaves nothing behind")
    func cancelledBeforeAnswer() {
        let (_, bob) = self.cluster.subscribeAliceAndBob()
        let carol = self.cluster.subscribe(.carol, on: .far, context: 7)
        self.cluster.cancelSubscribe(carol)
        self.cluster.advance(by: 4000)
        #expect(self.cluster.takeDeliveries(on: .far) == [])
        #expect(self.cluster.counts(of: .far) == (owned: 1, heard: 0, waiting: 0))
        #expect(self.cluster.takeDeliveries(on: .third) == ["+carol", "carol joined", "-carol"])
        self.cluster.say("one", by: bob)
        #expect(self.cluster.takeDeliveries(on: .far) == [])
    }

    @Test("that is cancelled with its answer in hand takes its leave")
    func cancelledBeforeAnswerWasRead() {
        _ = self.cluster.subscribeAliceAndBob()
        let carol = self.cluster.subscribe(.carol, on: .far, context: 7)
        self.cluster.onDelivery = { [unowned cluster] told in
            if told == "7: entered at 0" { cluster.cancelSubscribe(carol) }
        }
        self.cluster.runUntilIdle()
        #expect(self.cluster.takeDeliveries(on: .far) == ["7: entered at 0"])
        #expect(self.cluster.counts(of: .far) == (owned: 1, heard: 0, waiting: 0))
    }

    @Test(
        "cannot be cancelled once its answer has been seen: whoever came in leaves as everybody does"
    )
    func cancelledAfterAnswer() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.cancelSubscribe(alice)
        self.cluster.say("one", by: bob)
        #expect(self.cluster.takeDeliveries(on: .near) == ["1 one"])
        self.cluster.unsubscribe(alice)
        #expect(self.cluster.counts(of: .near).heard == 0)
    }

    @Test(
        "waits while its loop asks the owner who is there, or it would begin where the others are not"
    )
    func duringRepair() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        // The owner sees at carol's entrance that it has missed something, and asks to be attached before it answers.
        self.cluster.set(.losing, from: .near, to: .far)
        self.cluster.submit(.typing(true, by: .alice), by: alice)
        self.cluster.runUntilIdle()
        self.cluster.set(.open, from: .near, to: .far)
        self.cluster.clearRecords()
        _ = self.cluster.subscribe(.carol, on: .near, context: 7)
        self.cluster.runUntilIdle()
        #expect(self.cluster.takeItems(from: .near, to: .far).last == "carol enters, again")
        #expect(
            self.cluster.takeDeliveries(on: .near).filter { $0.hasPrefix("7") } == [
                "7: entered at 0"
            ])
    }

    @Test("after its owner has stood still leads to where the store is by then")
    func afterStall() {
        let (_, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.say("one", by: bob)
        self.cluster.storeBehindOwner("two")
        self.cluster.clearRecords()
        self.cluster.resumeAfterStall(.far)
        _ = self.cluster.subscribe(.alice, on: .near, context: 9)
        self.cluster.runUntilIdle()
        #expect(self.cluster.takeDeliveries(on: .near).contains("9: entered at 2"))
        // Whether it is still the owner it asks first.
        #expect(self.cluster.takeStoreRequests(by: .far).prefix(2) == ["claim", "load"])
    }
}

@Suite("A farewell")
struct UnsubscribeTests {
    let cluster = ThreeNodeCluster()

    @Test("of the last listener closes the feed, and the owner sends nothing more")
    func lastSubscriber() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.unsubscribe(alice)
        #expect(self.cluster.takeItems(from: .near, to: .far) == ["alice leaves", "detach"])
        #expect(self.cluster.counts(of: .near).heard == 0)
        self.cluster.clearRecords()
        self.cluster.say("one", by: bob)
        #expect(self.cluster.takeItems(from: .far, to: .near) == [])
        self.cluster.advance(by: 3000)
        #expect(self.cluster.takeDeliveries(on: .third) == ["1 one", "-alice"])
    }

    @Test("of one of a user's two connections is none")
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

    @Test("of one of two users is told of that user alone")
    func oneOfTwoUsers() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        _ = self.cluster.subscribe(.carol, on: .near)
        self.cluster.runUntilIdle()
        self.cluster.clearRecords()
        self.cluster.unsubscribe(alice)
        #expect(self.cluster.takeItems(from: .near, to: .far) == ["alice leaves"])
        #expect(self.cluster.counts(of: .near).heard == 1)
    }

    @Test("twice is once")
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

    @Test("that was lost is said again when an event comes for nobody")
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

    @Test("before the answer to a send that is on its way leaves the answer to whoever asked")
    func withPendingAnswer() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        self.cluster.storeBehaviors[.far] = .holding
        self.cluster.say("last words", by: alice, context: 7)
        self.cluster.unsubscribe(alice)
        self.cluster.storeBehaviors[.far] = .working
        self.cluster.answerHeldRequests()
        #expect(self.cluster.takeDeliveries(on: .near) == ["7: posted 1"])
    }

    @Test("while an answer waits for what comes before it hands the answer out")
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
        #expect(self.cluster.counts(of: .near) == (owned: 0, heard: 0, waiting: 0))
    }
}
