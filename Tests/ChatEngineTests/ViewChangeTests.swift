import ChatCore
import ChatModel
import Testing

@testable import ChatEngine
@testable import Cluster

/// `far` owns the conversation in the first view. In the second one it has been drained, and
/// another loop is the owner.
@Suite("Loops that follow a new view")
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

    @Test("repeat a change of members that an owner of an earlier version did not know")
    func upgrade() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.set(.toEarlierVersion, from: .near, to: .far)
        let admin = Principal(person: .alice, isAdmin: true)
        self.cluster.submit(
            .removeMember(bob.person.id, by: admin), by: alice, context: 7)
        self.cluster.submit(.addMember(.carol, by: admin), by: alice, context: 8)
        self.cluster.advance(by: 2000)
        // Other requests work meanwhile.
        self.cluster.say("one", by: alice)
        #expect(self.cluster.takeDeliveries(on: .near) == ["1 one"])
        self.cluster.follow(self.drainedView)
        self.cluster.advance(by: 2000)
        let answers = self.cluster.takeDeliveries(on: .near).filter { $0.contains(/[78]/) }
        #expect(answers == ["bob left ← 7", "8: joined at 1"])
        let members = self.cluster.storedMembers.filter(\.role.isMember)
        #expect(members.map(\.user) == [Person.alice.id, Person.carol.id])
    }

    @Test("report an unknown outcome if no owner knows a change of members")
    func noUpgrade() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.set(.toEarlierVersion, from: .near, to: .far)
        let admin = Principal(person: .alice, isAdmin: true)
        self.cluster.submit(
            .removeMember(bob.person.id, by: admin), by: alice, context: 7)
        self.cluster.advance(by: 4800)
        #expect(self.cluster.takeDeliveries(on: .near) == ["7: outcome unknown"])
        self.cluster.say("one", by: bob)
        #expect(self.cluster.takeDeliveries(on: .third) == ["1 one"])
    }

    @Test("deliver every message once, and the former owner keeps nothing")
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
        "may learn about it in any order",
        arguments: [[LoopID.far, .near, .third], [.third, .far, .near], [.near, .third, .far]])
    func anyOrder(loops: [LoopID]) {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        for (index, loop) in loops.enumerated() {
            self.cluster.follow(self.drainedView, on: loop)
            self.cluster.say(
                "\(index) of alice", by: alice,
                context: RequestContextID(rawValue: UInt64(10 + index)))
            self.cluster.say(
                "\(index) of bob", by: bob, context: RequestContextID(rawValue: UInt64(20 + index)))
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
            self.cluster.counts(of: .near).pending == 0
                && self.cluster.counts(of: .third).pending == 0)
    }

    @Test(
        "get `notOwner` from a former owner, and retry until they follow the view too"
    )
    func requestsToFormerOwner() {
        self.cluster.follow(self.drainedView, on: .far)
        let alice = self.cluster.subscribe(.alice, on: .near)
        self.cluster.advance(by: 1000)
        #expect(
            self.cluster.takeItems(from: .far, to: .near).contains { $0.hasPrefix("not owner") })
        #expect(self.cluster.newestViewNumber(of: .near) == self.drainedView.number)
        #expect(self.cluster.counts(of: .near).pending == 1)
        self.cluster.follow(self.drainedView)
        self.cluster.say("one", by: alice)
        #expect(self.cluster.storedText.count == 1)
        #expect(self.cluster.counts(of: .near).pending == 0)
    }

    @Test("send pending requests of a crashed owner to the next one")
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
        #expect(self.cluster.counts(of: .near).pending == 0)
    }

    @Test("exchange envelopes again with a removed node whose removal the store lost")
    func removedNodeReturns() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        for number in 1...3 { self.cluster.say("\(number)", by: alice) }
        let without = ThreeNodeCluster.view.removing(LoopID.near.incarnation)!
        self.cluster.follow(without, on: .far)
        self.cluster.follow(without, on: .third)
        self.cluster.advance(by: 1000)
        self.cluster.follow(ThreeNodeCluster.view.renumbered(above: without.number))
        self.cluster.advance(by: 2000)
        self.cluster.clearRecords()
        self.cluster.say("four", by: alice)
        self.cluster.say("five", by: bob)
        #expect(self.cluster.takeDeliveries(on: .near) == ["4 four", "5 five"])
        #expect(self.cluster.takeDeliveries(on: .third) == ["4 four", "5 five"])
        #expect(self.cluster.counts(of: .near).pending == 0)
    }

    @Test("remove the subscribers of a removed node")
    func subscribersOfRemovedNode() {
        _ = self.cluster.subscribeAliceAndBob()
        self.cluster.set(.losing, between: .near, and: .far)
        let without = ThreeNodeCluster.view.removing(LoopID.near.incarnation)!
        self.cluster.follow(without, on: .far)
        self.cluster.follow(without, on: .third)
        self.cluster.advance(by: 3000)
        #expect(self.cluster.takeDeliveries(on: .third) == ["-alice"])
    }

    @Test("store cursors before they hand a conversation over")
    func cursors() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.say("one", by: alice)
        self.cluster.submit(.read([1], by: bob.person.id), by: bob)
        self.cluster.runUntilIdle()
        self.cluster.follow(self.drainedView, on: .far)
        #expect(self.cluster.storedMembers.first { $0.user == bob.person.id }?.readCursor == 1)
    }

    @Test("answer transient requests at once", arguments: [true, false])
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

    @Test("ignore an older view")
    func olderView() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        self.cluster.follow(self.drainedView)
        self.cluster.follow(ThreeNodeCluster.view)
        self.cluster.say("one", by: alice)
        #expect(self.cluster.counts(of: self.nextOwner).owned == 1)
    }
}
