import ChatCore
import ChatModel
import Testing

@testable import ChatEngine

@Suite("A request")
struct RequestTimeoutTests {
    let cluster = ThreeNodeCluster()

    @Test("is retried every second, and after five seconds its outcome is unknown")
    func retriesUntilTimeout() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        self.cluster.set(.losing, between: .near, and: .far)
        self.cluster.say("hello", by: alice, id: "a", context: 7)
        self.cluster.advance(by: 4700)
        #expect(self.cluster.takeDeliveries(on: .near) == [])
        let posts = self.cluster.takeItems(from: .near, to: .far)
        #expect(
            posts == ["alice says hello"] + Array(repeating: "alice says hello, retry", count: 4))

        self.cluster.advance(by: 100)
        #expect(self.cluster.takeDeliveries(on: .near) == ["7: outcome unknown"])
        #expect(self.cluster.counts(of: .near).pending == 0)
    }

    @Test("that arrives after its timeout is executed, without an answer")
    func tooLate() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        self.cluster.set(.holding, from: .near, to: .far)
        self.cluster.say("hello", by: alice, context: 7)
        self.cluster.advance(by: 5000)
        self.cluster.set(.open, from: .near, to: .far)
        self.cluster.releaseEnvelopes()
        self.cluster.advance(by: 2000)
        #expect(self.cluster.takeDeliveries(on: .near) == ["7: outcome unknown", "1 hello"])
        #expect(self.cluster.storedText == ["1 hello"])
    }

    @Test(
        "that is retried while its write is in flight makes one message and gets one answer"
    )
    func retriedWhileInFlight() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        self.cluster.storeBehaviors[.far] = .holding
        self.cluster.say("hello", by: alice, context: 7)
        self.cluster.advance(by: 3000)
        self.cluster.storeBehaviors[.far] = .working
        self.cluster.answerHeldRequests()
        #expect(self.cluster.takeDeliveries(on: .near) == ["1 hello ← 7"])
        #expect(self.cluster.storedText == ["1 hello"])
    }

    @Test("that was refused twice at one moment is retried once")
    func refusedTwiceAtOnce() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        self.cluster.storeBehaviors[.far] = .holding
        self.cluster.say("hello", by: alice, context: 7)
        self.cluster.advance(by: 1000)
        self.cluster.clearRecords()
        // The batch fails: the send and its retry are both refused.
        self.cluster.failOldestHeldRequest()
        #expect(
            self.cluster.takeItems(from: .far, to: .near) == [
                "answer unavailable", "answer unavailable",
            ])
        self.cluster.advance(by: 400)
        #expect(self.cluster.takeItems(from: .near, to: .far) == ["alice says hello, retry"])
    }

    @Test(
        "that was executed and whose answer was lost is answered as done when it is retried",
        arguments: [
            (.delete(1, by: Principal(person: .alice, isAdmin: false)), "7: amended 1"),
            (
                .edit(1, content: "uno", by: Principal(person: .alice, isAdmin: false)),
                "7: amended 1"
            ),
            (.end(by: Principal(person: .alice, isAdmin: false)), "7: done"),
            (.leave(Person.alice.id), "7: done"),
            (
                .removeMember(Person.bob.id, by: Principal(person: .alice, isAdmin: false)),
                "7: done"
            ),
            (
                .addMember(.carol, by: Principal(person: .alice, isAdmin: false)),
                "7: joined at 1"
            ),
        ] as [(ChatCommand, String)])
    func lostAnswerRepeated(command: ChatCommand, answer: String) {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        self.cluster.say("one", by: alice)
        self.cluster.set(.losing, from: .far, to: .near)
        self.cluster.submit(command, by: alice, context: 7)
        self.cluster.runUntilIdle()
        let revision = self.cluster.stored.revision
        self.cluster.set(.open, from: .far, to: .near)
        self.cluster.advance(by: 3000)
        #expect(self.cluster.takeDeliveries(on: .near).filter { $0.hasPrefix("7") } == [answer])
        #expect(self.cluster.stored.revision == revision)
    }

    @Test("for something that another request has done gets a refusal, because it is no retry")
    func doneByAnotherUser() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        let end = ChatCommand.end(by: Principal(person: .alice, isAdmin: false))
        self.cluster.submit(end, by: alice, context: 7)
        self.cluster.runUntilIdle()
        self.cluster.submit(end, by: alice, context: 8)
        self.cluster.runUntilIdle()
        #expect(
            self.cluster.takeDeliveries(on: .near) == [
                "ended by alice ← 7", "8: refused: conversation ended",
            ])
    }

    @Test("that is transient is not retried")
    func transientNotRetried() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        self.cluster.set(.losing, from: .near, to: .far)
        self.cluster.submit(.typing(true, by: .alice), by: alice, context: 7)
        self.cluster.advance(by: 5000)
        let typing = self.cluster.takeItems(from: .near, to: .far).filter { $0.contains("types") }
        #expect(typing == ["alice types"])
        #expect(self.cluster.takeDeliveries(on: .near) == ["7: unavailable"])
    }

    @Test("that the owner cannot execute is retried after a quarter of a second")
    func refusedTemporarily() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        self.cluster.storeBehaviors[.far] = .failingWrites
        self.cluster.say("hello", by: alice, context: 7)
        #expect(self.cluster.takeItems(from: .near, to: .far) == ["alice says hello"])
        self.cluster.advance(by: 200)
        #expect(self.cluster.takeItems(from: .near, to: .far) == [])
        self.cluster.advance(by: 100)
        #expect(self.cluster.takeItems(from: .near, to: .far) == ["alice says hello, retry"])
        self.cluster.storeBehaviors[.far] = .working
        self.cluster.advance(by: 1000)
        #expect(self.cluster.takeDeliveries(on: .near) == ["1 hello ← 7"])
        #expect(self.cluster.storedText == ["1 hello"])
    }

    @Test(
        "that the store rejects is refused at once, and never stored",
        arguments: [LoopID.near, .far] as [LoopID])
    func rejected(sender: LoopID) {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        let subscriber =
            sender == .near ? alice : self.cluster.subscribe(.bob, on: .far, context: 1)
        self.cluster.runUntilIdle()
        _ = self.cluster.takeDeliveries(on: sender)
        self.cluster.storeBehaviors[.far] = .failingWrites
        self.cluster.writeFailureEffect = .rejected
        self.cluster.say("hello", by: subscriber, context: 7)
        #expect(self.cluster.takeDeliveries(on: sender) == ["7: rejected"])
        self.cluster.storeBehaviors[.far] = .working
        self.cluster.advance(by: 80_000)
        #expect(self.cluster.storedText == [])
        #expect(self.cluster.takeDeliveries(on: .third).allSatisfy { !$0.contains("hello") })
    }

    @Test(
        "is refused at once with all others, while the store rejects reads or writes",
        arguments: [true, false])
    func rejectedTogether(areReadsRejected: Bool) {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.storeBehaviors[.far] = areReadsRejected ? .failing : .failingWrites
        self.cluster.writeFailureEffect = .rejected
        for context in 7...9 {
            self.cluster.submit(
                .post(.said("\(context)", by: alice.person, id: nil)), by: alice,
                context: RequestContextID(rawValue: UInt64(context)))
        }
        self.cluster.say("later", by: bob, context: 10)
        self.cluster.say("last", by: bob, context: 11)
        self.cluster.advance(by: 100)
        #expect(
            self.cluster.takeDeliveries(on: .near) == ["7: rejected", "8: rejected", "9: rejected"])
        #expect(self.cluster.takeDeliveries(on: .third) == ["10: rejected", "11: rejected"])
        self.cluster.storeBehaviors[.far] = .working
        self.cluster.advance(by: 80_000)
        #expect(self.cluster.storedText == [])
    }

    @Test("with an earlier attempt in doubt is never reported as refused")
    func rejectedAfterDoubt() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        self.cluster.set(.holding, from: .near, to: .far)
        self.cluster.say("hello", by: alice, context: 7)
        self.cluster.advance(by: 1500)
        self.cluster.set(.open, from: .near, to: .far)
        self.cluster.storeBehaviors[.far] = .failingWrites
        self.cluster.writeFailureEffect = .rejected
        self.cluster.advance(by: 1000)
        #expect(self.cluster.takeDeliveries(on: .near) == ["7: outcome unknown"])
    }

    @Test(
        "has an outcome after five seconds, even if the store first fails and then hangs"
    )
    func successiveFaults() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.storeBehaviors[.far] = .failingWrites
        self.cluster.say("mine", by: alice, context: 7)
        self.cluster.advance(by: 4000)
        self.cluster.storeBehaviors[.far] = .holding
        self.cluster.say("theirs", by: bob, context: 8)
        self.cluster.advance(by: 700)
        #expect(self.cluster.takeDeliveries(on: .near) == [])
        self.cluster.advance(by: 100)
        #expect(self.cluster.takeDeliveries(on: .near) == ["7: outcome unknown"])
        self.cluster.advance(by: 4000)
        #expect(self.cluster.takeDeliveries(on: .third) == ["8: outcome unknown"])
    }

    @Test("of a client that has already waited has the rest of the five seconds")
    func timeoutSinceRequest() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        self.cluster.storeBehaviors[.far] = .failingWrites
        self.cluster.say("hello", by: alice, context: 7, requestedAgo: 4000)
        self.cluster.advance(by: 700)
        #expect(self.cluster.takeDeliveries(on: .near) == [])
        self.cluster.advance(by: 300)
        #expect(self.cluster.takeDeliveries(on: .near) == ["7: unavailable"])
    }

    @Test("whose answer waits for an undeliverable message is answered at its timeout")
    func deferredTooLong() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.set(.losing, from: .far, to: .near)
        self.cluster.say("theirs", by: bob)
        self.cluster.set(.open, from: .far, to: .near)
        self.cluster.storeBehaviors[.near] = .failing
        self.cluster.say("mine", by: alice, context: 7)
        self.cluster.advance(by: 4700)
        #expect(self.cluster.takeDeliveries(on: .near) == [])
        self.cluster.advance(by: 200)
        #expect(self.cluster.takeDeliveries(on: .near) == ["7: posted 2, also an event later"])
        self.cluster.storeBehaviors[.near] = .working
        self.cluster.advance(by: 3000)
        #expect(self.cluster.takeDeliveries(on: .near) == ["1 theirs", "2 mine"])
    }
}
