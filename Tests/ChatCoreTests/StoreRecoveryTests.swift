import Bytes
import ChatModel
import Testing

@testable import ChatCore

@Suite("When the store loses changes, a conversation")
struct StoreRecoveryTests {
    static var limits: Limits {
        var limits = Limits()
        limits.retention = .seconds(60)
        return limits
    }

    @Test("writes them again: messages, edits and members, under the same numbers")
    func writesAgain() {
        var fixture = ConversationFixture(of: [ann, bob], Self.limits)
        let before = fixture.store
        _ = fixture.post("one", by: ann, id: "a")
        _ = fixture.edit(1, to: "uno", by: ann)
        _ = fixture.joinAndSubscribe(cid)
        _ = fixture.post("two", by: bob, id: "b")
        let after = fixture.store
        fixture.store = before
        _ = fixture.run { $0.recheckStore(at: $1, into: &$2) }
        #expect(fixture.store.messages.map(\.body.content) == ["uno", "two"])
        #expect(fixture.store.messages.map(\.revision) == after.messages.map(\.revision))
        #expect(fixture.store.revision == after.revision)
        #expect(fixture.store.members.map(\.user) == after.members.map(\.user))
        // A retried send gets its message.
        #expect(
            fixture.post("two", by: bob, id: "b", request: 9, retry: true) == [
                "answer 9: posted 2 two"
            ])
        #expect(fixture.post("three", by: ann).last == "event: posted 3 three")
    }

    @Test("is compared only if something may be missing")
    func comparesNothing() {
        var fixture = ConversationFixture(of: [ann], Self.limits)
        _ = fixture.post("one", by: ann)
        _ = fixture.advance(by: .seconds(120))
        fixture.clearStoreRequests()
        _ = fixture.run { $0.recheckStore(at: $1, into: &$2) }
        #expect(fixture.storeRequests.isEmpty)
    }

    @Test(
        "reuses no number that a client has seen: an empty, deleted message takes it"
    )
    func lostNumbers() {
        var fixture = ConversationFixture(of: [ann], Self.limits)
        _ = fixture.post("one", by: ann)
        let revision = fixture.store.revision
        fixture.changeOwner()
        _ = fixture.joinAndSubscribe(ann)
        // A loop has received two more messages and an edit, from another owner.
        #expect(
            fixture.attach(west, present: [ann], revision: revision + 3, head: 3).contains(
                "query holders"))
        // Until then another loop may offer them.
        #expect(fixture.store.messages.map(\.state) == [.asSent])
        #expect(fixture.advance(by: .seconds(2)).contains("recovered 0, moved 0, lost 3"))
        #expect(fixture.store.messages.map(\.state) == [.asSent, .deleted, .deleted])
        #expect(fixture.store.revision == revision + 3)
        #expect(
            fixture.attach(west, present: [ann], revision: revision + 3, head: 3).last
                == "answer 1: joined")
        #expect(fixture.post("four", by: ann).last == "event: posted 4 four")
    }

    @Test(
        "gives a lost message no earlier time than the newest stored one, even if the clock lags"
    )
    func lostMessageTime() {
        var fixture = ConversationFixture(of: [ann], Self.limits)
        _ = fixture.post("one", by: ann)
        let revision = fixture.store.revision
        fixture.changeOwner()
        fixture.now = ClockReading(
            monotonic: fixture.now.monotonic,
            wall: Timestamp(milliseconds: fixture.now.wall.milliseconds - 1_800_000))
        _ = fixture.attach(west, present: [ann], revision: revision + 2, head: 3)
        #expect(fixture.advance(by: .seconds(2)).contains("recovered 0, moved 0, lost 2"))
        #expect(
            fixture.store.messages.map(\.sentAt)
                == Array(repeating: fixture.store.messages[0].sentAt, count: 3))
    }

    @Test(
        "writes what a former owner offers, under the same numbers, before it gives up numbers"
    )
    func offeredWrites() {
        var fixture = ConversationFixture(of: [ann], Self.limits)
        _ = fixture.post("one", by: ann, id: "a")
        let before = fixture.store
        _ = fixture.post("two", by: ann, id: "b")
        _ = fixture.post("three", by: ann, id: "c")
        let offered = fixture.conversation.retainedWrites(at: fixture.now)
        fixture.changeOwner()
        let after = fixture.store
        fixture.store = before
        _ = fixture.attach(west, present: [ann], revision: after.revision, head: 3)
        #expect(fixture.store.messages.count == 1)
        #expect(
            fixture.handle(.offerRetained(offered), from: RequestOrigin(loop: west, request: 9))
                .contains("answer 9: done"))
        #expect(fixture.store.messages.map(\.body.content) == ["one", "two", "three"])
        #expect(fixture.store.messages.map(\.revision) == after.messages.map(\.revision))
        // A repeated offer is already stored.
        #expect(
            fixture.handle(.offerRetained(offered), from: RequestOrigin(loop: west, request: 10))
                == [
                    "answer 10: done"
                ])
        #expect(fixture.store.revision == after.revision)
        #expect(
            fixture.post("two", by: ann, id: "b", request: 11, retry: true) == [
                "answer 11: posted 2 two"
            ])
    }

    @Test("takes an edit for the message if no loop has the message itself")
    func editOnly() {
        var fixture = ConversationFixture(of: [ann, bob], Self.limits)
        let before = fixture.store
        _ = fixture.post("one", by: ann, id: "a")
        fixture.changeOwner()
        _ = fixture.joinAndSubscribe(ann)
        _ = fixture.edit(1, to: "uno", by: ann)
        fixture.store = before
        _ = fixture.run { $0.recheckStore(at: $1, into: &$2) }
        _ = fixture.advance(by: .seconds(2))
        #expect(fixture.store.messages.map(\.body.content) == ["uno"])
        #expect(
            fixture.post("one", by: ann, id: "a", request: 9, retry: true) == [
                "answer 9: posted 1 uno"
            ])
    }

    @Test(
        "does not deny an unknown message after a suspension: the editor retries"
    )
    func editsUnknownMessage() {
        var fixture = ConversationFixture(of: [ann], Self.limits)
        _ = fixture.post("one", by: ann)
        let revision = fixture.store.revision + 1
        let body = MessageBody.text("sent elsewhere", by: ann)
        fixture.store.write(
            .message(
                Message(sequence: 2, revision: revision, sentAt: fixture.now.wall, body: body)),
            revision)
        #expect(
            fixture.edit(2, to: "edited", by: ann, request: 1).contains(
                "answer 1: refused, \(ChatError.unavailable)"))
        #expect(
            fixture.edit(2, to: "edited", by: ann, request: 2) == [
                "event: edited 2 edited, answers 2"
            ])
        #expect(fixture.edit(3, to: "edited", by: ann) == [refused(.noSuchMessage(3))])
    }

    @Test("does not deny a message in flight: a client may have read it in the store")
    func editsPendingMessage() {
        var fixture = ConversationFixture(of: [ann], Self.limits)
        fixture.isStoreSlow = true
        _ = fixture.post("one", by: ann)
        #expect(fixture.edit(1, to: "edited", by: ann) == [refused(.unavailable)])
    }

    @Test("continues from what was stored since, if it was only behind")
    func behind() {
        var fixture = ConversationFixture(of: [ann], Self.limits)
        _ = fixture.post("one", by: ann)
        var other = fixture
        _ = other.post("two", by: ann)
        fixture.store = other.store
        _ = fixture.attach(west, present: [ann], revision: other.store.revision, head: 2)
        #expect(fixture.store.messages.map(\.body.content) == ["one", "two"])
        #expect(fixture.post("three", by: ann).last == "event: posted 3 three")
    }

    @Test(
        "rejects recent messages that do not match the loaded state, and loads again"
    )
    func staleRecents() {
        var fixture = ConversationFixture(of: [ann, bob], Self.limits)
        _ = fixture.post("one", by: ann, id: "a")
        let before = fixture.store
        _ = fixture.post("two", by: bob, id: "b")
        let after = fixture.store
        fixture.changeOwner()
        _ = fixture.joinAndSubscribe(ann)
        // Lost between the two reads, and present again at the next one.
        fixture.store = before
        #expect(fixture.post("two", by: bob, id: "b").first == refused(.unavailable))
        fixture.store = after
        fixture.changeOwner()
        #expect(
            fixture.post("two", by: bob, id: "b", request: 10, retry: true) == [
                "answer 10: posted 2 two"
            ])
    }

    @Test("does not take a send for another one because the store has lost it")
    func forgottenSend() {
        var fixture = ConversationFixture(of: [ann, bob], Self.limits)
        _ = fixture.post("one", by: ann, id: "a")
        let before = fixture.store
        _ = fixture.post("two", by: bob, id: "b")
        fixture.store = before
        #expect(fixture.post("two", by: bob, id: "b", retry: true).first == refused(.unavailable))
        #expect(
            fixture.post("two", by: bob, id: "b", request: 11, retry: true) == [
                "answer 11: posted 2 two"
            ])
        #expect(fixture.store.messages.map(\.body.content) == ["one", "two"])
    }

    @Test("continues without its newest messages if the store has lost them for good")
    func lostHistory() {
        var fixture = ConversationFixture(of: [ann, bob], Self.limits)
        _ = fixture.post("one", by: ann, id: "a")
        fixture.changeOwner()
        fixture.store.losesRecents = true
        for _ in 0..<ConversationRules.staleReadLimit {
            #expect(fixture.post("two", by: bob, id: "b") == [refused(.unavailable)])
        }
        #expect(fixture.post("two", by: bob, id: "b") == ["event: posted 2 two"])
    }

    @Test(
        "never writes again what was not acknowledged",
        arguments: [ChatError.unavailable, .rejected, .outcomeUnknown])
    func unacknowledged(_ cause: ChatError) {
        var fixture = ConversationFixture(of: [ann, bob], Self.limits)
        _ = fixture.joinAndSubscribe(bob)
        fixture.isStoreSlow = true
        _ = fixture.post("one", by: ann, id: "a")
        #expect(fixture.failStore(cause).contains(refused(cause)))
        fixture.isStoreSlow = false
        _ = fixture.advance(by: .seconds(80))
        _ = fixture.joinAndSubscribe(ann)
        #expect(fixture.store.messages.isEmpty)
        #expect(
            fixture.conversation.retainedWrites(at: fixture.now).allSatisfy { $0.posted == nil })
        #expect(fixture.post("two", by: ann, id: "b") == ["event: posted 1 two"])
    }

    @Test(
        "looks up a write in doubt, announces it if stored, and rewrites it if it is lost later"
    )
    func storedButUnanswered() {
        var fixture = ConversationFixture(of: [ann, bob], Self.limits)
        _ = fixture.joinAndSubscribe(bob)
        let before = fixture.store
        fixture.isStoreSlow = true
        _ = fixture.post("one", by: ann, id: "a")
        #expect(fixture.failStore(.outcomeUnknown, isDone: true) == [refused(.outcomeUnknown)])
        fixture.isStoreSlow = false
        #expect(
            fixture.advance(by: .seconds(2)).contains("request reattach"),
            "it loads by itself, and subscribers reattach")
        #expect(fixture.post("one", by: ann, id: "a") == ["answer: repeats 1 one"])
        fixture.store = before
        _ = fixture.run { $0.recheckStore(at: $1, into: &$2) }
        #expect(fixture.store.messages.map(\.body.content) == ["one"])
    }

    @Test(
        "asks the loops to reattach when it writes changes again that may not be announced",
        arguments: UnannouncedChange.allCases)
    func unannounced(_ unannounced: UnannouncedChange) {
        var fixture = ConversationFixture(of: [ann, bob], Self.limits)
        _ = fixture.post("one", by: ann, id: "a")
        fixture.isStoreSlow = true
        let change: Write.Change
        switch unannounced {
        case .edit:
            _ = fixture.edit(1, to: "uno", by: ann)
            // The message is looked up first.
            _ = fixture.answerStore()
            var edited = fixture.store.messages[0]
            edited.state = .edited
            change = .amend(
                edited, .edited(content: edited.body.content), at: fixture.now.wall)
        case .end:
            _ = fixture.end(by: ann)
            change = .end(at: fixture.now.wall)
        case .leave:
            _ = fixture.leave(bob)
            change = .remove(bob.id)
        }
        let revision = fixture.store.revision + 1
        // The store had it and has lost it since.
        fixture.conversation.retainStored(change, revision, at: fixture.now)
        _ = fixture.failStore()
        fixture.isStoreSlow = false
        #expect(fixture.joinAndSubscribe(ann).contains("request reattach"))
        #expect(fixture.store.revision == revision)
    }

    enum UnannouncedChange: CaseIterable { case edit, end, leave }
}
