import ChatCore
import ChatModel
import Cluster
import Testing

@testable import ChatEngine

@Suite("Sends in flight")
struct SendOrderTests {
    let cluster = ThreeNodeCluster()

    @Test("keep their order if the first is temporarily refused, and later ones wait with it")
    func refused() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.storeBehaviors[.far] = .holding
        self.cluster.say("one", by: alice, context: 1)
        self.cluster.say("two", by: alice, context: 2)
        self.cluster.failOldestHeldRequest()
        self.cluster.storeBehaviors[.far] = .working
        self.cluster.advance(by: 300)
        // Refused with the first, and retried with it; but the second write fails only now.
        self.cluster.failOldestHeldRequest()
        self.cluster.say("three", by: alice, context: 3)
        self.cluster.advance(by: 2000)
        #expect(self.cluster.storedText == ["1 one", "2 two", "3 three"])
        self.cluster.say("theirs", by: bob)
        #expect(
            self.cluster.takeDeliveries(on: .near) == [
                "1 one ← 1", "2 two ← 2", "3 three ← 3", "4 theirs",
            ])
    }

    @Test(
        "are refused by an owner that refused their predecessor, even if their loop does not know"
    )
    func refusedWhileInFlight() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.storeBehaviors[.far] = .failingWrites
        self.cluster.set(.holding, from: .far, to: .near)
        self.cluster.say("one", by: alice, context: 1)
        self.cluster.storeBehaviors[.far] = .working
        self.cluster.advance(by: 300)
        self.cluster.say("two", by: alice, context: 2)
        // Sends of other users are not affected.
        self.cluster.say("theirs", by: bob)
        #expect(self.cluster.storedText == ["1 theirs"])
        self.cluster.set(.open, from: .far, to: .near)
        self.cluster.releaseEnvelopes()
        self.cluster.advance(by: 600)
        #expect(self.cluster.storedText == ["1 theirs", "2 one", "3 two"])
        #expect(
            self.cluster.takeDeliveries(on: .near).filter { $0.contains("←") } == [
                "2 one ← 1", "3 two ← 2",
            ])
    }

    @Test(
        "keep their order when the owner changes, in any order of learning the new view",
        arguments: [[LoopID.near, .third, .far], [.far, .third, .near]])
    func ownerChanges(loops: [LoopID]) {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        var view = ThreeNodeCluster.view.setting(draining: true, LoopID.far.incarnation)!
        while let next = view.step(shards: 4096) { view = next }
        self.cluster.storeBehaviors[.far] = .holding
        let texts = ["zero", "one", "two", "three"]
        self.cluster.say(texts[0], by: alice, context: 1)
        for (index, loop) in loops.enumerated() {
            self.cluster.follow(view, on: loop)
            self.cluster.say(
                texts[index + 1], by: alice, context: RequestContextID(rawValue: UInt64(index + 2)))
        }
        self.cluster.storeBehaviors[.far] = .failing
        while self.cluster.hasHeldRequests { self.cluster.failOldestHeldRequest() }
        self.cluster.advance(by: 3000)
        #expect(self.cluster.storedText == texts.enumerated().map { "\($0 + 1) \($1)" })
    }

    @Test("continue when their predecessor times out")
    func predecessorTimesOut() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        self.cluster.set(.losing, from: .near, to: .far)
        self.cluster.say("one", by: alice, context: 1)
        self.cluster.advance(by: 2500)
        self.cluster.say("two", by: alice, context: 2)
        self.cluster.advance(by: 2500)
        #expect(self.cluster.takeDeliveries(on: .near) == ["1: outcome unknown"])
        self.cluster.set(.open, from: .near, to: .far)
        self.cluster.advance(by: 1000)
        #expect(self.cluster.takeDeliveries(on: .near) == ["1 two ← 2"])
    }

    @Test("are permanently refused one by one")
    func refusedPermanently() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        self.cluster.submit(.end(by: Principal(person: .alice, isAdmin: false)), by: alice)
        for number in 1...3 {
            self.cluster.submit(
                .post(.said("\(number)", by: .alice)), by: alice,
                context: RequestContextID(rawValue: UInt64(number)))
        }
        self.cluster.advance(by: 1000)
        let answers = self.cluster.takeDeliveries(on: .near).filter {
            $0.hasPrefix("1:") || $0.hasPrefix("2:") || $0.hasPrefix("3:")
        }
        #expect(answers == (1...3).map { "\($0): refused: conversation ended" })
    }

    @Test(
        "lose their order when their feed closes, and are still stored")
    func feedClosed() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        self.cluster.set(.losing, from: .near, to: .far)
        for number in 1...3 {
            self.cluster.submit(
                .post(.said("\(number)", by: .alice)), by: alice,
                context: RequestContextID(rawValue: UInt64(number)))
        }
        self.cluster.runUntilIdle()
        self.cluster.unsubscribe(alice)
        self.cluster.set(.open, from: .near, to: .far)
        self.cluster.advance(by: 2000)
        #expect(self.cluster.stored.messages.count == 3)
        #expect(self.cluster.counts(of: .near).pending == 0)
    }
}
