import ChatCore
import ChatModel
import Testing

@testable import Cluster

/// `far` owns the stage's conversation in the first view; in the second it has drained, and the conversation is another's.
@Suite("Loops that follow another view")
struct ViewChangeTests {
    let cluster = ThreeNodeCluster()
    private let drainedView: View
    private let nextOwner: LoopID

    init() {
        var view = ThreeNodeCluster.view.setting(draining: true, LoopID.far.incarnation)!
        while let next = view.step(shards: 4096) { view = next }
        self.drainedView = view
        self.nextOwner = view.owner(of: self.cluster.key)
    }

    @Test("go on talking: everybody sees everything once, and the last owner keeps nothing")
    func handOver() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.say("one", by: alice)
        self.cluster.follow(self.drainedView)
        self.cluster.say("two", by: bob)
        self.cluster.advance(by: 3000)
        #expect(self.nextOwner != .far)
        #expect(self.cluster.takeDeliveries(on: .near) == ["1 one", "2 two"])
        #expect(self.cluster.takeDeliveries(on: .third) == ["1 one", "2 two"])
        #expect(self.cluster.counts(of: .far).owned == 0)
        #expect(self.cluster.counts(of: self.nextOwner).owned == 1)
    }

    @Test(
        "in whatever order they learn of it",
        arguments: [[LoopID.far, .near, .third], [.third, .far, .near], [.near, .third, .far]])
    func anyOrder(loops: [LoopID]) {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        for (place, loop) in loops.enumerated() {
            self.cluster.follow(self.drainedView, on: loop)
            self.cluster.say("\(place) of alice", by: alice, context: UInt64(10 + place))
            self.cluster.say("\(place) of bob", by: bob, context: UInt64(20 + place))
            self.cluster.advance(by: 300)
        }
        self.cluster.advance(by: 4000)
        #expect(Set(self.cluster.storedText).count == 6)
        #expect(self.cluster.stored.messages.map(\.sequence) == [1, 2, 3, 4, 5, 6])
        for loop in [LoopID.near, .third] {
            let messages = self.cluster.takeDeliveries(on: loop).filter {
                $0.contains(" of ") && $0.first?.isNumber == true
            }
            #expect(messages.count >= 6)
        }
        #expect(
            self.cluster.counts(of: .near).waiting == 0
                && self.cluster.counts(of: .third).waiting == 0)
    }

    @Test(
        "are told that a conversation has moved by who does not own it, and ask again until they know better"
    )
    func requestsToFormerOwner() {
        self.cluster.follow(self.drainedView, on: .far)
        let alice = self.cluster.subscribe(.alice, on: .near)
        self.cluster.advance(by: 1000)
        #expect(self.cluster.takeItems(from: .far, to: .near).contains { $0.hasPrefix("moved") })
        #expect(self.cluster.newestViewNumber(of: .near) == self.drainedView.number)
        #expect(self.cluster.counts(of: .near).waiting == 1)
        self.cluster.follow(self.drainedView)
        self.cluster.say("one", by: alice)
        #expect(self.cluster.storedText.count == 1)
        #expect(self.cluster.counts(of: .near).waiting == 0)
    }

    @Test("ask the next owner for what the last one, which died, has not answered")
    func ownerDies() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        self.cluster.set(.losing, between: .near, and: .far)
        self.cluster.set(.losing, between: .third, and: .far)
        self.cluster.submit(.post(.said("one", by: .alice)), by: alice, context: 7)
        self.cluster.advance(by: 500)
        #expect(self.cluster.storedText.isEmpty)
        let without = ThreeNodeCluster.view.removing(LoopID.far.incarnation)!
        self.cluster.follow(without, on: .near)
        self.cluster.follow(without, on: .third)
        self.cluster.advance(by: 300)
        #expect(self.cluster.storedText.count == 1)
        #expect(self.cluster.takeDeliveries(on: .third).contains("1 one"))
        #expect(self.cluster.counts(of: .near).waiting == 0)
    }

    @Test("forget who listened on a node that is gone")
    func subscribersOfRemovedNode() {
        _ = self.cluster.subscribeAliceAndBob()
        self.cluster.set(.losing, between: .near, and: .far)
        let without = ThreeNodeCluster.view.removing(LoopID.near.incarnation)!
        self.cluster.follow(without, on: .far)
        self.cluster.follow(without, on: .third)
        self.cluster.advance(by: 3000)
        #expect(self.cluster.takeDeliveries(on: .third) == ["-alice"])
    }

    @Test("write down what they know of readers before they let go")
    func cursors() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.say("one", by: alice)
        self.cluster.submit(.read([1], by: bob.person.id), by: bob)
        self.cluster.runUntilIdle()
        self.cluster.follow(self.drainedView, on: .far)
        #expect(self.cluster.storedMembers.first { $0.user == bob.person.id }?.readCursor == 1)
    }

    @Test("have nobody wait for an answer to what was for the moment", arguments: [true, false])
    func transientInput(isMoved: Bool) {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        if isMoved {
            self.cluster.follow(self.drainedView, on: .far)
        } else {
            self.cluster.set(.losing, from: .near, to: .far)
        }
        self.cluster.submit(.typing(true, by: .alice), by: alice, context: 9)
        self.cluster.runUntilIdle()
        if !isMoved { self.cluster.follow(self.drainedView, on: .near) }
        #expect(self.cluster.takeDeliveries(on: .near).contains("9: done"))
    }

    @Test("do not go back to a view that is older than theirs")
    func olderView() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        self.cluster.follow(self.drainedView)
        self.cluster.follow(ThreeNodeCluster.view)
        self.cluster.say("one", by: alice)
        #expect(self.cluster.counts(of: self.nextOwner).owned == 1)
    }
}
