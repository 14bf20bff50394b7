import ChatCore
import ChatModel
import Testing

@testable import Cluster

@Suite("A lost envelope")
struct LostEnvelopeTests {
    let cluster = ThreeNodeCluster()

    private func sayUndelivered(_ words: String..., by seat: ThreeNodeCluster.TestSubscriber) {
        self.cluster.set(.losing, from: .far, to: .near)
        for words in words { self.cluster.say(words, by: seat) }
        self.cluster.set(.open, from: .far, to: .near)
    }

    @Test(
        "is seen by the next one: the loop attaches again, and what was missed is shown once and in order"
    )
    func gap() {
        let (_, bob) = self.cluster.subscribeAliceAndBob()
        self.sayUndelivered("one", "two", by: bob)
        #expect(self.cluster.takeDeliveries(on: .near) == [])
        self.cluster.clearRecords()
        self.cluster.say("three", by: bob)

        #expect(self.cluster.takeDeliveries(on: .near) == ["1 one", "2 two", "3 three"])
        #expect(self.cluster.takeItems(from: .near, to: .far).contains("attach alice"))
        #expect(self.cluster.takeStoreRequests(by: .near) == ["changes"])
        self.cluster.advance(by: 5000)
        #expect(self.cluster.takeDeliveries(on: .near) == [])
        #expect(self.cluster.counts(of: .near).waiting == 0)
    }

    @Test("is seen by a tick within a second where it was the last")
    func lostLast() {
        let (_, bob) = self.cluster.subscribeAliceAndBob()
        self.sayUndelivered("one", by: bob)
        self.cluster.advance(by: 1000)
        #expect(self.cluster.takeDeliveries(on: .near) == ["1 one"])
    }

    @Test(
        "that had the answer is made up for by the answer to the repeated request, and nothing is done twice"
    )
    func lostAnswer() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.set(.losing, from: .far, to: .near)
        self.cluster.say("mine", by: alice, context: 7)
        self.cluster.set(.open, from: .far, to: .near)
        self.cluster.say("yours", by: bob)
        self.cluster.advance(by: 2000)

        // Shown by the repair first: then the answer says that it has been shown.
        #expect(
            self.cluster.takeDeliveries(on: .near) == ["1 mine", "2 yours", "7: posted 1, shown"])
        #expect(self.cluster.takeDeliveries(on: .third) == ["1 mine", "2 yours"])
        #expect(self.cluster.storedText == ["1 mine", "2 yours"])
    }

    @Test(
        "that had a message before one's own holds the answer back until that message has been shown"
    )
    func deferredAnswer() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.sayUndelivered("theirs", by: bob)
        self.cluster.storeBehaviors[.near] = .holding
        self.cluster.say("mine", by: alice, context: 7)
        #expect(self.cluster.takeDeliveries(on: .near) == [])
        self.cluster.storeBehaviors[.near] = .working
        self.cluster.answerHeldRequests()
        #expect(self.cluster.takeDeliveries(on: .near) == ["1 theirs", "2 mine ← 7"])
    }

    @Test("with edits, deletions and the end is made up for too")
    func amendments() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        for words in ["one", "two"] { self.cluster.say(words, by: bob) }
        self.cluster.clearRecords()
        let actor = Principal(person: .bob, isAdmin: true)
        self.cluster.set(.losing, from: .far, to: .near)
        for command in [
            .edit(1, content: "uno", by: actor), .delete(2, by: actor), .end(by: actor),
        ] as [ChatCommand] {
            self.cluster.submit(command, by: bob)
            self.cluster.runUntilIdle()
        }
        self.cluster.set(.open, from: .far, to: .near)
        self.cluster.advance(by: 1000)

        #expect(
            self.cluster.takeDeliveries(on: .near).sorted() == [
                "2 deleted", "edited 1 uno", "ended by bob",
            ])
        #expect(self.cluster.deliveredThrough(alice) == 2)
        self.cluster.advance(by: 3000)
        #expect(self.cluster.takeDeliveries(on: .near) == [])
    }

    @Test("does not bring back what was deleted before the repair")
    func deletedBeforeRepair() {
        let (_, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.set(.losing, from: .far, to: .near)
        self.cluster.say("regretted", by: bob)
        self.cluster.submit(.delete(1, by: Principal(person: .bob, isAdmin: false)), by: bob)
        self.cluster.runUntilIdle()
        self.cluster.set(.open, from: .far, to: .near)
        self.cluster.advance(by: 1000)
        #expect(self.cluster.takeDeliveries(on: .near) == ["1 deleted"])
    }

    @Test("with who came and went is made up for by the difference")
    func presence() {
        let (_, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.set(.losing, from: .far, to: .near)
        self.cluster.unsubscribe(bob)
        _ = self.cluster.subscribe(.carol, on: .third)
        self.cluster.advance(by: 4000)
        self.cluster.set(.open, from: .far, to: .near)
        self.cluster.advance(by: 1000)
        #expect(self.cluster.takeDeliveries(on: .near) == ["-bob +carol"])
    }

    @Test("may have said that somebody types no more: so everybody does who typed")
    func typing() {
        let (_, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.submit(.typing(true, by: .bob), by: bob)
        self.cluster.runUntilIdle()
        self.sayUndelivered("one", by: bob)
        self.cluster.advance(by: 1000)
        #expect(
            self.cluster.takeDeliveries(on: .near) == ["bob types", "bob types no more", "1 one"])
    }

    @Test("among hundreds costs as many pages as it takes, and breaks no order")
    func manyMissed() {
        let (_, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.set(.losing, from: .far, to: .near)
        let count = 2 * ConversationSubscriptions.repairPageLimit + 50
        for number in 1...count {
            self.cluster.submit(.post(.said("m", by: .bob)), by: bob, context: UInt64(number))
        }
        self.cluster.runUntilIdle()
        self.cluster.set(.open, from: .far, to: .near)
        self.cluster.clearRecords()
        self.cluster.say("m", by: bob)

        #expect(self.cluster.takeDeliveries(on: .near) == (1...count + 1).map { "\($0) m" })
        #expect(self.cluster.takeStoreRequests(by: .near) == ["changes", "changes", "changes"])
    }

    @Test("on the way to the owner makes the owner call the loop back")
    func lostOnTheWayToOwner() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        self.cluster.set(.losing, from: .near, to: .far)
        self.cluster.say("lost", by: alice, context: 7)
        self.cluster.set(.open, from: .near, to: .far)
        self.cluster.clearRecords()
        self.cluster.say("next", by: alice, context: 8)
        #expect(self.cluster.takeItems(from: .far, to: .near).first == "resynchronize")
        #expect(self.cluster.takeItems(from: .near, to: .far).contains("attach alice"))
        #expect(self.cluster.storedText == [])
        self.cluster.advance(by: 300)
        // What was lost is asked again first, as soon as it is missed.
        #expect(self.cluster.takeDeliveries(on: .near) == ["1 lost ← 7", "2 next ← 8"])
    }

    @Test("that loses the repair itself is repaired like any other")
    func repairLost() {
        let (_, bob) = self.cluster.subscribeAliceAndBob()
        self.sayUndelivered("one", by: bob)
        self.cluster.set(.losing, from: .near, to: .far)
        self.cluster.say("two", by: bob)
        self.cluster.advance(by: 20_000)
        #expect(self.cluster.takeDeliveries(on: .near) == [])
        self.cluster.set(.open, from: .near, to: .far)
        self.cluster.advance(by: 3000)
        #expect(self.cluster.takeDeliveries(on: .near) == ["1 one", "2 two"])
    }

    @Test("is one that comes after a later one: repaired, and not shown twice when it comes")
    func overtaken() {
        let (_, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.set(.holding, from: .far, to: .near)
        self.cluster.say("one", by: bob)
        self.cluster.set(.open, from: .far, to: .near)
        self.cluster.say("two", by: bob)
        #expect(self.cluster.takeDeliveries(on: .near) == ["1 one", "2 two"])
        self.cluster.releaseEnvelopes()
        self.cluster.advance(by: 2000)
        #expect(self.cluster.takeDeliveries(on: .near) == [])
    }

    @Test("is not what a doubled one is: that is taken once, by the owner and by listeners")
    func doubled() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        for loop in [LoopID.near, .third] { self.cluster.set(.doubling, between: loop, and: .far) }
        self.cluster.say("one", by: alice, context: 7)
        self.cluster.say("two", by: bob, context: 8)
        self.cluster.advance(by: 1500)
        #expect(self.cluster.takeDeliveries(on: .near) == ["1 one ← 7", "2 two"])
        #expect(self.cluster.takeDeliveries(on: .third) == ["1 one", "2 two ← 8"])
        #expect(!self.cluster.takeItems(from: .near, to: .far).contains { $0.hasPrefix("attach") })
    }
}
