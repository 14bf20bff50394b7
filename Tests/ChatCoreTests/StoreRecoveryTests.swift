import Bytes
import ChatModel
import Testing

@testable import ChatCore

@Suite("When the store forgets what it had, a conversation")
struct StoreRecoveryTests {
    private static var limits: ChatLimits {
        var limits = ChatLimits()
        limits.retention = .seconds(60)
        return limits
    }

    /// The same conversation as another master is told of it from here on, a moment later.
    private static func withAnotherMaster(_ stage: ConversationFixture) -> ConversationFixture {
        var other = stage
        other.now = ClockReading(
            monotonic: stage.now.monotonic,
            wall: Timestamp(milliseconds: stage.now.wall.milliseconds + 7))
        return other
    }

    @Test("writes it again: messages, edits and members, under the same numbers")
    func again() {
        var stage = ConversationFixture(of: [ann, bob], Self.limits)
        let before = stage.store
        _ = stage.post("one", by: ann, id: "a")
        _ = stage.edit(1, to: "uno", by: ann)
        _ = stage.joinAndSubscribe(cid)
        _ = stage.post("two", by: bob, id: "b")
        let after = stage.store
        stage.store = before
        _ = stage.run { $0.recheckStore(at: $1, into: &$2) }
        #expect(stage.store.messages.map(\.body.content) == ["uno", "two"])
        #expect(stage.store.messages.map(\.revision) == after.messages.map(\.revision))
        #expect(stage.store.revision == after.revision)
        #expect(stage.store.members.map(\.user) == after.members.map(\.user))
        // A send that is asked again is the message that it was.
        #expect(
            stage.post("two", by: bob, id: "b", request: 9, retry: true) == [
                "answer 9: posted 2 two"
            ])
        #expect(stage.post("three", by: ann).last == "event: posted 3 three")
    }

    @Test("looks only where something may be missing")
    func nothing() {
        var stage = ConversationFixture(of: [ann], Self.limits)
        _ = stage.post("one", by: ann)
        _ = stage.advance(by: .seconds(120))
        stage.clearStoreRequests()
        _ = stage.run { $0.recheckStore(at: $1, into: &$2) }
        #expect(stage.storeRequests.isEmpty)
    }

    @Test(
        "gives numbers that somebody has seen to nothing else: what nobody has any more is an empty, deleted message"
    )
    func seen() {
        var stage = ConversationFixture(of: [ann], Self.limits)
        _ = stage.post("one", by: ann)
        let revision = stage.store.revision
        stage.changeOwner()
        _ = stage.joinAndSubscribe(ann)
        // A loop has seen two messages and an edit more, which were another owner's.
        #expect(
            stage.attach(west, present: [ann], revision: revision + 3, head: 3).contains(
                "who holds it"))
        // Until then somebody may say that it holds them.
        #expect(stage.store.messages.map(\.state) == [.asSent])
        #expect(stage.advance(by: .seconds(2)).contains("restored 0, moved 0, lost 3"))
        #expect(stage.store.messages.map(\.state) == [.asSent, .deleted, .deleted])
        #expect(stage.store.revision == revision + 3)
        #expect(
            stage.attach(west, present: [ann], revision: revision + 3, head: 3).last
                == "answer 1: entered")
        #expect(stage.post("four", by: ann).last == "event: posted 4 four")
    }

    @Test(
        "gives what nobody has any more no earlier time than the store's newest message has, even where its owner's clock is behind"
    )
    func clock() {
        var stage = ConversationFixture(of: [ann], Self.limits)
        _ = stage.post("one", by: ann)
        let revision = stage.store.revision
        stage.changeOwner()
        stage.now = ClockReading(
            monotonic: stage.now.monotonic,
            wall: Timestamp(milliseconds: stage.now.wall.milliseconds - 1_800_000))
        _ = stage.attach(west, present: [ann], revision: revision + 2, head: 3)
        #expect(stage.advance(by: .seconds(2)).contains("restored 0, moved 0, lost 2"))
        #expect(
            stage.store.messages.map(\.sentAt)
                == Array(repeating: stage.store.messages[0].sentAt, count: 3))
    }

    @Test(
        "takes what a former owner holds of it, before it gives up what was seen: under the same numbers"
    )
    func offeredWrites() {
        var stage = ConversationFixture(of: [ann], Self.limits)
        _ = stage.post("one", by: ann, id: "a")
        let before = stage.store
        _ = stage.post("two", by: ann, id: "b")
        _ = stage.post("three", by: ann, id: "c")
        let held = stage.conversation.retainedWrites(at: stage.now)
        stage.changeOwner()
        let after = stage.store
        stage.store = before
        _ = stage.attach(west, present: [ann], revision: after.revision, head: 3)
        #expect(stage.store.messages.count == 1)
        #expect(
            stage.handle(.offerRetained(held), from: RequestOrigin(loop: west, request: 9))
                .contains("answer 9: done"))
        #expect(stage.store.messages.map(\.body.content) == ["one", "two", "three"])
        #expect(stage.store.messages.map(\.revision) == after.messages.map(\.revision))
        // Offered again it is there already.
        #expect(
            stage.handle(.offerRetained(held), from: RequestOrigin(loop: west, request: 10)) == [
                "answer 10: done"
            ])
        #expect(stage.store.revision == after.revision)
        #expect(
            stage.post("two", by: ann, id: "b", request: 11, retry: true) == [
                "answer 11: posted 2 two"
            ])
    }

    @Test(
        "that another master gave its numbers to others is appended again under the next ones, each send once"
    )
    func displaced() {
        var stage = ConversationFixture(of: [ann, bob], Self.limits)
        _ = stage.post("one", by: ann, id: "a")
        var other = Self.withAnotherMaster(stage)
        _ = stage.post("mine", by: ann, id: "b")
        _ = stage.post("told to both", by: ann, id: "c")
        _ = stage.edit(2, to: "mine, corrected", by: ann)
        _ = stage.delete(1, by: ann)
        _ = other.post("theirs", by: bob, id: "d")
        _ = other.post("told to both", by: ann, id: "c")
        stage.store = other.store
        let lines = stage.run { $0.recheckStore(at: $1, into: &$2) }
        #expect(lines.contains("restored 0, moved 3, lost 0") && lines.contains("call again"))
        #expect(
            stage.store.messages.map(\.body.content) == [
                "", "theirs", "told to both", "mine, corrected",
            ])
        #expect(stage.store.messages.map { $0.body.clientMessageID?.text } == ["a", "d", "c", "b"])
        #expect(
            stage.post("mine", by: ann, id: "b", request: 9, retry: true) == [
                "answer 9: posted 4 mine, corrected"
            ])
        // It is the store's history that it holds from here on.
        stage.clearStoreRequests()
        #expect(stage.run { $0.recheckStore(at: $1, into: &$2) } == [])
        #expect(stage.store.revision == other.store.revision + 3)
    }

    @Test(
        "that was put together from what two masters had keeps what one of them never had, where they are the same further up"
    )
    func mixedHistories() {
        var stage = ConversationFixture(of: [ann, bob], Self.limits)
        var other = Self.withAnotherMaster(stage)
        // Who enters has the revision there that a message has here.
        _ = other.joinAndSubscribe(cid)
        _ = other.post("theirs", by: bob, id: "a")
        _ = other.post("later", by: bob, id: "b")
        _ = other.post("last", by: ann, id: "c")
        _ = stage.post("mine", by: ann, id: "d")
        _ = stage.handle(
            .offerRetained(other.conversation.retainedWrites(at: stage.now)),
            from: RequestOrigin(loop: west, request: 9))
        #expect(stage.store.messages.map(\.body.content) == ["mine", "later", "last", "theirs"])
        stage.store = other.store
        _ = stage.run { $0.recheckStore(at: $1, into: &$2) }
        #expect(stage.store.messages.map(\.body.content) == ["theirs", "later", "last", "mine"])
        #expect(
            stage.post("mine", by: ann, id: "d", request: 10, retry: true) == [
                "answer 10: posted 4 mine"
            ])
        let revision = stage.store.revision
        #expect(stage.run { $0.recheckStore(at: $1, into: &$2) } == [])
        #expect(stage.store.revision == revision)
    }

    @Test(
        "that has taken over what another master had writes none of it twice where that master's history is the store's after all"
    )
    func takenOver() {
        var stage = ConversationFixture(of: [ann, bob], Self.limits)
        var other = Self.withAnotherMaster(stage)
        _ = other.post("one", by: ann, id: "a")
        _ = other.post("two", by: bob, id: "b")
        _ = stage.joinAndSubscribe(cid)
        _ = stage.leave(cid)
        _ = stage.handle(
            .offerRetained(other.conversation.retainedWrites(at: stage.now)),
            from: RequestOrigin(loop: west, request: 9))
        #expect(stage.store.messages.map(\.body.content) == ["one", "two"])
        _ = stage.post("three", by: ann, id: "c")
        stage.store = other.store
        _ = stage.run { $0.recheckStore(at: $1, into: &$2) }
        #expect(stage.store.messages.map(\.body.content) == ["one", "two", "three"])
    }

    @Test(
        "that another master gave its numbers to deletes nothing else for what was deleted under them"
    )
    func displacedBeforeDeletion() {
        var stage = ConversationFixture(of: [ann, bob], Self.limits)
        var other = Self.withAnotherMaster(stage)
        _ = stage.post("mine", by: ann, id: "a")
        let held = stage.conversation.retainedWrites(at: stage.now)
        // The next owner has only the deletion of its own time.
        stage.changeOwner()
        _ = stage.joinAndSubscribe(ann)
        _ = stage.delete(1, by: ann)
        _ = other.post("theirs", by: bob, id: "b")
        stage.store = other.store
        _ = stage.handle(.offerRetained(held), from: RequestOrigin(loop: west, request: 9))
        #expect(stage.store.messages.map(\.body.content) == ["theirs", ""])
        #expect(stage.store.messages.map { $0.body.clientMessageID?.text } == ["b", "a"])
    }

    @Test("is ended again where another master gave the number of its end to something else")
    func displacedEnd() {
        var stage = ConversationFixture(of: [ann, bob], Self.limits)
        _ = stage.post("one", by: ann, id: "a")
        var other = Self.withAnotherMaster(stage)
        _ = stage.end(by: ann)
        let held = stage.conversation.retainedWrites(at: stage.now)
        _ = other.edit(1, to: "uno", by: ann)
        _ = other.handle(.offerRetained(held), from: RequestOrigin(loop: west, request: 9))
        #expect(other.store.messages.map(\.body.content) == ["uno"])
        #expect(other.store.record?.endedAt != nil)
    }

    @Test("takes an edit for the message where nobody holds that itself")
    func editOnly() {
        var stage = ConversationFixture(of: [ann, bob], Self.limits)
        let before = stage.store
        _ = stage.post("one", by: ann, id: "a")
        stage.changeOwner()
        _ = stage.joinAndSubscribe(ann)
        _ = stage.edit(1, to: "uno", by: ann)
        stage.store = before
        _ = stage.run { $0.recheckStore(at: $1, into: &$2) }
        _ = stage.advance(by: .seconds(2))
        #expect(stage.store.messages.map(\.body.content) == ["uno"])
        #expect(
            stage.post("one", by: ann, id: "a", request: 9, retry: true) == [
                "answer 9: posted 1 uno"
            ])
    }

    @Test("whose deleted message another master displaced never shows its words again")
    func displacedDeletion() {
        var stage = ConversationFixture(of: [ann, bob], Self.limits)
        var other = Self.withAnotherMaster(stage)
        _ = stage.post("secret", by: ann, id: "a")
        _ = stage.delete(1, by: ann)
        _ = other.post("theirs", by: bob, id: "b")
        stage.store = other.store
        let lines = stage.run { $0.recheckStore(at: $1, into: &$2) }
        #expect(!lines.contains { $0.contains("secret") })
        #expect(stage.store.messages.map(\.body.content) == ["theirs", ""])
        #expect(stage.store.messages.map(\.state) == [.asSent, .deleted])
    }

    @Test(
        "that slept while another owned it denies no message that it does not know: who wants to edit it tries again"
    )
    func editsUnknownMessage() {
        var stage = ConversationFixture(of: [ann], Self.limits)
        _ = stage.post("one", by: ann)
        let revision = stage.store.revision + 1
        let body = MessageBody.text("said elsewhere", by: ann)
        stage.store.write(
            .message(Message(sequence: 2, revision: revision, sentAt: stage.now.wall, body: body)),
            revision)
        #expect(
            stage.edit(2, to: "edited", by: ann, request: 1).contains(
                "answer 1: refused, \(ChatError.unavailable)"))
        #expect(
            stage.edit(2, to: "edited", by: ann, request: 2) == [
                "event: edited 2 edited, answers 2"
            ])
        #expect(stage.edit(3, to: "edited", by: ann) == [refused(.noSuchMessage(3))])
    }

    @Test("denies no message that is being stored: others may have read it in the store")
    func editsPendingMessage() {
        var stage = ConversationFixture(of: [ann], Self.limits)
        stage.isStoreSlow = true
        _ = stage.post("one", by: ann)
        #expect(stage.edit(1, to: "edited", by: ann) == [refused(.unavailable)])
    }

    @Test("goes on from what was stored since, when it was only behind")
    func behind() {
        var stage = ConversationFixture(of: [ann], Self.limits)
        _ = stage.post("one", by: ann)
        var other = stage
        _ = other.post("two", by: ann)
        stage.store = other.store
        _ = stage.attach(west, present: [ann], revision: other.store.revision, head: 2)
        #expect(stage.store.messages.map(\.body.content) == ["one", "two"])
        #expect(stage.post("three", by: ann).last == "event: posted 3 three")
    }

    @Test(
        "believes no newest messages that are not the newest it was loaded with, and looks at the store again"
    )
    func staleRecents() {
        var stage = ConversationFixture(of: [ann, bob], Self.limits)
        _ = stage.post("one", by: ann, id: "a")
        let before = stage.store
        _ = stage.post("two", by: bob, id: "b")
        let after = stage.store
        stage.changeOwner()
        _ = stage.joinAndSubscribe(ann)
        // Forgotten between the two readings, and there again when it has looked.
        stage.store = before
        #expect(stage.post("two", by: bob, id: "b").first == refused(.unavailable))
        stage.store = after
        stage.changeOwner()
        #expect(
            stage.post("two", by: bob, id: "b", request: 10, retry: true) == [
                "answer 10: posted 2 two"
            ])
    }

    @Test("does not take a send for another one because the store has forgotten it")
    func forgottenSend() {
        var stage = ConversationFixture(of: [ann, bob], Self.limits)
        _ = stage.post("one", by: ann, id: "a")
        let before = stage.store
        _ = stage.post("two", by: bob, id: "b")
        stage.store = before
        #expect(stage.post("two", by: bob, id: "b", retry: true).first == refused(.unavailable))
        #expect(
            stage.post("two", by: bob, id: "b", request: 11, retry: true) == [
                "answer 11: posted 2 two"
            ])
        #expect(stage.store.messages.map(\.body.content) == ["one", "two"])
    }

    @Test("goes on without its newest messages where the store has lost them for good")
    func lostHistory() {
        var stage = ConversationFixture(of: [ann, bob], Self.limits)
        _ = stage.post("one", by: ann, id: "a")
        stage.changeOwner()
        stage.store.losesRecents = true
        for _ in 0..<RecoveryState.staleReadLimit {
            #expect(stage.post("two", by: bob, id: "b") == [refused(.unavailable)])
        }
        #expect(stage.post("two", by: bob, id: "b") == ["event: posted 2 two"])
    }

    @Test(
        "never writes again what was not acknowledged",
        arguments: [ChatError.unavailable, .rejected, .outcomeUnknown])
    func unacknowledged(_ cause: ChatError) {
        var stage = ConversationFixture(of: [ann, bob], Self.limits)
        _ = stage.joinAndSubscribe(bob)
        stage.isStoreSlow = true
        _ = stage.post("one", by: ann, id: "a")
        #expect(stage.failStore(cause).contains(refused(cause)))
        stage.isStoreSlow = false
        _ = stage.advance(by: .seconds(80))
        _ = stage.joinAndSubscribe(ann)
        #expect(stage.store.messages.isEmpty)
        #expect(stage.conversation.retainedWrites(at: stage.now).allSatisfy { $0.posted == nil })
        #expect(stage.post("two", by: ann, id: "b") == ["event: posted 1 two"])
    }

    @Test(
        "looks up a write in doubt, shows it where the store has it, and writes it again should the store forget it then"
    )
    func storedButUnanswered() {
        var stage = ConversationFixture(of: [ann, bob], Self.limits)
        _ = stage.joinAndSubscribe(bob)
        let before = stage.store
        stage.isStoreSlow = true
        _ = stage.post("one", by: ann, id: "a")
        #expect(stage.failStore(.outcomeUnknown, isDone: true) == [refused(.outcomeUnknown)])
        stage.isStoreSlow = false
        #expect(
            stage.advance(by: .seconds(2)).contains("call again"),
            "it asks the store by itself, and listeners are to look")
        #expect(stage.post("one", by: ann, id: "a") == ["answer: posted 1 one"])
        stage.store = before
        _ = stage.run { $0.recheckStore(at: $1, into: &$2) }
        #expect(stage.store.messages.map(\.body.content) == ["one"])
    }

    @Test(
        "has those who listen look again when it writes again what nobody may have heard of",
        arguments: UnannouncedChange.allCases)
    func unannounced(_ untold: UnannouncedChange) {
        var stage = ConversationFixture(of: [ann, bob], Self.limits)
        _ = stage.post("one", by: ann, id: "a")
        stage.isStoreSlow = true
        let change: Write.Change
        switch untold {
        case .edit:
            _ = stage.edit(1, to: "uno", by: ann)
            // The message is looked up first.
            _ = stage.answerStore()
            var edited = stage.store.messages[0]
            edited.state = .edited
            change = .amend(edited, at: stage.now.wall)
        case .end:
            _ = stage.end(by: ann)
            change = .end(at: stage.now.wall)
        case .leave:
            _ = stage.leave(bob)
            change = .remove(bob.id)
        }
        let revision = stage.store.revision + 1
        // The store had it, and has forgotten it since.
        stage.conversation.retainStored(change, revision, at: stage.now)
        _ = stage.failStore()
        stage.isStoreSlow = false
        #expect(stage.joinAndSubscribe(ann).contains("call again"))
        #expect(stage.store.revision == revision)
    }

    enum UnannouncedChange: CaseIterable { case edit, end, leave }
}
