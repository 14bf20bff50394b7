import ChatCore
import ChatModel
import Testing

@testable import ChatEngine

@Suite("A lost envelope")
struct LostEnvelopeTests {
    let cluster = ThreeNodeCluster()

    private func sayUndelivered(_ texts: String..., by subscriber: ThreeNodeCluster.TestSubscriber)
    {
        self.cluster.set(.losing, from: .far, to: .near)
        for text in texts { self.cluster.say(text, by: subscriber) }
        self.cluster.set(.open, from: .far, to: .near)
    }

    @Test(
        "is noticed at the next one, and what was missed is delivered once and in order"
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
        #expect(self.cluster.counts(of: .near).pending == 0)
    }

    @Test("is noticed by a tick within a second if it was the last one")
    func lostLast() {
        let (_, bob) = self.cluster.subscribeAliceAndBob()
        self.sayUndelivered("one", by: bob)
        self.cluster.advance(by: 1000)
        #expect(self.cluster.takeDeliveries(on: .near) == ["1 one"])
    }

    @Test(
        "with an answer is replaced by the answer to the retry, and nothing is done twice"
    )
    func lostAnswer() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.set(.losing, from: .far, to: .near)
        self.cluster.say("mine", by: alice, context: 7)
        self.cluster.set(.open, from: .far, to: .near)
        self.cluster.say("yours", by: bob)
        self.cluster.advance(by: 2000)

        // The repair delivers the message first, so the answer says that it is also an event.
        #expect(
            self.cluster.takeDeliveries(on: .near) == [
                "1 mine", "2 yours", "7: posted 1, also an event",
            ])
        #expect(self.cluster.takeDeliveries(on: .third) == ["1 mine", "2 yours"])
        #expect(self.cluster.storedText == ["1 mine", "2 yours"])
    }

    @Test(
        "with an earlier message defers an answer until that message is delivered"
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

    @Test("is repaired before the event of a pin that is answered meanwhile")
    func pinAnsweredDuringRepair() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        let actor = Principal(person: .alice, isAdmin: false)
        self.cluster.say("one", by: bob)
        self.sayUndelivered("two", by: bob)
        self.cluster.storeBehaviors[.near] = .holding
        self.cluster.submit(.pin(1, by: actor), by: alice, context: 7)
        self.cluster.advance(by: 6000)
        #expect(
            self.cluster.takeDeliveries(on: .near) == ["1 one", "7: amended 1, also an event"])

        self.cluster.storeBehaviors[.near] = .working
        self.cluster.answerHeldRequests()
        self.cluster.submit(.pin(1, by: actor), by: alice, context: 8)
        self.cluster.advance(by: 6000)
        #expect(
            self.cluster.takeDeliveries(on: .near) == [
                "pinned 1 one", "2 two", "pinned 1 one ← 8",
            ])
    }

    @Test("with the event of an edit is repaired, and then the edit has an answer of its own")
    func lostAmendment() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.say("one", by: bob)
        self.cluster.set(.losing, from: .far, to: .near)
        let actor = Principal(person: .alice, isAdmin: true)
        self.cluster.submit(.edit(1, content: "uno", by: actor), by: alice, context: 7)
        self.cluster.runUntilIdle()
        self.cluster.set(.open, from: .far, to: .near)
        // The retry is answered before the repair has read the store.
        self.cluster.storeBehaviors[.near] = .holding
        self.cluster.advance(by: 2000)
        #expect(self.cluster.takeDeliveries(on: .near) == ["1 one"])
        self.cluster.storeBehaviors[.near] = .working
        self.cluster.answerHeldRequests()
        self.cluster.advance(by: 1000)
        #expect(self.cluster.takeDeliveries(on: .near) == ["edited 1 uno", "7: amended 1"])
        #expect(self.cluster.counts(of: .near).pending == 0)
    }

    @Test("with edits, deletions and the end is repaired")
    func amendments() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        for text in ["one", "two"] { self.cluster.say(text, by: bob) }
        self.cluster.clearRecords()
        let actor = Principal(person: .bob, isAdmin: true)
        self.cluster.set(.losing, from: .far, to: .near)
        for command in [
            .delete(2, by: actor), .edit(1, content: "uno", by: actor), .end(by: actor),
        ] as [ChatCommand] {
            self.cluster.submit(command, by: bob)
            self.cluster.runUntilIdle()
        }
        self.cluster.set(.open, from: .far, to: .near)
        self.cluster.advance(by: 1000)

        // In the order of the changes: a client that gets only the first one resumes behind it.
        #expect(
            self.cluster.takeDeliveries(on: .near) == [
                "2 deleted", "edited 1 uno", "ended by bob",
            ])
        #expect(self.cluster.deliveredThrough(alice) == 2)
        self.cluster.advance(by: 3000)
        #expect(self.cluster.takeDeliveries(on: .near) == [])
    }

    @Test("does not bring back a message that was deleted before the repair")
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

    @Test("with presence changes is repaired by the difference")
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

    @Test("may contain the end of typing, so the repair ends all typing")
    func typing() {
        let (_, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.submit(.typing(true, by: .bob), by: bob)
        self.cluster.runUntilIdle()
        self.sayUndelivered("one", by: bob)
        self.cluster.advance(by: 1000)
        #expect(
            self.cluster.takeDeliveries(on: .near) == ["bob types", "bob stops typing", "1 one"])
    }

    @Test("among hundreds needs several pages, and the order is kept")
    func manyMissed() {
        let (_, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.set(.losing, from: .far, to: .near)
        let count = 2 * ConversationSubscriptions.repairPageLimit + 50
        for number in 1...count {
            self.cluster.submit(
                .post(.said("m", by: .bob)), by: bob,
                context: RequestContextID(rawValue: UInt64(number)))
        }
        self.cluster.runUntilIdle()
        self.cluster.set(.open, from: .far, to: .near)
        self.cluster.clearRecords()
        self.cluster.say("m", by: bob)

        #expect(self.cluster.takeDeliveries(on: .near) == (1...count + 1).map { "\($0) m" })
        #expect(self.cluster.takeStoreRequests(by: .near) == ["changes", "changes", "changes"])
    }

    @Test("to the owner makes the owner request a resynchronization")
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
        // The lost send is retried first, as soon as it is missed.
        #expect(self.cluster.takeDeliveries(on: .near) == ["1 lost ← 7", "2 next ← 8"])
    }

    @Test("of a repair is repaired too")
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

    @Test("that arrives after a later one is repaired, and not delivered twice")
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

    @Test("differs from a duplicate, which owner and subscribers process once")
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
