import ChatCore
import ChatModel
import Cluster
import Testing

@testable import ChatEngine

@Suite("After the store has lost acknowledged data")
struct StoreDataLossTests {
    let cluster: ThreeNodeCluster

    init() {
        var limits = Limits()
        limits.retention = .seconds(60)
        self.cluster = ThreeNodeCluster(limits: limits)
    }

    /// Moves all shards away from `far`.
    private func changeOwner() throws {
        let draining = try #require(
            ThreeNodeCluster.view.setting(draining: true, LoopID.far.incarnation))
        let moved = try #require(draining.step(shards: Shard.count))
        for view in [draining, moved] { self.cluster.follow(view) }
        self.cluster.advance(by: 1000)
        #expect(moved.owner(of: self.cluster.key) != .far)
    }

    @Test(
        "a former owner offers it: nothing is lost, and every number stays"
    )
    func retainedByFormerOwner() throws {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.say("one", by: alice)
        let before = self.cluster.tables
        self.cluster.say("two", by: bob)
        self.cluster.say("three", by: alice)
        try self.changeOwner()
        self.cluster.clearRecords()
        self.cluster.tables = before
        self.cluster.reconnectStore()
        self.cluster.advance(by: 10_000)
        #expect(self.cluster.storedText == ["1 one", "2 two", "3 three"])
        #expect(
            self.cluster.takeDeliveries(on: .near) + self.cluster.takeDeliveries(on: .third) == [])
        self.cluster.say("four", by: alice)
        #expect(self.cluster.takeDeliveries(on: .third) == ["4 four"])
    }

    @Test(
        "a send that was never stored is not treated as lost"
    )
    func refusedAndUnknownWrites() throws {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        self.cluster.storeBehaviors[.far] = .holding
        self.cluster.say("one", by: alice, context: 1)
        self.cluster.say("two", by: alice, context: 2)
        self.cluster.claimByAnotherOwner()
        self.cluster.answerOldestHeldRequest()
        self.cluster.failOldestHeldRequest()
        self.cluster.storeBehaviors[.far] = .working
        self.cluster.answerHeldRequests()
        self.cluster.advance(by: 10_000)
        #expect(self.cluster.storedText == ["1 one", "2 two"])
        #expect(self.cluster.recoveryCounts(of: .far) == RecoveryCounts())
    }

    @Test("it is not read again and again without a pause after a refused write")
    func pausesAfterRefusal() {
        self.cluster.publishesWithWrite = true
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.storeBehaviors[.far] = .failingWrites
        self.cluster.say("one", by: alice)
        self.cluster.say("two", by: bob)
        self.cluster.clearRecords()
        self.cluster.advance(by: 4000)
        #expect(self.cluster.takeStoreRequests(by: .far).count < 100)
        self.cluster.storeBehaviors[.far] = .working
        self.cluster.advance(by: 2000)
        #expect(self.cluster.storedText.sorted() == ["1 one", "2 two"])
    }

    @Test(
        "the former owner is queried before its numbers are given up"
    )
    func queriesFormerOwner() throws {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        let before = self.cluster.tables
        self.cluster.say("one", by: alice)
        try self.changeOwner()
        self.cluster.tables = before
        // A subscriber tells the next owner about a message that the store does not have.
        self.cluster.set(.losing, between: .near, and: .third)
        self.cluster.advance(by: 2000)
        self.cluster.set(.open, between: .near, and: .third)
        self.cluster.say("two", by: alice)
        self.cluster.advance(by: 10_000)
        #expect(self.cluster.storedText.first == "1 one")
        #expect(self.cluster.stored.messages.map(\.body.content) == ["one", "two"])
    }

    @Test(
        "another master's messages are delivered under its numbers, then the displaced ones"
    )
    func displacedByOtherMaster() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.say("one", by: alice)
        let before = self.cluster.tables
        self.cluster.say("mine", by: alice)
        self.cluster.tables = before
        self.cluster.storeBehindOwner("theirs", by: .bob)
        self.cluster.clearRecords()
        self.cluster.reconnectStore()
        self.cluster.advance(by: 10_000)
        #expect(self.cluster.storedText == ["1 one", "2 theirs", "3 mine"])
        // A loop may receive an appended message before those in between.
        #expect(self.cluster.takeDeliveries(on: .near).suffix(2) == ["2 theirs", "3 mine"])
        #expect(self.cluster.takeDeliveries(on: .third).suffix(2) == ["2 theirs", "3 mine"])
        #expect(self.cluster.recoveryCounts(of: .far).moved == 1)
        self.cluster.say("four", by: bob)
        #expect(self.cluster.takeDeliveries(on: .near) == ["4 four"])
    }

    @Test(
        "another master's messages reach subscribers that read the lost ones in a page"
    )
    func displacedInPage() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        let before = self.cluster.tables
        self.cluster.unsubscribe(bob)
        self.cluster.say("mine", by: alice)
        _ = self.cluster.subscribe(.bob, on: .third, context: 3)
        self.cluster.advance(by: 1000)
        self.cluster.clearRecords()
        self.cluster.read(on: .third, context: 4)
        #expect(self.cluster.takeDeliveries(on: .third) == ["4: page [\"1 mine\"]"])
        self.cluster.tables = before
        self.cluster.storeBehindOwner("theirs", by: .bob)
        self.cluster.reconnectStore()
        self.cluster.advance(by: 10_000)
        #expect(self.cluster.storedText == ["1 theirs", "2 mine"])
        #expect(self.cluster.takeDeliveries(on: .third).suffix(2) == ["1 theirs", "2 mine"])
    }

    @Test(
        "a message that others received before the owner knew is written under its number"
    )
    func deliveredBeforeOwnerKnew() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.publishesWithWrite = true
        let before = self.cluster.tables
        self.cluster.storeBehaviors[.far] = .late
        self.cluster.say("one", by: alice, id: "a", context: 7)
        #expect(self.cluster.takeDeliveries(on: .near) == ["1 one ← 7"])
        self.cluster.tables = before
        self.cluster.storeBehaviors[.far] = .working
        self.cluster.reconnectStore()
        self.cluster.answerHeldRequests()
        self.cluster.advance(by: 10_000)
        #expect(self.cluster.storedText == ["1 one"])
        self.cluster.say("two", by: bob)
        #expect(self.cluster.storedText == ["1 one", "2 two"])
    }

    @Test(
        "a message that the owner found after a lost answer is written under its number"
    )
    func foundAfterLostAnswer() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        let before = self.cluster.tables
        self.cluster.storeBehaviors[.far] = .late
        self.cluster.say("one", by: alice, id: "a", context: 7)
        self.cluster.storeBehaviors[.far] = .working
        self.cluster.failOldestHeldRequest()
        self.cluster.advance(by: 3000)
        #expect(self.cluster.storedText == ["1 one"])
        #expect(self.cluster.takeDeliveries(on: .third) == ["1 one"])
        self.cluster.tables = before
        self.cluster.reconnectStore()
        self.cluster.advance(by: 10_000)
        #expect(self.cluster.storedText == ["1 one"])
        self.cluster.say("two", by: bob)
        #expect(self.cluster.storedText == ["1 one", "2 two"])
        #expect(self.cluster.recoveryCounts(of: .far).lost == 0)
    }

    /// Expects that the store has rejected alice's message "one". Her node retries it under the
    /// same id until the request times out.
    private func expectOnlyRetryIsStored(before bob: ThreeNodeCluster.TestSubscriber) {
        #expect(self.cluster.storedText == [])
        self.cluster.storeBehaviors[.far] = .working
        self.cluster.answerHeldRequests()
        self.cluster.advance(by: 2000)
        #expect(self.cluster.storedText == ["1 one"])
        #expect(self.cluster.takeDeliveries(on: .near) == ["1 one ← 7"])
        self.cluster.say("two", by: bob)
        #expect(self.cluster.storedText == ["1 one", "2 two"])
    }

    @Test(
        "a late write in doubt has no effect, because its shard was claimed again"
    )
    func lateWriteIsFenced() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.storeBehaviors[.far] = .holding
        self.cluster.say("one", by: alice, id: "a", context: 7)
        self.cluster.failOldestHeldRequestButExecuteLater()
        self.cluster.clearRecords()
        self.cluster.advance(by: 500)
        self.cluster.answerHeldRequests()
        #expect(self.cluster.takeStoreRequests(by: .far) == ["claim", "load"])
        self.cluster.executeLateRequests()
        self.expectOnlyRetryIsStored(before: bob)
    }

    @Test("a write in flight is executed before its conversation is loaded again, or never")
    func writeInFlightIsFenced() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.storeBehaviors[.far] = .holding
        self.cluster.say("one", by: alice, id: "a", context: 7)
        self.cluster.clearRecords()
        self.cluster.reconnectStore()
        self.cluster.answerNewestHeldRequest()
        #expect(self.cluster.takeStoreRequests(by: .far) == ["claim", "load"])
        // The store executes the load before the write.
        self.cluster.answerNewestHeldRequest()
        self.cluster.answerOldestHeldRequest()
        self.expectOnlyRetryIsStored(before: bob)
        self.cluster.clearRecords()
        self.cluster.reconnectStore()
        #expect(!self.cluster.takeStoreRequests(by: .far).contains("claim"))
    }

    @Test(
        "a found message that no replica had confirmed is written under its number"
    )
    func unconfirmedWrite() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        let before = self.cluster.tables
        self.cluster.storeBehaviors[.far] = .holding
        self.cluster.say("one", by: alice, id: "a", context: 7)
        self.cluster.storeBehaviors[.far] = .working
        self.cluster.clearRecords()
        self.cluster.leaveOldestHeldRequestUnconfirmed()
        // The shard is claimed before anything else.
        #expect(self.cluster.takeStoreRequests(by: .far).first == "claim")
        self.cluster.advance(by: 3000)
        #expect(self.cluster.takeDeliveries(on: .third) == ["1 one"])
        self.cluster.tables = before
        self.cluster.reconnectStore()
        self.cluster.advance(by: 10_000)
        self.cluster.say("two", by: bob)
        #expect(self.cluster.storedText == ["1 one", "2 two"])
        #expect(self.cluster.recoveryCounts(of: .far).lost == 0)
    }

    @Test(
        "a message whose answer arrives while others are written again keeps its number"
    )
    func answerDuringRewriting() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.publishesWithWrite = true
        let before = self.cluster.tables
        self.cluster.say("one", by: alice)
        self.cluster.storeBehaviors[.far] = .late
        self.cluster.say("two", by: alice, id: "a", context: 7)
        #expect(self.cluster.takeDeliveries(on: .near) == ["1 one", "2 two ← 7"])
        self.cluster.tables = before
        self.cluster.storeBehaviors[.far] = .holding
        self.cluster.clearRecords()
        self.cluster.reconnectStore()
        #expect(self.cluster.takeStoreRequests(by: .far) == ["claim"])
        self.cluster.answerNewestHeldRequest()
        self.cluster.answerNewestHeldRequest()
        #expect(self.cluster.takeStoreRequests(by: .far) == ["load", "write 1"])
        // It waits, and must not take the number of the message that readers know.
        self.cluster.say("three", by: bob)
        self.cluster.answerOldestHeldRequest()
        self.cluster.storeBehaviors[.far] = .working
        self.cluster.answerHeldRequests()
        self.cluster.advance(by: 10_000)
        #expect(self.cluster.storedText == ["1 one", "2 two", "3 three"])
        #expect(self.cluster.takeDeliveries(on: .near) == ["3 three"])
        #expect(self.cluster.recoveryCounts(of: .far).inPlace == 2)
        #expect(self.cluster.recoveryCounts(of: .far).lost == 0)
    }

    @Test("a message whose answer arrives after another has its number follows that one")
    func answerAfterNumberIsTaken() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.publishesWithWrite = true
        let before = self.cluster.tables
        self.cluster.storeBehaviors[.far] = .late
        self.cluster.say("one", by: alice, id: "a", context: 7)
        self.cluster.tables = before
        self.cluster.storeBehaviors[.far] = .working
        self.cluster.reconnectStore()
        self.cluster.say("two", by: bob)
        #expect(self.cluster.storedText == ["1 two"])
        self.cluster.answerHeldRequests()
        self.cluster.advance(by: 10_000)
        #expect(self.cluster.storedText == ["1 two", "2 one"])
        #expect(self.cluster.recoveryCounts(of: .far).moved == 1)
    }
}
