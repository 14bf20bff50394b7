import ChatCore
import ChatModel
import Testing

@testable import Cluster

@Suite("A lost envelope")
struct LostEnvelopeTests {
    let stage = Stage()

    private func sayUnheard(_ words: String..., by seat: Stage.Seat) {
        self.stage.set(.losing, from: .far, to: .near)
        for words in words { self.stage.say(words, by: seat) }
        self.stage.set(.open, from: .far, to: .near)
    }

    @Test("is seen by the next one: the loop attaches again, and what was missed is shown once and in order")
    func gap() {
        let (_, bob) = self.stage.gather()
        self.sayUnheard("one", "two", by: bob)
        #expect(self.stage.take(on: .near) == [])
        self.stage.forget()
        self.stage.say("three", by: bob)

        #expect(self.stage.take(on: .near) == ["1 one", "2 two", "3 three"])
        #expect(self.stage.takeLetters(from: .near, to: .far).contains("attach alice"))
        #expect(self.stage.takeAsked(by: .near) == ["changes"])
        self.stage.pass(5000)
        #expect(self.stage.take(on: .near) == [])
        #expect(self.stage.counts(of: .near).waiting == 0)
    }

    @Test("is seen by a tick within a second where it was the last")
    func lostLast() {
        let (_, bob) = self.stage.gather()
        self.sayUnheard("one", by: bob)
        self.stage.pass(1000)
        #expect(self.stage.take(on: .near) == ["1 one"])
    }

    @Test("that had the answer is made up for by the answer to the repeated request, and nothing is done twice")
    func lostAnswer() {
        let (alice, bob) = self.stage.gather()
        self.stage.set(.losing, from: .far, to: .near)
        self.stage.say("mine", by: alice, context: 7)
        self.stage.set(.open, from: .far, to: .near)
        self.stage.say("yours", by: bob)
        self.stage.pass(2000)

        // Shown by the repair first: then the answer says that it has been shown.
        #expect(self.stage.take(on: .near) == ["1 mine", "2 yours", "7: posted 1, shown"])
        #expect(self.stage.take(on: .third) == ["1 mine", "2 yours"])
        #expect(self.stage.storedWords == ["1 mine", "2 yours"])
    }

    @Test("that had a message before one's own holds the answer back until that message has been shown")
    func heldAnswer() {
        let (alice, bob) = self.stage.gather()
        self.sayUnheard("theirs", by: bob)
        self.stage.moods[.near] = .holding
        self.stage.say("mine", by: alice, context: 7)
        #expect(self.stage.take(on: .near) == [])
        self.stage.moods[.near] = .working
        self.stage.answerHeld()
        #expect(self.stage.take(on: .near) == ["1 theirs", "2 mine ← 7"])
    }

    @Test("with edits, deletions and the end is made up for too")
    func amendments() {
        let (alice, bob) = self.stage.gather()
        for words in ["one", "two"] { self.stage.say(words, by: bob) }
        self.stage.forget()
        let actor = Actor(person: .bob, isAdmin: true)
        self.stage.set(.losing, from: .far, to: .near)
        for command in [.edit(1, content: "uno", by: actor), .delete(2, by: actor), .end(by: actor)] as [ChatCommand] {
            self.stage.ask(command, by: bob)
            self.stage.settle()
        }
        self.stage.set(.open, from: .far, to: .near)
        self.stage.pass(1000)

        #expect(self.stage.take(on: .near).sorted() == ["2 deleted", "edited 1 uno", "ended by bob"])
        #expect(self.stage.shownThrough(alice) == 2)
        self.stage.pass(3000)
        #expect(self.stage.take(on: .near) == [])
    }

    @Test("does not bring back what was deleted before the repair")
    func deletedMeanwhile() {
        let (_, bob) = self.stage.gather()
        self.stage.set(.losing, from: .far, to: .near)
        self.stage.say("regretted", by: bob)
        self.stage.ask(.delete(1, by: Actor(person: .bob, isAdmin: false)), by: bob)
        self.stage.settle()
        self.stage.set(.open, from: .far, to: .near)
        self.stage.pass(1000)
        #expect(self.stage.take(on: .near) == ["1 deleted"])
    }

    @Test("with who came and went is made up for by the difference")
    func presence() {
        let (_, bob) = self.stage.gather()
        self.stage.set(.losing, from: .far, to: .near)
        self.stage.leave(bob)
        _ = self.stage.enter(.carol, on: .third)
        self.stage.pass(4000)
        self.stage.set(.open, from: .far, to: .near)
        self.stage.pass(1000)
        #expect(self.stage.take(on: .near) == ["-bob +carol"])
    }

    @Test("may have said that somebody types no more: so everybody does who typed")
    func typing() {
        let (_, bob) = self.stage.gather()
        self.stage.ask(.typing(true, by: .bob), by: bob)
        self.stage.settle()
        self.sayUnheard("one", by: bob)
        self.stage.pass(1000)
        #expect(self.stage.take(on: .near) == ["bob types", "bob types no more", "1 one"])
    }

    @Test("among hundreds costs as many pages as it takes, and breaks no order")
    func manyMissed() {
        let (_, bob) = self.stage.gather()
        self.stage.set(.losing, from: .far, to: .near)
        let count = 2 * Listening.repairPage + 50
        for number in 1...count { self.stage.ask(.post(.said("m", by: .bob)), by: bob, context: UInt64(number)) }
        self.stage.settle()
        self.stage.set(.open, from: .far, to: .near)
        self.stage.forget()
        self.stage.say("m", by: bob)

        #expect(self.stage.take(on: .near) == (1...count + 1).map { "\($0) m" })
        #expect(self.stage.takeAsked(by: .near) == ["changes", "changes", "changes"])
    }

    @Test("on the way to the owner makes the owner call the loop back")
    func lostOnTheWayThere() {
        let (alice, _) = self.stage.gather()
        self.stage.set(.losing, from: .near, to: .far)
        self.stage.say("lost", by: alice, context: 7)
        self.stage.set(.open, from: .near, to: .far)
        self.stage.forget()
        self.stage.say("next", by: alice, context: 8)
        #expect(self.stage.takeLetters(from: .far, to: .near).first == "resynchronize")
        #expect(self.stage.takeLetters(from: .near, to: .far).contains("attach alice"))
        #expect(self.stage.storedWords == [])
        self.stage.pass(300)
        // What was lost is asked again first, as soon as it is missed.
        #expect(self.stage.take(on: .near) == ["1 lost ← 7", "2 next ← 8"])
    }

    @Test("that loses the repair itself is repaired like any other")
    func repairLost() {
        let (_, bob) = self.stage.gather()
        self.sayUnheard("one", by: bob)
        self.stage.set(.losing, from: .near, to: .far)
        self.stage.say("two", by: bob)
        self.stage.pass(20_000)
        #expect(self.stage.take(on: .near) == [])
        self.stage.set(.open, from: .near, to: .far)
        self.stage.pass(3000)
        #expect(self.stage.take(on: .near) == ["1 one", "2 two"])
    }

    @Test("is one that comes after a later one: repaired, and not shown twice when it comes")
    func overtaken() {
        let (_, bob) = self.stage.gather()
        self.stage.set(.holding, from: .far, to: .near)
        self.stage.say("one", by: bob)
        self.stage.set(.open, from: .far, to: .near)
        self.stage.say("two", by: bob)
        #expect(self.stage.take(on: .near) == ["1 one", "2 two"])
        self.stage.carryHeld()
        self.stage.pass(2000)
        #expect(self.stage.take(on: .near) == [])
    }

    @Test("is not what a doubled one is: that is taken once, by the owner and by listeners")
    func doubled() {
        let (alice, bob) = self.stage.gather()
        for loop in [OwnerID.near, .third] { self.stage.set(.doubling, between: loop, and: .far) }
        self.stage.say("one", by: alice, context: 7)
        self.stage.say("two", by: bob, context: 8)
        self.stage.pass(1500)
        #expect(self.stage.take(on: .near) == ["1 one ← 7", "2 two"])
        #expect(self.stage.take(on: .third) == ["1 one", "2 two ← 8"])
        #expect(!self.stage.takeLetters(from: .near, to: .far).contains { $0.hasPrefix("attach") })
    }
}
