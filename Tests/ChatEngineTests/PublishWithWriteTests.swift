import ChatCore
import ChatModel
import Testing

@testable import ChatEngine

/// `near` and `third` subscribe, `far` owns.
@Suite("A message that is published in the step that stores it")
struct PublishWithWriteTests {
    let cluster = ThreeNodeCluster()
    private let alice: ThreeNodeCluster.TestSubscriber
    private let bob: ThreeNodeCluster.TestSubscriber

    init() {
        (self.alice, self.bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.publishesWithWrite = true
    }

    @Test(
        "is delivered before the owner knows that it is stored, and only once")
    func deliveredBeforeOwnerKnows() {
        self.cluster.storeBehaviors[.far] = .late
        self.cluster.say("one", by: self.alice, context: 7)
        #expect(self.cluster.takeDeliveries(on: .near) == ["1 one ← 7"])
        #expect(self.cluster.takeDeliveries(on: .third) == ["1 one"])
        self.cluster.clearRecords()
        self.cluster.answerHeldRequests()
        #expect(self.cluster.takeItems(from: .far, to: .near) == [])
        self.cluster.say("two", by: self.bob)
        #expect(self.cluster.takeDeliveries(on: .near) == ["2 two"])
        #expect(self.cluster.takeStoreRequests(by: .near) == [])
    }

    @Test("answers a sender that does not subscribe")
    func senderWithoutSubscription() {
        self.cluster.unsubscribe(self.alice)
        self.cluster.advance(by: 3000)
        self.cluster.clearRecords()
        self.cluster.submit(.post(.said("aside", by: .bob)), from: .near, context: 9)
        self.cluster.runUntilIdle()
        #expect(self.cluster.takeDeliveries(on: .near) == ["9: posted 1"])
        #expect(self.cluster.takeItems(from: .far, to: .near) == ["answer posted 1"])
    }

    @Test("is not delivered if it is refused, and once if it is stored after all")
    func refused() {
        self.cluster.claimByAnotherOwner()
        self.cluster.say("one", by: self.alice, context: 7)
        self.cluster.advance(by: 5000)
        #expect(self.cluster.storedText == ["1 one"])
        #expect(self.cluster.takeDeliveries(on: .third).filter { $0.hasPrefix("1 ") } == ["1 one"])
        #expect(
            self.cluster.takeDeliveries(on: .near).filter {
                $0.contains("posted 1") || $0.hasPrefix("1 one")
            }.count == 1)
    }

    @Test("is published by the owner to a loop that attached meanwhile")
    func reattachedMeanwhile() {
        self.cluster.storeBehaviors[.far] = .late
        self.cluster.set(.losing, from: .far, to: .third)
        self.cluster.say("one", by: self.alice)
        self.cluster.set(.open, from: .far, to: .third)
        #expect(self.cluster.takeDeliveries(on: .third) == [])
        // The gap is found, and the attach request sent, before the owner knows that the message is
        // stored.
        self.cluster.advance(by: 1000)
        self.cluster.answerHeldRequests()
        self.cluster.advance(by: 1000)
        #expect(self.cluster.takeDeliveries(on: .third) == ["1 one"])
    }

    @Test("is published by the owner if it follows a change that the owner publishes")
    func behindUnpublishedChange() {
        self.cluster.say("one", by: self.alice)
        self.cluster.clearRecords()
        self.cluster.storeBehaviors[.far] = .holding
        self.cluster.submit(
            .edit(1, content: "first", by: Principal(person: .alice, isAdmin: false)),
            by: self.alice)
        self.cluster.runUntilIdle()
        // The message was found; the edit is on its way to the store.
        self.cluster.answerHeldRequests()
        self.cluster.say("two", by: self.bob)
        self.cluster.storeBehaviors[.far] = .working
        self.cluster.answerHeldRequests()
        self.cluster.advance(by: 1000)
        #expect(self.cluster.takeDeliveries(on: .third).suffix(2) == ["edited 1 first", "2 two"])
        #expect(self.cluster.takeStoreRequests(by: .third) == [])
    }

    @Test(
        "is published by the owner behind a join, even if a failed write had the join's revision"
    )
    func behindJoin() {
        self.cluster.unsubscribe(self.bob)
        self.cluster.storeBehaviors[.far] = .failingWrites
        self.cluster.say("lost", by: self.alice)
        self.cluster.advance(by: 6000)
        self.cluster.storeBehaviors[.far] = .working
        self.cluster.advance(by: 3000)
        self.cluster.clearRecords()
        self.cluster.storeBehaviors[.far] = .holding
        _ = self.cluster.subscribe(.carol, on: .third, context: 3)
        self.cluster.runUntilIdle()
        self.cluster.say("one", by: self.alice)
        self.cluster.storeBehaviors[.far] = .working
        self.cluster.answerHeldRequests()
        self.cluster.advance(by: 1000)
        #expect(self.cluster.takeDeliveries(on: .third).contains("1 one"))
        #expect(self.cluster.takeStoreRequests(by: .third) == [])
    }
}
