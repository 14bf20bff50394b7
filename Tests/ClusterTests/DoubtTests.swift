import ChatCore
import ChatModel
import Testing

@testable import Cluster

@Suite("An owner's doubt")
struct DoubtTests {
    let stage = Stage()

    /// Loses an envelope of alice's loop, and what the owner says when it sees that.
    private func raise(by alice: Stage.Seat) {
        self.stage.set(.losing, from: .near, to: .far)
        self.stage.ask(.typing(true, by: .alice), by: alice)
        self.stage.settle()
        self.stage.set(.open, from: .near, to: .far)
        self.stage.set(.losing, from: .far, to: .near)
        self.stage.ask(.typing(false, by: .alice), by: alice)
        self.stage.settle()
    }

    @Test("is over when the loop attaches again in time: nobody notices it")
    func dispelled() {
        let (alice, _) = self.stage.gather()
        self.raise(by: alice)
        self.stage.set(.open, from: .far, to: .near)
        self.stage.pass(20_000)
        #expect(self.stage.take(on: .third) == [])
    }

    @Test("that lasts five seconds takes the loop's people away")
    func confirmed() {
        let (alice, bob) = self.stage.gather()
        self.raise(by: alice)
        self.stage.set(.losing, between: .near, and: .far)
        self.stage.pass(4900)
        self.stage.say("one", by: bob)
        #expect(self.stage.takeLetters(from: .far, to: .near).contains("event one") == false)
        #expect(self.stage.take(on: .third) == ["1 one"])
        self.stage.pass(2500)
        #expect(self.stage.take(on: .third) == ["-alice"])
        self.stage.forget()
        self.stage.say("two", by: bob)
        #expect(self.stage.takeLetters(from: .far, to: .near) == [])
    }

    @Test("that proved right ends when the loop is heard again: it missed nothing in the end")
    func backAgain() {
        let (alice, bob) = self.stage.gather()
        self.raise(by: alice)
        self.stage.set(.losing, between: .near, and: .far)
        self.stage.pass(10_000)
        self.stage.say("one", by: bob)
        self.stage.set(.open, between: .near, and: .far)
        self.stage.pass(3000)
        #expect(self.stage.take(on: .third) == ["-alice", "1 one", "+alice"])
        #expect(self.stage.take(on: .near).filter { $0.hasSuffix("one") } == ["1 one"])
    }

    @Test("is spoken out when somebody comes in there: the loop is to say who listens")
    func entrance() {
        let (alice, _) = self.stage.gather()
        self.raise(by: alice)
        self.stage.set(.open, from: .far, to: .near)
        self.stage.forget()
        _ = self.stage.enter(.carol, on: .near)
        self.stage.settle()
        #expect(self.stage.takeLetters(from: .far, to: .near).first == "attach again")
        #expect(self.stage.takeLetters(from: .near, to: .far).contains("attach alice carol"))
    }
}
