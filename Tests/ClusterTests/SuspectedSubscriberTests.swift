import ChatCore
import ChatModel
import Testing

@testable import Cluster

@Suite("An owner's doubt")
struct SuspectedSubscriberTests {
    let cluster = ThreeNodeCluster()

    /// Loses an envelope of alice's loop, and what the owner says when it sees that.
    private func loseEnvelope(of alice: ThreeNodeCluster.TestSubscriber) {
        self.cluster.set(.losing, from: .near, to: .far)
        self.cluster.submit(.typing(true, by: .alice), by: alice)
        self.cluster.runUntilIdle()
        self.cluster.set(.open, from: .near, to: .far)
        self.cluster.set(.losing, from: .far, to: .near)
        self.cluster.submit(.typing(false, by: .alice), by: alice)
        self.cluster.runUntilIdle()
    }

    @Test("is over when the loop attaches again in time: nobody notices it")
    func clearedByReattach() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        self.loseEnvelope(of: alice)
        self.cluster.set(.open, from: .far, to: .near)
        self.cluster.advance(by: 20_000)
        #expect(self.cluster.takeDeliveries(on: .third) == [])
    }

    @Test("that lasts five seconds takes the loop's people away")
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

    @Test("that proved right ends when the loop is heard again: it missed nothing in the end")
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

    @Test("is spoken out when somebody comes in there: the loop is to say who listens")
    func joinDuringSuspicion() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        self.loseEnvelope(of: alice)
        self.cluster.set(.open, from: .far, to: .near)
        self.cluster.clearRecords()
        _ = self.cluster.subscribe(.carol, on: .near)
        self.cluster.runUntilIdle()
        #expect(self.cluster.takeItems(from: .far, to: .near).first == "attach again")
        #expect(self.cluster.takeItems(from: .near, to: .far).contains("attach alice carol"))
    }
}
