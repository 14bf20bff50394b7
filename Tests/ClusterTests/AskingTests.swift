import Bytes
import ChatCore
import ChatModel
import Testing

@testable import Cluster

@Suite("Whoever asks")
struct AskingTests {
    let stage = Stage()

    @Test("finds the answer in the event that everybody hears: one item for each loop, however many listen there")
    func answerAndEvent() {
        let (alice, _) = self.stage.gather()
        _ = self.stage.enter(.carol, on: .third)
        self.stage.pass(3000)
        self.stage.forget()
        self.stage.say("hello", by: alice, context: 7)

        #expect(self.stage.take(on: .near) == ["1 hello ← 7"])
        #expect(self.stage.take(on: .third) == ["1 hello"])
        #expect(self.stage.takeLetters(from: .far, to: .near) == ["event 1 hello"])
        #expect(self.stage.takeLetters(from: .far, to: .third) == ["event 1 hello"])
    }

    @Test("has the same course where the owner is its own loop, without an envelope")
    func ownLoop() {
        let alice = self.stage.enter(.alice, on: .far)
        self.stage.pass(3000)
        self.stage.forget()
        self.stage.say("hello", by: alice, context: 7)

        #expect(self.stage.take(on: .far) == ["1 hello ← 7"])
        #expect(self.stage.takeLetters(from: .far, to: .far) == [])
        #expect(self.stage.counts(of: .far) == (owned: 1, heard: 1, waiting: 0))
    }

    @Test("has an answer of its own where its loop does not listen")
    func withoutListening() {
        let (alice, _) = self.stage.gather()
        self.stage.leave(alice)
        self.stage.forget()
        self.stage.ask(.post(.said("by the by", by: .alice)), from: .near, context: 7)
        self.stage.settle()

        #expect(self.stage.take(on: .near) == ["7: posted 1"])
        #expect(self.stage.take(on: .third) == ["1 by the by"])
    }

    @Test("is found by the conversation, where its feed has been closed meanwhile")
    func closedFeed() {
        let (alice, _) = self.stage.gather()
        self.stage.leave(alice)
        _ = self.stage.enter(.alice, on: .near)
        self.stage.settle()
        self.stage.forget()
        self.stage.say("hello", by: alice, context: 7)
        #expect(self.stage.take(on: .near).last == "1 hello ← 7")
    }

    @Test("need not want an answer: then none comes, and the event all the same")
    func withoutContext() {
        let (alice, _) = self.stage.gather()
        self.stage.say("hello", by: alice)
        self.stage.ask(.typing(true, by: .alice), by: alice)
        #expect(self.stage.counts(of: .near).waiting == 0)
        self.stage.settle()
        #expect(self.stage.take(on: .near) == ["1 hello", "alice types"])
    }

    @Test("is told at once what the owner refuses")
    func refusal() {
        let (alice, _) = self.stage.gather()
        self.stage.ask(.post(.said("hello", by: .carol)), by: alice, context: 7)
        self.stage.ask(.end(by: Actor(person: .bob, isAdmin: false)), from: .third, context: 8)
        self.stage.settle()

        #expect(self.stage.take(on: .near) == ["7: refused: not a member of this conversation"])
        #expect(self.stage.take(on: .third) == ["8: refused: only the creator of a conversation or an admin may do this"])
        #expect(self.stage.counts(of: .near).waiting == 0)
        #expect(self.stage.stored.head == 0)
    }

    @Test("sends under an id: its own, or one that the loop makes and nobody is shown")
    func clientIDs() {
        let (alice, bob) = self.stage.gather()
        self.stage.say("one", by: alice, id: "mine")
        self.stage.say("two", by: alice)
        self.stage.say("three", by: alice)
        self.stage.say("four", by: bob)

        let ids = self.stage.stored.messages.map(\.body.clientID)
        #expect(ids[0] == ClientID(given: "mine"))
        #expect(ids[0]?.shown == "mine")
        #expect(ids.dropFirst().allSatisfy { $0 != nil && $0?.shown == nil })
        #expect(Set(ids).count == 4)
    }

    @Test("twice under one id gets the same message, also while the first send is on its way")
    func sameID() {
        let (alice, _) = self.stage.gather()
        self.stage.ask(.post(.said("hello", by: .alice, id: "a")), by: alice, context: 7)
        self.stage.ask(.post(.said("hello", by: .alice, id: "a")), by: alice, context: 8)
        self.stage.settle()
        self.stage.say("hello", by: alice, id: "a", context: 9)

        // Answer 8 is of a message that the feed has shown since it was asked; answer 9 of one that had been shown before.
        #expect(self.stage.take(on: .near) == ["1 hello ← 7", "8: posted 1, shown", "9: posted 1"])
        #expect(self.stage.take(on: .third) == ["1 hello"])
        #expect(self.stage.storedWords == ["1 hello"])
    }

    @Test("edits, deletes and ends by events that answer it")
    func amendments() {
        let (alice, _) = self.stage.gather()
        let actor = Actor(person: .alice, isAdmin: false)
        self.stage.say("one", by: alice)
        self.stage.ask(.edit(1, content: "uno", by: actor), by: alice, context: 7)
        self.stage.settle()
        self.stage.ask(.delete(1, by: actor), by: alice, context: 8)
        self.stage.settle()
        self.stage.ask(.end(by: actor), by: alice, context: 9)
        self.stage.settle()

        #expect(self.stage.take(on: .near) == ["1 one", "edited 1 uno ← 7", "1 deleted ← 8", "ended by alice ← 9"])
        #expect(self.stage.take(on: .third) == ["1 one", "edited 1 uno", "1 deleted", "ended by alice"])
    }

    @Test("leaves with others of the same turn as one batch, and with later ones while that is under way")
    func batches() {
        let (alice, bob) = self.stage.gather()
        self.stage.moods[.far] = .holding
        for words in ["one", "two", "three"] { self.stage.ask(.post(.said(words, by: .alice)), by: alice, context: 7) }
        self.stage.settle()
        self.stage.say("four", by: bob, context: 8)
        #expect(self.stage.takeAsked(by: .far) == ["write 3", "write 1"])
        #expect(self.stage.take(on: .near) == [])

        self.stage.answerHeld()
        #expect(self.stage.take(on: .near) == ["1 one ← 7", "2 two ← 7", "3 three ← 7", "4 four"])
        #expect(self.stage.take(on: .third) == ["1 one", "2 two", "3 three", "4 four ← 8"])
    }
}
