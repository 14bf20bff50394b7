import ChatCore
import ChatModel
import Testing

@testable import Cluster

@Suite("When the store has forgotten what was answered")
struct ForgettingTests {
    let stage: Stage

    init() {
        var limits = ChatLimits()
        limits.hold = .seconds(60)
        self.stage = Stage(limits: limits)
    }

    /// Far gives away all that it owns.
    private func changeOwner() throws {
        let draining = try #require(Stage.view.setting(draining: true, OwnerID.far.incarnation))
        let moved = try #require(draining.step(shards: Shard.count))
        for view in [draining, moved] { self.stage.learn(view) }
        self.stage.pass(1000)
        #expect(moved.owner(of: self.stage.key) != .far)
    }

    @Test("by an owner that is one no more, that one hands it over: nothing is lost, and every number stays")
    func handedOver() throws {
        let (alice, bob) = self.stage.gather()
        self.stage.say("one", by: alice)
        let before = self.stage.tables
        self.stage.say("two", by: bob)
        self.stage.say("three", by: alice)
        try self.changeOwner()
        self.stage.forget()
        self.stage.tables = before
        self.stage.reconnectStore()
        self.stage.pass(10_000)
        #expect(self.stage.storedWords == ["1 one", "2 two", "3 three"])
        #expect(self.stage.take(on: .near) + self.stage.take(on: .third) == [])
        self.stage.say("four", by: alice)
        #expect(self.stage.take(on: .third) == ["4 four"])
    }

    @Test("nothing that was never stored is taken for lost: a send is refused, and what becomes of the one behind it nobody knows")
    func refusedAndUnknown() throws {
        let (alice, _) = self.stage.gather()
        self.stage.moods[.far] = .holding
        self.stage.say("one", by: alice, context: 1)
        self.stage.say("two", by: alice, context: 2)
        self.stage.claimByStranger()
        self.stage.answerOldestHeld()
        self.stage.failHeld()
        self.stage.moods[.far] = .working
        self.stage.answerHeld()
        self.stage.pass(10_000)
        #expect(self.stage.storedWords == ["1 one", "2 two"])
        #expect(self.stage.restored(by: .far) == RestoredChanges())
    }

    @Test("is not asked again and again, without a pause, for what it has just refused")
    func refusing() {
        self.stage.carriesNews = true
        let (alice, bob) = self.stage.gather()
        self.stage.moods[.far] = .failingWrites
        self.stage.say("one", by: alice)
        self.stage.say("two", by: bob)
        self.stage.forget()
        self.stage.pass(4000)
        #expect(self.stage.takeAsked(by: .far).count < 100)
        self.stage.moods[.far] = .working
        self.stage.pass(2000)
        #expect(self.stage.storedWords.sorted() == ["1 one", "2 two"])
    }

    @Test("and the former owner has not noticed, it is asked for what it holds before its numbers are given up")
    func asked() throws {
        let (alice, _) = self.stage.gather()
        let before = self.stage.tables
        self.stage.say("one", by: alice)
        try self.changeOwner()
        self.stage.tables = before
        // A loop that listens tells the next owner of a message that the store does not have.
        self.stage.set(.losing, between: .near, and: .third)
        self.stage.pass(2000)
        self.stage.set(.open, between: .near, and: .third)
        self.stage.say("two", by: alice)
        self.stage.pass(10_000)
        #expect(self.stage.storedWords.first == "1 one")
        #expect(self.stage.stored.messages.map(\.body.content) == ["one", "two"])
    }

    @Test("because another master has other messages under its numbers, loops show those, and then what was appended again")
    func displaced() {
        let (alice, bob) = self.stage.gather()
        self.stage.say("one", by: alice)
        let before = self.stage.tables
        self.stage.say("mine", by: alice)
        self.stage.tables = before
        self.stage.storeBehindTheBack("theirs", by: .bob)
        self.stage.forget()
        self.stage.reconnectStore()
        self.stage.pass(10_000)
        #expect(self.stage.storedWords == ["1 one", "2 theirs", "3 mine"])
        // A loop may hear of what was appended before it has seen what came in between.
        #expect(self.stage.take(on: .near).suffix(2) == ["2 theirs", "3 mine"])
        #expect(self.stage.take(on: .third).suffix(2) == ["2 theirs", "3 mine"])
        #expect(self.stage.restored(by: .far).moved == 1)
        self.stage.say("four", by: bob)
        #expect(self.stage.take(on: .near) == ["4 four"])
    }

    @Test("because another master has other messages under its numbers, who has read them in a page sees those as well")
    func displacedInPage() {
        let (alice, bob) = self.stage.gather()
        let before = self.stage.tables
        self.stage.leave(bob)
        self.stage.say("mine", by: alice)
        _ = self.stage.enter(.bob, on: .third, context: 3)
        self.stage.pass(1000)
        self.stage.forget()
        self.stage.read(on: .third, context: 4)
        #expect(self.stage.take(on: .third) == ["4: page [\"1 mine\"]"])
        self.stage.tables = before
        self.stage.storeBehindTheBack("theirs", by: .bob)
        self.stage.reconnectStore()
        self.stage.pass(10_000)
        #expect(self.stage.storedWords == ["1 theirs", "2 mine"])
        #expect(self.stage.take(on: .third).suffix(2) == ["1 theirs", "2 mine"])
    }

    @Test("before its owner has heard that it is stored, and others have, it is written again under its number")
    func heardAlready() {
        let (alice, bob) = self.stage.gather()
        self.stage.carriesNews = true
        let before = self.stage.tables
        self.stage.moods[.far] = .late
        self.stage.say("one", by: alice, id: "a", context: 7)
        #expect(self.stage.take(on: .near) == ["1 one ← 7"])
        self.stage.tables = before
        self.stage.moods[.far] = .working
        self.stage.reconnectStore()
        self.stage.answerHeld()
        self.stage.pass(10_000)
        #expect(self.stage.storedWords == ["1 one"])
        self.stage.say("two", by: bob)
        #expect(self.stage.storedWords == ["1 one", "2 two"])
    }

    @Test("what its owner has found there after an answer that was lost, it is written again under its number")
    func foundThere() {
        let (alice, bob) = self.stage.gather()
        let before = self.stage.tables
        self.stage.moods[.far] = .late
        self.stage.say("one", by: alice, id: "a", context: 7)
        self.stage.moods[.far] = .working
        self.stage.failHeld()
        self.stage.pass(3000)
        #expect(self.stage.storedWords == ["1 one"])
        #expect(self.stage.take(on: .third) == ["1 one"])
        self.stage.tables = before
        self.stage.reconnectStore()
        self.stage.pass(10_000)
        #expect(self.stage.storedWords == ["1 one"])
        self.stage.say("two", by: bob)
        #expect(self.stage.storedWords == ["1 one", "2 two"])
        #expect(self.stage.restored(by: .far).lost == 0)
    }

    @Test("nothing comes of a write in doubt that reaches the store late: its shard has been claimed again")
    func triedLate() {
        let (alice, bob) = self.stage.gather()
        self.stage.moods[.far] = .holding
        self.stage.say("one", by: alice, id: "a", context: 7)
        self.stage.failHeldUnheard()
        self.stage.forget()
        self.stage.pass(500)
        self.stage.answerHeld()
        #expect(self.stage.takeAsked(by: .far) == ["claim", "load"])
        self.stage.doUnheard()
        #expect(self.stage.storedWords == [])
        // The node asks again under the same id, as long as its client waits.
        self.stage.moods[.far] = .working
        self.stage.answerHeld()
        self.stage.pass(2000)
        #expect(self.stage.storedWords == ["1 one"])
        #expect(self.stage.take(on: .near) == ["1 one ← 7"])
        self.stage.say("two", by: bob)
        #expect(self.stage.storedWords == ["1 one", "2 two"])
    }

    @Test("what no replica has confirmed, and was found there all the same, it is written again under its number")
    func unconfirmed() {
        let (alice, bob) = self.stage.gather()
        let before = self.stage.tables
        self.stage.moods[.far] = .holding
        self.stage.say("one", by: alice, id: "a", context: 7)
        self.stage.moods[.far] = .working
        self.stage.forget()
        self.stage.leaveHeldUnconfirmed()
        // Nothing is done before the shard is claimed anew.
        #expect(self.stage.takeAsked(by: .far).first == "claim")
        self.stage.pass(3000)
        #expect(self.stage.take(on: .third) == ["1 one"])
        self.stage.tables = before
        self.stage.reconnectStore()
        self.stage.pass(10_000)
        self.stage.say("two", by: bob)
        #expect(self.stage.storedWords == ["1 one", "2 two"])
        #expect(self.stage.restored(by: .far).lost == 0)
    }
}
