import Bytes
import ChatCore
import ChatModel
import Testing

@testable import Cluster

@Suite("An entrance")
struct EntranceTests {
    let stage = Stage()

    @Test("is answered with where the conversation stands, and shows nothing from before")
    func standing() {
        let (alice, bob) = self.stage.gather()
        self.stage.say("one", by: bob)
        self.stage.leave(alice)
        self.stage.say("two", by: bob)
        self.stage.forget()
        let again = self.stage.enter(.alice, on: .near, context: 7)
        self.stage.settle()
        #expect(self.stage.take(on: .near) == ["7: entered at 2"])
        #expect(self.stage.shownThrough(again) == 2)
    }

    @Test("shows in its answer, and not as events, what happens while the first on its loop is at the door")
    func whileOpening() {
        let (alice, bob) = self.stage.gather()
        self.stage.leave(alice)
        self.stage.forget()
        self.stage.moods[.far] = .holding
        self.stage.say("meanwhile", by: bob)
        // Carol becomes a member behind that message, and her loop hears of both.
        let carol = self.stage.enter(.carol, on: .near, context: 7)
        self.stage.settle()
        self.stage.answerHeld()
        #expect(self.stage.take(on: .near) == ["7: entered at 1"])
        #expect(self.stage.shownThrough(carol) == 1)
    }

    @Test("into a feed that others hear already costs them nothing, and opens no second feed")
    func second() {
        _ = self.stage.gather()
        let carol = self.stage.enter(.carol, on: .near, context: 7)
        self.stage.settle()
        #expect(self.stage.take(on: .near).filter { $0 != "carol joined" && $0 != "+carol" } == ["7: entered at 0"])
        #expect(self.stage.counts(of: .near).heard == 1)
        self.stage.say("hello", by: carol, context: 8)
        #expect(self.stage.take(on: .near) == ["1 hello ← 8"])
        #expect(self.stage.takeLetters(from: .far, to: .near).count { $0 == "event 1 hello" } == 1)
    }

    @Test("that is refused leaves nothing behind")
    func refused() {
        _ = self.stage.gather()
        let carol = self.stage.enter(.carol, on: .far, context: 7, isListed: false)
        self.stage.settle()
        #expect(self.stage.take(on: .far) == ["7: refused: access denied"])
        #expect(self.stage.counts(of: .far) == (owned: 1, heard: 0, waiting: 0))
        self.stage.leave(carol)
        #expect(self.stage.counts(of: .far).heard == 0)
    }

    @Test("that never gets an answer ends as unavailable, and takes its leave: the answer may have been lost")
    func unanswered() {
        _ = self.stage.gather()
        _ = self.stage.enter(.carol, on: .near)
        self.stage.settle()
        self.stage.forget()
        self.stage.set(.losing, from: .far, to: .near)
        _ = self.stage.enter(.named("dora"), on: .near, context: 7)
        self.stage.pass(5000)
        #expect(self.stage.take(on: .near) == ["7: unavailable"])
        #expect(self.stage.takeLetters(from: .near, to: .far).contains("dora leaves"))
        #expect(self.stage.counts(of: .near).heard == 1)
    }

    @Test("that is cancelled before its answer answers nobody and leaves nothing behind")
    func cancelledBefore() {
        let (_, bob) = self.stage.gather()
        let carol = self.stage.enter(.carol, on: .far, context: 7)
        self.stage.cancelEntrance(carol)
        self.stage.pass(4000)
        #expect(self.stage.take(on: .far) == [])
        #expect(self.stage.counts(of: .far) == (owned: 1, heard: 0, waiting: 0))
        #expect(self.stage.take(on: .third) == ["+carol", "carol joined", "-carol"])
        self.stage.say("one", by: bob)
        #expect(self.stage.take(on: .far) == [])
    }

    @Test("that is cancelled with its answer in hand takes its leave")
    func cancelledInHand() {
        _ = self.stage.gather()
        let carol = self.stage.enter(.carol, on: .far, context: 7)
        self.stage.whenShown = { [unowned stage] told in
            if told == "7: entered at 0" { stage.cancelEntrance(carol) }
        }
        self.stage.settle()
        #expect(self.stage.take(on: .far) == ["7: entered at 0"])
        #expect(self.stage.counts(of: .far) == (owned: 1, heard: 0, waiting: 0))
    }

    @Test("cannot be cancelled once its answer has been seen: whoever came in leaves as everybody does")
    func cancelledAfter() {
        let (alice, bob) = self.stage.gather()
        self.stage.cancelEntrance(alice)
        self.stage.say("one", by: bob)
        #expect(self.stage.take(on: .near) == ["1 one"])
        self.stage.leave(alice)
        #expect(self.stage.counts(of: .near).heard == 0)
    }

    @Test("waits while its loop asks the owner who is there, or it would begin where the others are not")
    func duringRepair() {
        let (alice, _) = self.stage.gather()
        // The owner sees at carol's entrance that it has missed something, and asks to be attached before it answers.
        self.stage.set(.losing, from: .near, to: .far)
        self.stage.ask(.typing(true, by: .alice), by: alice)
        self.stage.settle()
        self.stage.set(.open, from: .near, to: .far)
        self.stage.forget()
        _ = self.stage.enter(.carol, on: .near, context: 7)
        self.stage.settle()
        #expect(self.stage.takeLetters(from: .near, to: .far).last == "carol enters, again")
        #expect(self.stage.take(on: .near).filter { $0.hasPrefix("7") } == ["7: entered at 0"])
    }

    @Test("after its owner has stood still leads to where the store is by then")
    func asleep() {
        let (_, bob) = self.stage.gather()
        self.stage.say("one", by: bob)
        self.stage.storeBehindTheBack("two")
        self.stage.forget()
        self.stage.wake(.far)
        _ = self.stage.enter(.alice, on: .near, context: 9)
        self.stage.settle()
        #expect(self.stage.take(on: .near).contains("9: entered at 2"))
        // Whether it is still the owner it asks first.
        #expect(self.stage.takeAsked(by: .far).prefix(2) == ["claim", "load"])
    }
}

@Suite("A farewell")
struct FarewellTests {
    let stage = Stage()

    @Test("of the last listener closes the feed, and the owner sends nothing more")
    func last() {
        let (alice, bob) = self.stage.gather()
        self.stage.leave(alice)
        #expect(self.stage.takeLetters(from: .near, to: .far) == ["alice leaves", "detach"])
        #expect(self.stage.counts(of: .near).heard == 0)
        self.stage.forget()
        self.stage.say("one", by: bob)
        #expect(self.stage.takeLetters(from: .far, to: .near) == [])
        self.stage.pass(3000)
        #expect(self.stage.take(on: .third) == ["1 one", "-alice"])
    }

    @Test("of one of a user's two connections is none")
    func oneOfTwo() {
        let (alice, bob) = self.stage.gather()
        _ = self.stage.enter(.alice, on: .near)
        self.stage.settle()
        self.stage.forget()
        self.stage.leave(alice)
        #expect(self.stage.takeLetters(from: .near, to: .far) == [])
        self.stage.say("one", by: bob)
        #expect(self.stage.take(on: .near) == ["1 one"])
    }

    @Test("of one of two users is told of that user alone")
    func oneOfTwoUsers() {
        let (alice, _) = self.stage.gather()
        _ = self.stage.enter(.carol, on: .near)
        self.stage.settle()
        self.stage.forget()
        self.stage.leave(alice)
        #expect(self.stage.takeLetters(from: .near, to: .far) == ["alice leaves"])
        #expect(self.stage.counts(of: .near).heard == 1)
    }

    @Test("twice is once")
    func twice() {
        let (alice, bob) = self.stage.gather()
        self.stage.leave(alice)
        _ = self.stage.enter(.carol, on: .near)
        self.stage.settle()
        self.stage.leave(alice)
        self.stage.forget()
        self.stage.say("one", by: bob)
        #expect(self.stage.take(on: .near) == ["1 one"])
    }

    @Test("that was lost is said again when an event comes for nobody")
    func lost() {
        let (alice, bob) = self.stage.gather()
        self.stage.set(.losing, from: .near, to: .far)
        self.stage.leave(alice)
        self.stage.set(.open, from: .near, to: .far)
        self.stage.forget()
        self.stage.say("one", by: bob)
        #expect(self.stage.takeLetters(from: .near, to: .far) == ["detach"])
        self.stage.forget()
        self.stage.say("two", by: bob)
        #expect(self.stage.takeLetters(from: .far, to: .near) == [])
        self.stage.pass(3000)
        #expect(self.stage.take(on: .third).contains("-alice"))
    }

    @Test("before the answer to a send that is on its way leaves the answer to whoever asked")
    func withAnswerUnderWay() {
        let (alice, _) = self.stage.gather()
        self.stage.moods[.far] = .holding
        self.stage.say("last words", by: alice, context: 7)
        self.stage.leave(alice)
        self.stage.moods[.far] = .working
        self.stage.answerHeld()
        #expect(self.stage.take(on: .near) == ["7: posted 1"])
    }

    @Test("while an answer waits for what comes before it hands the answer out")
    func withHeldAnswer() {
        let (alice, bob) = self.stage.gather()
        self.stage.set(.losing, from: .far, to: .near)
        self.stage.say("theirs", by: bob)
        self.stage.set(.open, from: .far, to: .near)
        self.stage.moods[.near] = .holding
        self.stage.say("mine", by: alice, context: 7)
        self.stage.leave(alice)
        #expect(self.stage.take(on: .near) == ["7: posted 2"])
        self.stage.moods[.near] = .working
        self.stage.answerHeld()
        self.stage.pass(6000)
        #expect(self.stage.take(on: .near) == [])
        #expect(self.stage.counts(of: .near) == (owned: 0, heard: 0, waiting: 0))
    }
}
