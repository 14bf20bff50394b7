import ChatCore
import ChatModel
import Testing

@testable import Cluster

/// `far` owns the stage's conversation in the first view; in the second it has drained, and the conversation is another's.
@Suite("Loops that follow another view")
struct FollowingTests {
    let stage = Stage()
    private let drained: View
    private let heir: OwnerID

    init() {
        var view = Stage.view.setting(draining: true, OwnerID.far.incarnation)!
        while let next = view.step(shards: 4096) { view = next }
        self.drained = view
        self.heir = view.owner(of: self.stage.key)
    }

    @Test("go on talking: everybody sees everything once, and the last owner keeps nothing")
    func handOver() {
        let (alice, bob) = self.stage.gather()
        self.stage.say("one", by: alice)
        self.stage.learn(self.drained)
        self.stage.say("two", by: bob)
        self.stage.pass(3000)
        #expect(self.heir != .far)
        #expect(self.stage.take(on: .near) == ["1 one", "2 two"])
        #expect(self.stage.take(on: .third) == ["1 one", "2 two"])
        #expect(self.stage.counts(of: .far).owned == 0)
        #expect(self.stage.counts(of: self.heir).owned == 1)
    }

    @Test("in whatever order they learn of it", arguments: [[OwnerID.far, .near, .third], [.third, .far, .near], [.near, .third, .far]])
    func order(loops: [OwnerID]) {
        let (alice, bob) = self.stage.gather()
        for (place, loop) in loops.enumerated() {
            self.stage.learn(self.drained, on: loop)
            self.stage.say("\(place) of alice", by: alice, context: UInt64(10 + place))
            self.stage.say("\(place) of bob", by: bob, context: UInt64(20 + place))
            self.stage.pass(300)
        }
        self.stage.pass(4000)
        #expect(Set(self.stage.storedWords).count == 6)
        #expect(self.stage.stored.messages.map(\.sequence) == [1, 2, 3, 4, 5, 6])
        for loop in [OwnerID.near, .third] {
            let messages = self.stage.take(on: loop).filter { $0.contains(" of ") && $0.first?.isNumber == true }
            #expect(messages.count >= 6)
        }
        #expect(self.stage.counts(of: .near).waiting == 0 && self.stage.counts(of: .third).waiting == 0)
    }

    @Test("are told that a conversation has moved by who does not own it, and ask again until they know better")
    func moved() {
        self.stage.learn(self.drained, on: .far)
        let alice = self.stage.enter(.alice, on: .near)
        self.stage.pass(1000)
        #expect(self.stage.takeLetters(from: .far, to: .near).contains { $0.hasPrefix("moved") })
        #expect(self.stage.newestView(of: .near) == self.drained.number)
        #expect(self.stage.counts(of: .near).waiting == 1)
        self.stage.learn(self.drained)
        self.stage.say("one", by: alice)
        #expect(self.stage.storedWords.count == 1)
        #expect(self.stage.counts(of: .near).waiting == 0)
    }

    @Test("ask the next owner for what the last one, which died, has not answered")
    func death() {
        let (alice, _) = self.stage.gather()
        self.stage.set(.losing, between: .near, and: .far)
        self.stage.set(.losing, between: .third, and: .far)
        self.stage.ask(.post(.said("one", by: .alice)), by: alice, context: 7)
        self.stage.pass(500)
        #expect(self.stage.storedWords.isEmpty)
        let without = Stage.view.without(OwnerID.far.incarnation)!
        self.stage.learn(without, on: .near)
        self.stage.learn(without, on: .third)
        self.stage.pass(300)
        #expect(self.stage.storedWords.count == 1)
        #expect(self.stage.take(on: .third).contains("1 one"))
        #expect(self.stage.counts(of: .near).waiting == 0)
    }

    @Test("forget who listened on a node that is gone")
    func listenersOfTheDead() {
        _ = self.stage.gather()
        self.stage.set(.losing, between: .near, and: .far)
        let without = Stage.view.without(OwnerID.near.incarnation)!
        self.stage.learn(without, on: .far)
        self.stage.learn(without, on: .third)
        self.stage.pass(3000)
        #expect(self.stage.take(on: .third) == ["-alice"])
    }

    @Test("write down what they know of readers before they let go")
    func cursors() {
        let (alice, bob) = self.stage.gather()
        self.stage.say("one", by: alice)
        self.stage.ask(.read([1], by: bob.person.id), by: bob)
        self.stage.settle()
        self.stage.learn(self.drained, on: .far)
        #expect(self.stage.storedMembers.first { $0.user == bob.person.id }?.readCursor == 1)
    }

    @Test("have nobody wait for an answer to what was for the moment", arguments: [true, false])
    func typing(isMoved: Bool) {
        let (alice, _) = self.stage.gather()
        if isMoved { self.stage.learn(self.drained, on: .far) } else { self.stage.set(.losing, from: .near, to: .far) }
        self.stage.ask(.typing(true, by: .alice), by: alice, context: 9)
        self.stage.settle()
        if !isMoved { self.stage.learn(self.drained, on: .near) }
        #expect(self.stage.take(on: .near).contains("9: done"))
    }

    @Test("do not go back to a view that is older than theirs")
    func older() {
        let (alice, _) = self.stage.gather()
        self.stage.learn(self.drained)
        self.stage.learn(Stage.view)
        self.stage.say("one", by: alice)
        #expect(self.stage.counts(of: self.heir).owned == 1)
    }
}
