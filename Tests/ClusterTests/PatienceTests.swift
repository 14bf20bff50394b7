import ChatCore
import ChatModel
import Testing

@testable import Cluster

@Suite("A request")
struct PatienceTests {
    let stage = Stage()

    @Test("is asked again each second of silence, and its outcome is unknown after five")
    func silence() {
        let (alice, _) = self.stage.gather()
        self.stage.set(.losing, between: .near, and: .far)
        self.stage.say("hello", by: alice, id: "a", context: 7)
        self.stage.pass(4700)
        #expect(self.stage.take(on: .near) == [])
        let posts = self.stage.takeLetters(from: .near, to: .far)
        #expect(posts == ["alice says hello"] + Array(repeating: "alice says hello, again", count: 4))

        self.stage.pass(100)
        #expect(self.stage.take(on: .near) == ["7: outcome unknown"])
        #expect(self.stage.counts(of: .near).waiting == 0)
    }

    @Test("that arrives after its time is done, and answers nobody")
    func tooLate() {
        let (alice, _) = self.stage.gather()
        self.stage.set(.holding, from: .near, to: .far)
        self.stage.say("hello", by: alice, context: 7)
        self.stage.pass(5000)
        self.stage.set(.open, from: .near, to: .far)
        self.stage.carryHeld()
        self.stage.pass(2000)
        #expect(self.stage.take(on: .near) == ["7: outcome unknown", "1 hello"])
        #expect(self.stage.storedWords == ["1 hello"])
    }

    @Test("that is repeated while it is on its way to the store makes one message and gets one answer")
    func repeatedOnItsWay() {
        let (alice, _) = self.stage.gather()
        self.stage.moods[.far] = .holding
        self.stage.say("hello", by: alice, context: 7)
        self.stage.pass(3000)
        self.stage.moods[.far] = .working
        self.stage.answerHeld()
        #expect(self.stage.take(on: .near) == ["1 hello ← 7"])
        #expect(self.stage.storedWords == ["1 hello"])
    }

    @Test("that was refused twice at one moment is asked again once")
    func refusedTwice() {
        let (alice, _) = self.stage.gather()
        self.stage.moods[.far] = .holding
        self.stage.say("hello", by: alice, context: 7)
        self.stage.pass(1000)
        self.stage.forget()
        // The batch fails: the send and its repetition are both refused.
        self.stage.failHeld()
        #expect(self.stage.takeLetters(from: .far, to: .near) == ["answer unavailable", "answer unavailable"])
        self.stage.pass(400)
        #expect(self.stage.takeLetters(from: .near, to: .far) == ["alice says hello, again"])
    }

    @Test(
        "that was done, and whose answer was lost, is answered as done when it is repeated",
        arguments: [
            (.delete(1, by: Actor(person: .alice, isAdmin: false)), "7: amended 1"),
            (.edit(1, content: "uno", by: Actor(person: .alice, isAdmin: false)), "7: amended 1"),
            (.end(by: Actor(person: .alice, isAdmin: false)), "7: done"), (.part(Person.alice.id), "7: done"),
        ] as [(ChatCommand, String)])
    func repetition(command: ChatCommand, answer: String) {
        let (alice, _) = self.stage.gather()
        self.stage.say("one", by: alice)
        self.stage.set(.losing, from: .far, to: .near)
        self.stage.ask(command, by: alice, context: 7)
        self.stage.settle()
        let revision = self.stage.stored.revision
        self.stage.set(.open, from: .far, to: .near)
        self.stage.pass(3000)
        #expect(self.stage.take(on: .near).filter { $0.hasPrefix("7") } == [answer])
        #expect(self.stage.stored.revision == revision)
    }

    @Test("that asks for what somebody else has done is told so, for it is no repetition")
    func doneByAnother() {
        let (alice, _) = self.stage.gather()
        let end = ChatCommand.end(by: Actor(person: .alice, isAdmin: false))
        self.stage.ask(end, by: alice, context: 7)
        self.stage.settle()
        self.stage.ask(end, by: alice, context: 8)
        self.stage.settle()
        #expect(self.stage.take(on: .near) == ["ended by alice ← 7", "8: refused: conversation ended"])
    }

    @Test("of the moment is not repeated: it would come too late")
    func ofTheMoment() {
        let (alice, _) = self.stage.gather()
        self.stage.set(.losing, from: .near, to: .far)
        self.stage.ask(.typing(true, by: .alice), by: alice, context: 7)
        self.stage.pass(5000)
        let typing = self.stage.takeLetters(from: .near, to: .far).filter { $0.contains("types") }
        #expect(typing == ["alice types"])
        #expect(self.stage.take(on: .near) == ["7: unavailable"])
    }

    @Test("that the owner could not do is asked again after a quarter of a second, until it can")
    func refusedForNow() {
        let (alice, _) = self.stage.gather()
        self.stage.moods[.far] = .failingWrites
        self.stage.say("hello", by: alice, context: 7)
        #expect(self.stage.takeLetters(from: .near, to: .far) == ["alice says hello"])
        self.stage.pass(200)
        #expect(self.stage.takeLetters(from: .near, to: .far) == [])
        self.stage.pass(100)
        #expect(self.stage.takeLetters(from: .near, to: .far) == ["alice says hello, again"])
        self.stage.moods[.far] = .working
        self.stage.pass(1000)
        #expect(self.stage.take(on: .near) == ["1 hello ← 7"])
        #expect(self.stage.storedWords == ["1 hello"])
    }

    @Test(
        "that the store rejects for certain is refused at once, and never stored",
        arguments: [OwnerID.near, .far] as [OwnerID])
    func rejected(sender: OwnerID) {
        let (alice, _) = self.stage.gather()
        let seat = sender == .near ? alice : self.stage.enter(.bob, on: .far, context: 1)
        self.stage.settle()
        _ = self.stage.take(on: sender)
        self.stage.moods[.far] = .failingWrites
        self.stage.effect = .rejected
        self.stage.say("hello", by: seat, context: 7)
        #expect(self.stage.take(on: sender) == ["7: rejected"])
        self.stage.moods[.far] = .working
        self.stage.pass(80_000)
        #expect(self.stage.storedWords == [])
        #expect(self.stage.take(on: .third).allSatisfy { !$0.contains("hello") })
    }

    @Test("of which an earlier attempt is in doubt is never called refused")
    func rejectedInDoubt() {
        let (alice, _) = self.stage.gather()
        self.stage.set(.holding, from: .near, to: .far)
        self.stage.say("hello", by: alice, context: 7)
        self.stage.pass(1500)
        self.stage.set(.open, from: .near, to: .far)
        self.stage.moods[.far] = .failingWrites
        self.stage.effect = .rejected
        self.stage.pass(1000)
        #expect(self.stage.take(on: .near) == ["7: outcome unknown"])
    }

    @Test("has an outcome after five seconds, where the store first takes no writes and then stands still")
    func faultsInTurn() {
        let (alice, bob) = self.stage.gather()
        self.stage.moods[.far] = .failingWrites
        self.stage.say("mine", by: alice, context: 7)
        self.stage.pass(4000)
        self.stage.moods[.far] = .holding
        self.stage.say("theirs", by: bob, context: 8)
        self.stage.pass(700)
        #expect(self.stage.take(on: .near) == [])
        self.stage.pass(100)
        #expect(self.stage.take(on: .near) == ["7: outcome unknown"])
        self.stage.pass(4000)
        #expect(self.stage.take(on: .third) == ["8: outcome unknown"])
    }

    @Test("whose client has waited for something else already has the rest of the five seconds")
    func shortPatience() {
        let (alice, _) = self.stage.gather()
        self.stage.moods[.far] = .failingWrites
        self.stage.say("hello", by: alice, context: 7, askedAgo: 4000)
        self.stage.pass(700)
        #expect(self.stage.take(on: .near) == [])
        self.stage.pass(300)
        #expect(self.stage.take(on: .near) == ["7: unavailable"])
    }

    @Test("whose answer waits for a message that cannot be shown is answered when its time is over")
    func heldTooLong() {
        let (alice, bob) = self.stage.gather()
        self.stage.set(.losing, from: .far, to: .near)
        self.stage.say("theirs", by: bob)
        self.stage.set(.open, from: .far, to: .near)
        self.stage.moods[.near] = .failing
        self.stage.say("mine", by: alice, context: 7)
        self.stage.pass(4700)
        #expect(self.stage.take(on: .near) == [])
        self.stage.pass(200)
        #expect(self.stage.take(on: .near) == ["7: posted 2, shown"])
        self.stage.moods[.near] = .working
        self.stage.pass(3000)
        #expect(self.stage.take(on: .near) == ["1 theirs", "2 mine"])
    }
}
