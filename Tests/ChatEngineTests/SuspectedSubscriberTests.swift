import ChatCore
import ChatModel
import Testing

@testable import ChatEngine

@Suite("A suspected subscriber")
struct SuspectedSubscriberTests {
    let cluster = ThreeNodeCluster()

    /// Loses an envelope of alice's loop, and the owner's reaction.
    private func loseEnvelope(of alice: ThreeNodeCluster.TestSubscriber) {
        self.cluster.set(.losing, from: .near, to: .far)
        self.cluster.submit(.typing(true, by: .alice), by: alice)
        self.cluster.runUntilIdle()
        self.cluster.set(.open, from: .near, to: .far)
        self.cluster.set(.losing, from: .far, to: .near)
        self.cluster.submit(.typing(false, by: .alice), by: alice)
        self.cluster.runUntilIdle()
    }

    @Test("that attaches again in time stays, without visible effects")
    func clearedByReattach() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        self.loseEnvelope(of: alice)
        self.cluster.set(.open, from: .far, to: .near)
        self.cluster.advance(by: 20_000)
        #expect(self.cluster.takeDeliveries(on: .third) == [])
    }

    @Test("is removed with its users after five seconds")
    func confirmedAfterTimeout() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.loseEnvelope(of: alice)
        self.cluster.set(.losing, between: .near, and: .far)
        self.cluster.advance(by: 4900)
        self.cluster.say("one", by: bob)
        #expect(self.cluster.takeItems(from: .far, to: .near).contains("event one") == false)
        #expect(self.cluster.takeDeliveries(on: .third) == ["1 one"])
        self.cluster.advance(by: 2500)
        #expect(self.cluster.takeDeliveries(on: .third) == ["-alice"])
        self.cluster.clearRecords()
        self.cluster.say("two", by: bob)
        #expect(self.cluster.takeItems(from: .far, to: .near) == [])
    }

    @Test("that was removed returns when its envelopes arrive again, and misses nothing")
    func returnsAfterEviction() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.loseEnvelope(of: alice)
        self.cluster.set(.losing, between: .near, and: .far)
        self.cluster.advance(by: 10_000)
        self.cluster.say("one", by: bob)
        self.cluster.set(.open, between: .near, and: .far)
        self.cluster.advance(by: 3000)
        #expect(self.cluster.takeDeliveries(on: .third) == ["-alice", "1 one", "+alice"])
        #expect(self.cluster.takeDeliveries(on: .near).filter { $0.hasSuffix("one") } == ["1 one"])
    }

    @Test("is asked to attach again when one of its users joins")
    func joinDuringSuspicion() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        self.loseEnvelope(of: alice)
        self.cluster.set(.open, from: .far, to: .near)
        self.cluster.clearRecords()
        _ = self.cluster.subscribe(.carol, on: .near)
        self.cluster.runUntilIdle()
        #expect(self.cluster.takeItems(from: .far, to: .near).first == "reattach")
        #expect(self.cluster.takeItems(from: .near, to: .far).contains("attach alice carol"))
    }
}
