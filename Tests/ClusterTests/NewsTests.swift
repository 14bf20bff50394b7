import ChatCore
import ChatModel
import Testing

@testable import Cluster

/// `near` and `third` listen, `far` owns.
@Suite("A message that other nodes hear of in the step that stores it")
struct NewsTests {
    let stage = Stage()
    private let alice: Stage.Seat
    private let bob: Stage.Seat

    init() {
        (self.alice, self.bob) = self.stage.gather()
        self.stage.carriesNews = true
    }

    @Test("is heard before the owner knows that it is stored, answers who sent it, and is told once")
    func early() {
        self.stage.moods[.far] = .late
        self.stage.say("one", by: self.alice, context: 7)
        #expect(self.stage.take(on: .near) == ["1 one ← 7"])
        #expect(self.stage.take(on: .third) == ["1 one"])
        self.stage.forget()
        self.stage.answerHeld()
        #expect(self.stage.takeLetters(from: .far, to: .near) == [])
        self.stage.say("two", by: self.bob)
        #expect(self.stage.take(on: .near) == ["2 two"])
        #expect(self.stage.takeAsked(by: .near) == [])
    }

    @Test("answers who sent it and does not listen")
    func stranger() {
        self.stage.leave(self.alice)
        self.stage.pass(3000)
        self.stage.forget()
        self.stage.ask(.post(.said("aside", by: .bob)), from: .near, context: 9)
        self.stage.settle()
        #expect(self.stage.take(on: .near) == ["9: posted 1"])
        #expect(self.stage.takeLetters(from: .far, to: .near) == ["answer posted 1"])
    }

    @Test("is not heard of where it is refused, and is heard once when it is stored after all")
    func refused() {
        self.stage.claimByStranger()
        self.stage.say("one", by: self.alice, context: 7)
        self.stage.pass(5000)
        #expect(self.stage.storedWords == ["1 one"])
        #expect(self.stage.take(on: .third).filter { $0.hasPrefix("1 ") } == ["1 one"])
        #expect(self.stage.take(on: .near).filter { $0.contains("posted 1") || $0.hasPrefix("1 one") }.count == 1)
    }

    @Test("is told by the owner to a loop that has asked where the conversation stands meanwhile")
    func attached() {
        self.stage.moods[.far] = .late
        self.stage.set(.losing, from: .far, to: .third)
        self.stage.say("one", by: self.alice)
        self.stage.set(.open, from: .far, to: .third)
        #expect(self.stage.take(on: .third) == [])
        // The gap is found, and the owner asked, before it knows that the message is stored.
        self.stage.pass(1000)
        self.stage.answerHeld()
        self.stage.pass(1000)
        #expect(self.stage.take(on: .third) == ["1 one"])
    }

    @Test("waits for the owner's word behind a change that does")
    func behind() {
        self.stage.say("one", by: self.alice)
        self.stage.forget()
        self.stage.moods[.far] = .holding
        self.stage.ask(.edit(1, content: "first", by: Actor(person: .alice, isAdmin: false)), by: self.alice)
        self.stage.settle()
        // The message is found; the edit is on its way to the store.
        self.stage.answerHeld()
        self.stage.say("two", by: self.bob)
        self.stage.moods[.far] = .working
        self.stage.answerHeld()
        self.stage.pass(1000)
        #expect(self.stage.take(on: .third).suffix(2) == ["edited 1 first", "2 two"])
        #expect(self.stage.takeAsked(by: .third) == [])
    }

    @Test("waits behind somebody's coming in for the owner's word, even where one that was not stored had the number of that")
    func behindEntrance() {
        self.stage.leave(self.bob)
        self.stage.moods[.far] = .failingWrites
        self.stage.say("lost", by: self.alice)
        self.stage.pass(6000)
        self.stage.moods[.far] = .working
        self.stage.pass(3000)
        self.stage.forget()
        self.stage.moods[.far] = .holding
        _ = self.stage.enter(.carol, on: .third, context: 3)
        self.stage.settle()
        self.stage.say("one", by: self.alice)
        self.stage.moods[.far] = .working
        self.stage.answerHeld()
        self.stage.pass(1000)
        #expect(self.stage.take(on: .third).contains("1 one"))
        #expect(self.stage.takeAsked(by: .third) == [])
    }
}
