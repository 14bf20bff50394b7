import ChatCore
import ChatModel
import Testing

@testable import Cluster

@Suite("A page")
struct ReadingTests {
    let stage = Stage()

    @Test("comes straight from the store, on whatever loop it is read")
    func plain() {
        let (_, bob) = self.stage.gather()
        self.stage.say("one", by: bob)
        self.stage.say("two", by: bob)
        self.stage.read(.before(2), on: .near, context: 7)
        self.stage.read(.newest, on: .far, context: 8)
        #expect(self.stage.take(on: .near) == ["1 one", "2 two", "7: page [\"1 one\"]"])
        #expect(self.stage.take(on: .far) == ["8: page [\"1 one\", \"2 two\"]"])
    }

    @Test("that is ahead of what the feed has shown waits until the feed has caught up")
    func ahead() {
        let (_, bob) = self.stage.gather()
        self.stage.set(.holding, from: .far, to: .near)
        self.stage.say("one", by: bob)
        self.stage.read(context: 7)
        #expect(self.stage.take(on: .near) == [])
        self.stage.carryHeld()
        #expect(self.stage.take(on: .near) == ["1 one", "7: page [\"1 one\"]"])
    }

    @Test("waits two seconds and no more for a feed that is in trouble")
    func patience() {
        let (_, bob) = self.stage.gather()
        self.stage.set(.holding, from: .far, to: .near)
        self.stage.say("one", by: bob)
        self.stage.read(context: 7)
        self.stage.pass(1900)
        #expect(self.stage.take(on: .near) == [])
        self.stage.pass(100)
        #expect(self.stage.take(on: .near) == ["7: page [\"1 one\"]"])
    }

    @Test("that waits is handed out when the last listener goes")
    func closed() {
        let (alice, bob) = self.stage.gather()
        self.stage.set(.holding, from: .far, to: .near)
        self.stage.say("one", by: bob)
        self.stage.read(context: 7)
        self.stage.leave(alice)
        #expect(self.stage.take(on: .near) == ["7: page [\"1 one\"]"])
    }

    @Test("that was read before a change which the feed has shown is read again", arguments: [true, false])
    func behind(isDeletion: Bool) {
        let (_, bob) = self.stage.gather()
        self.stage.say("one", by: bob)
        self.stage.moods[.near] = .late
        self.stage.read(context: 7)
        let actor = Actor(person: .bob, isAdmin: false)
        self.stage.ask(isDeletion ? .delete(1, by: actor) : .edit(1, content: "uno", by: actor), by: bob)
        self.stage.settle()
        self.stage.forget()
        self.stage.moods[.near] = .working
        self.stage.answerHeld()
        #expect(self.stage.take(on: .near) == [isDeletion ? "7: page [\"1 deleted\"]" : "7: page [\"1 uno\"]"])
    }

    @Test("that was read before a message which the feed has shown is good: messages come as events")
    func behindMessages() {
        let (_, bob) = self.stage.gather()
        self.stage.say("one", by: bob)
        self.stage.moods[.near] = .late
        self.stage.read(context: 7)
        self.stage.say("two", by: bob)
        self.stage.answerHeld()
        #expect(self.stage.take(on: .near) == ["1 one", "2 two", "7: page [\"1 one\"]"])
    }

    @Test("is read so many times and no more where edits come faster than the store answers")
    func attempts() {
        let (_, bob) = self.stage.gather()
        self.stage.say("one", by: bob)
        self.stage.moods[.near] = .late
        self.stage.forget()
        self.stage.read(context: 7)
        for number in 1...Listening.pageAttempts {
            #expect(self.stage.take(on: .near).allSatisfy { $0.hasPrefix("edited") })
            self.stage.ask(.edit(1, content: "\(number)", by: Actor(person: .bob, isAdmin: false)), by: bob)
            self.stage.settle()
            self.stage.answerHeld()
        }
        #expect(self.stage.take(on: .near).last == "7: no page")
        #expect(self.stage.takeAsked(by: .near).count == Listening.pageAttempts)
    }

    @Test("that the store cannot read is said to have failed, at once")
    func failure() {
        _ = self.stage.gather()
        self.stage.moods[.near] = .failing
        self.stage.read(context: 7)
        #expect(self.stage.take(on: .near) == ["7: no page"])
    }
}
