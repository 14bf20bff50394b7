import Bytes
import ChatCore
import ChatModel
import Testing

@testable import Cluster

@Suite("Whoever asks")
struct OwnerRequestFlowTests {
    let cluster = ThreeNodeCluster()

    @Test(
        "finds the answer in the event that everybody hears: one item for each loop, however many listen there"
    )
    func answerInEvent() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        _ = self.cluster.subscribe(.carol, on: .third)
        self.cluster.advance(by: 3000)
        self.cluster.clearRecords()
        self.cluster.say("hello", by: alice, context: 7)

        #expect(self.cluster.takeDeliveries(on: .near) == ["1 hello ← 7"])
        #expect(self.cluster.takeDeliveries(on: .third) == ["1 hello"])
        #expect(self.cluster.takeItems(from: .far, to: .near) == ["event 1 hello"])
        #expect(self.cluster.takeItems(from: .far, to: .third) == ["event 1 hello"])
    }

    @Test("has the same course where the owner is its own loop, without an envelope")
    func ownLoop() {
        let alice = self.cluster.subscribe(.alice, on: .far)
        self.cluster.advance(by: 3000)
        self.cluster.clearRecords()
        self.cluster.say("hello", by: alice, context: 7)

        #expect(self.cluster.takeDeliveries(on: .far) == ["1 hello ← 7"])
        #expect(self.cluster.takeItems(from: .far, to: .far) == [])
        #expect(self.cluster.counts(of: .far) == (owned: 1, heard: 1, waiting: 0))
    }

    @Test("has an answer of its own where its loop does not listen")
    func withoutSubscription() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        self.cluster.unsubscribe(alice)
        self.cluster.clearRecords()
        self.cluster.submit(.post(.said("by the by", by: .alice)), from: .near, context: 7)
        self.cluster.runUntilIdle()

        #expect(self.cluster.takeDeliveries(on: .near) == ["7: posted 1"])
        #expect(self.cluster.takeDeliveries(on: .third) == ["1 by the by"])
    }

    @Test("is found by the conversation, where its feed has been closed meanwhile")
    func closedFeed() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        self.cluster.unsubscribe(alice)
        _ = self.cluster.subscribe(.alice, on: .near)
        self.cluster.runUntilIdle()
        self.cluster.clearRecords()
        self.cluster.say("hello", by: alice, context: 7)
        #expect(self.cluster.takeDeliveries(on: .near).last == "1 hello ← 7")
    }

    @Test("need not want an answer: then none comes, and the event all the same")
    func withoutContext() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        self.cluster.say("hello", by: alice)
        self.cluster.submit(.typing(true, by: .alice), by: alice)
        #expect(self.cluster.counts(of: .near).waiting == 0)
        self.cluster.runUntilIdle()
        #expect(self.cluster.takeDeliveries(on: .near) == ["1 hello", "alice types"])
    }

    @Test("is told at once what the owner refuses")
    func refusal() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        self.cluster.submit(.post(.said("hello", by: .carol)), by: alice, context: 7)
        self.cluster.submit(
            .end(by: Principal(person: .bob, isAdmin: false)), from: .third, context: 8)
        self.cluster.runUntilIdle()

        #expect(
            self.cluster.takeDeliveries(on: .near) == [
                "7: refused: not a member of this conversation"
            ])
        #expect(
            self.cluster.takeDeliveries(on: .third) == [
                "8: refused: only the creator of a conversation or an admin may do this"
            ])
        #expect(self.cluster.counts(of: .near).waiting == 0)
        #expect(self.cluster.stored.head == 0)
    }

    @Test("sends under an id: its own, or one that the loop makes and nobody is shown")
    func clientIDs() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.say("one", by: alice, id: "mine")
        self.cluster.say("two", by: alice)
        self.cluster.say("three", by: alice)
        self.cluster.say("four", by: bob)

        let ids = self.cluster.stored.messages.map(\.body.clientMessageID)
        #expect(ids[0] == ClientMessageID(given: "mine"))
        #expect(ids[0]?.displayID == "mine")
        #expect(ids.dropFirst().allSatisfy { $0 != nil && $0?.displayID == nil })
        #expect(Set(ids).count == 4)
    }

    @Test("twice under one id gets the same message, also while the first send is on its way")
    func sameID() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        self.cluster.submit(.post(.said("hello", by: .alice, id: "a")), by: alice, context: 7)
        self.cluster.submit(.post(.said("hello", by: .alice, id: "a")), by: alice, context: 8)
        self.cluster.runUntilIdle()
        self.cluster.say("hello", by: alice, id: "a", context: 9)

        // Answer 8 is of a message that the feed has shown since it was asked; answer 9 of one that had been shown before.
        #expect(
            self.cluster.takeDeliveries(on: .near) == [
                "1 hello ← 7", "8: posted 1, shown", "9: posted 1",
            ])
        #expect(self.cluster.takeDeliveries(on: .third) == ["1 hello"])
        #expect(self.cluster.storedText == ["1 hello"])
    }

    @Test("edits, deletes and ends by events that answer it")
    func amendmentsAnsweredByEvents() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        let actor = Principal(person: .alice, isAdmin: false)
        self.cluster.say("one", by: alice)
        self.cluster.submit(.edit(1, content: "uno", by: actor), by: alice, context: 7)
        self.cluster.runUntilIdle()
        self.cluster.submit(.delete(1, by: actor), by: alice, context: 8)
        self.cluster.runUntilIdle()
        self.cluster.submit(.end(by: actor), by: alice, context: 9)
        self.cluster.runUntilIdle()

        #expect(
            self.cluster.takeDeliveries(on: .near) == [
                "1 one", "edited 1 uno ← 7", "1 deleted ← 8", "ended by alice ← 9",
            ])
        #expect(
            self.cluster.takeDeliveries(on: .third) == [
                "1 one", "edited 1 uno", "1 deleted", "ended by alice",
            ])
    }

    @Test(
        "leaves with others of the same turn as one batch, and with later ones while that is under way"
    )
    func batches() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.storeBehaviors[.far] = .holding
        for words in ["one", "two", "three"] {
            self.cluster.submit(.post(.said(words, by: .alice)), by: alice, context: 7)
        }
        self.cluster.runUntilIdle()
        self.cluster.say("four", by: bob, context: 8)
        #expect(self.cluster.takeStoreRequests(by: .far) == ["write 3", "write 1"])
        #expect(self.cluster.takeDeliveries(on: .near) == [])

        self.cluster.answerHeldRequests()
        #expect(
            self.cluster.takeDeliveries(on: .near) == [
                "1 one ← 7", "2 two ← 7", "3 three ← 7", "4 four",
            ])
        #expect(
            self.cluster.takeDeliveries(on: .third) == ["1 one", "2 two", "3 three", "4 four ← 8"])
    }
}
