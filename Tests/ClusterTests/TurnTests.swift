import ChatCore
import ChatModel
import Testing

@testable import Cluster

@Suite("Sends that are on their way at once")
struct TurnTests {
    let stage = Stage()

    @Test("keep their order when the first is refused for now, and those that follow wait with it")
    func refused() {
        let (alice, bob) = self.stage.gather()
        self.stage.moods[.far] = .holding
        self.stage.say("one", by: alice, context: 1)
        self.stage.say("two", by: alice, context: 2)
        self.stage.failHeld()
        self.stage.moods[.far] = .working
        self.stage.pass(300)
        // Refused with the first, and asked again with it; but the second write fails only here.
        self.stage.failHeld()
        self.stage.say("three", by: alice, context: 3)
        self.stage.pass(2000)
        #expect(self.stage.storedWords == ["1 one", "2 two", "3 three"])
        self.stage.say("theirs", by: bob)
        #expect(self.stage.take(on: .near) == ["1 one ← 1", "2 two ← 2", "3 three ← 3", "4 theirs"])
    }

    @Test("are not taken by an owner that has refused one before them, although their loop does not know that yet")
    func inFlight() {
        let (alice, bob) = self.stage.gather()
        self.stage.moods[.far] = .failingWrites
        self.stage.set(.holding, from: .far, to: .near)
        self.stage.say("one", by: alice, context: 1)
        self.stage.moods[.far] = .working
        self.stage.pass(300)
        self.stage.say("two", by: alice, context: 2)
        // Somebody else has nothing to do with it.
        self.stage.say("theirs", by: bob)
        #expect(self.stage.storedWords == ["1 theirs"])
        self.stage.set(.open, from: .far, to: .near)
        self.stage.carryHeld()
        self.stage.pass(600)
        #expect(self.stage.storedWords == ["1 theirs", "2 one", "3 two"])
        #expect(self.stage.take(on: .near).filter { $0.contains("←") } == ["2 one ← 1", "3 two ← 2"])
    }

    @Test(
        "keep it when another becomes the owner, whoever learns of that first",
        arguments: [[OwnerID.near, .third, .far], [.far, .third, .near]])
    func otherOwner(loops: [OwnerID]) {
        let (alice, _) = self.stage.gather()
        var view = Stage.view.setting(draining: true, OwnerID.far.incarnation)!
        while let next = view.step(shards: 4096) { view = next }
        self.stage.moods[.far] = .holding
        let words = ["zero", "one", "two", "three"]
        self.stage.say(words[0], by: alice, context: 1)
        for (place, loop) in loops.enumerated() {
            self.stage.learn(view, on: loop)
            self.stage.say(words[place + 1], by: alice, context: UInt64(place + 2))
        }
        self.stage.moods[.far] = .failing
        while self.stage.hasHeld { self.stage.failHeld() }
        self.stage.pass(3000)
        #expect(self.stage.storedWords == words.enumerated().map { "\($0 + 1) \($1)" })
    }

    @Test("go on when one before them is given up")
    func givenUp() {
        let (alice, _) = self.stage.gather()
        self.stage.set(.losing, from: .near, to: .far)
        self.stage.say("one", by: alice, context: 1)
        self.stage.pass(2500)
        self.stage.say("two", by: alice, context: 2)
        self.stage.pass(2500)
        #expect(self.stage.take(on: .near) == ["1: outcome unknown"])
        self.stage.set(.open, from: .near, to: .far)
        self.stage.pass(1000)
        #expect(self.stage.take(on: .near) == ["1 two ← 2"])
    }

    @Test("are refused for good one by one")
    func refusedForGood() {
        let (alice, _) = self.stage.gather()
        self.stage.ask(.end(by: Actor(person: .alice, isAdmin: false)), by: alice)
        for number in 1...3 { self.stage.ask(.post(.said("\(number)", by: .alice)), by: alice, context: UInt64(number)) }
        self.stage.settle()
        let answers = self.stage.take(on: .near).filter { $0.hasPrefix("1:") || $0.hasPrefix("2:") || $0.hasPrefix("3:") }
        #expect(answers == (1...3).map { "\($0): refused: conversation ended" })
    }

    @Test("lose their order with the feed through which they were asked, and are stored all the same")
    func closed() {
        let (alice, _) = self.stage.gather()
        self.stage.set(.losing, from: .near, to: .far)
        for number in 1...3 { self.stage.ask(.post(.said("\(number)", by: .alice)), by: alice, context: UInt64(number)) }
        self.stage.settle()
        self.stage.leave(alice)
        self.stage.set(.open, from: .near, to: .far)
        self.stage.pass(2000)
        #expect(self.stage.stored.messages.count == 3)
        #expect(self.stage.counts(of: .near).waiting == 0)
    }
}
