import Bytes
import ChatModel
import Testing

@testable import ChatCore

@Suite("When the store forgets what it had, a conversation")
struct RestoringTests {
    private static var limits: ChatLimits {
        var limits = ChatLimits()
        limits.hold = .seconds(60)
        return limits
    }

    /// The same conversation as another master is told of it from here on, a moment later.
    private static func withAnotherMaster(_ stage: Stage) -> Stage {
        var other = stage
        other.now = Moment(monotonic: stage.now.monotonic, wall: Timestamp(milliseconds: stage.now.wall.milliseconds + 7))
        return other
    }

    @Test("writes it again: messages, edits and members, under the same numbers")
    func again() {
        var stage = Stage(of: [ann, bob], Self.limits)
        let before = stage.shelf
        _ = stage.say("one", by: ann, id: "a")
        _ = stage.edit(1, to: "uno", by: ann)
        _ = stage.enter(cid)
        _ = stage.say("two", by: bob, id: "b")
        let after = stage.shelf
        stage.shelf = before
        _ = stage.run { $0.compare(at: $1, into: &$2) }
        #expect(stage.shelf.messages.map(\.body.content) == ["uno", "two"])
        #expect(stage.shelf.messages.map(\.revision) == after.messages.map(\.revision))
        #expect(stage.shelf.revision == after.revision)
        #expect(stage.shelf.members.map(\.user) == after.members.map(\.user))
        // A send that is asked again is the message that it was.
        #expect(stage.say("two", by: bob, id: "b", request: 9, again: true) == ["answer 9: posted 2 two"])
        #expect(stage.say("three", by: ann).last == "event: posted 3 three")
    }

    @Test("looks only where something may be missing")
    func nothing() {
        var stage = Stage(of: [ann], Self.limits)
        _ = stage.say("one", by: ann)
        _ = stage.pass(.seconds(120))
        stage.forgetAsked()
        _ = stage.run { $0.compare(at: $1, into: &$2) }
        #expect(stage.asked.isEmpty)
    }

    @Test("gives numbers that somebody has seen to nothing else: what nobody has any more is an empty, deleted message")
    func seen() {
        var stage = Stage(of: [ann], Self.limits)
        _ = stage.say("one", by: ann)
        let revision = stage.shelf.revision
        stage.changeOwner()
        _ = stage.enter(ann)
        // A loop has seen two messages and an edit more, which were another owner's.
        #expect(stage.attach(west, present: [ann], revision: revision + 3, through: 3).contains("who holds it"))
        // Until then somebody may say that it holds them.
        #expect(stage.shelf.messages.map(\.state) == [.asSent])
        #expect(stage.pass(.seconds(2)).contains("restored 0, moved 0, lost 3"))
        #expect(stage.shelf.messages.map(\.state) == [.asSent, .deleted, .deleted])
        #expect(stage.shelf.revision == revision + 3)
        #expect(stage.attach(west, present: [ann], revision: revision + 3, through: 3).last == "answer 1: entered")
        #expect(stage.say("four", by: ann).last == "event: posted 4 four")
    }

    @Test("gives what nobody has any more no earlier time than the store's newest message has, even where its owner's clock is behind")
    func clock() {
        var stage = Stage(of: [ann], Self.limits)
        _ = stage.say("one", by: ann)
        let revision = stage.shelf.revision
        stage.changeOwner()
        stage.now = Moment(
            monotonic: stage.now.monotonic, wall: Timestamp(milliseconds: stage.now.wall.milliseconds - 1_800_000))
        _ = stage.attach(west, present: [ann], revision: revision + 2, through: 3)
        #expect(stage.pass(.seconds(2)).contains("restored 0, moved 0, lost 2"))
        #expect(stage.shelf.messages.map(\.sentAt) == Array(repeating: stage.shelf.messages[0].sentAt, count: 3))
    }

    @Test("takes what a former owner holds of it, before it gives up what was seen: under the same numbers")
    func offered() {
        var stage = Stage(of: [ann], Self.limits)
        _ = stage.say("one", by: ann, id: "a")
        let before = stage.shelf
        _ = stage.say("two", by: ann, id: "b")
        _ = stage.say("three", by: ann, id: "c")
        let held = stage.conversation.heldChanges(at: stage.now)
        stage.changeOwner()
        let after = stage.shelf
        stage.shelf = before
        _ = stage.attach(west, present: [ann], revision: after.revision, through: 3)
        #expect(stage.shelf.messages.count == 1)
        #expect(stage.handle(.held(held), from: Origin(loop: west, request: 9)).contains("answer 9: done"))
        #expect(stage.shelf.messages.map(\.body.content) == ["one", "two", "three"])
        #expect(stage.shelf.messages.map(\.revision) == after.messages.map(\.revision))
        // Offered again it is there already.
        #expect(stage.handle(.held(held), from: Origin(loop: west, request: 10)) == ["answer 10: done"])
        #expect(stage.shelf.revision == after.revision)
        #expect(stage.say("two", by: ann, id: "b", request: 11, again: true) == ["answer 11: posted 2 two"])
    }

    @Test("that another master gave its numbers to others is appended again under the next ones, each send once")
    func displaced() {
        var stage = Stage(of: [ann, bob], Self.limits)
        _ = stage.say("one", by: ann, id: "a")
        var other = Self.withAnotherMaster(stage)
        _ = stage.say("mine", by: ann, id: "b")
        _ = stage.say("told to both", by: ann, id: "c")
        _ = stage.edit(2, to: "mine, corrected", by: ann)
        _ = stage.delete(1, by: ann)
        _ = other.say("theirs", by: bob, id: "d")
        _ = other.say("told to both", by: ann, id: "c")
        stage.shelf = other.shelf
        let lines = stage.run { $0.compare(at: $1, into: &$2) }
        #expect(lines.contains("restored 0, moved 3, lost 0") && lines.contains("call again"))
        #expect(stage.shelf.messages.map(\.body.content) == ["", "theirs", "told to both", "mine, corrected"])
        #expect(stage.shelf.messages.map { $0.body.clientID?.text } == ["a", "d", "c", "b"])
        #expect(stage.say("mine", by: ann, id: "b", request: 9, again: true) == ["answer 9: posted 4 mine, corrected"])
        // It is the store's history that it holds from here on.
        stage.forgetAsked()
        #expect(stage.run { $0.compare(at: $1, into: &$2) } == [])
        #expect(stage.shelf.revision == other.shelf.revision + 3)
    }

    @Test("that was put together from what two masters had keeps what one of them never had, where they are the same further up")
    func mixed() {
        var stage = Stage(of: [ann, bob], Self.limits)
        var other = Self.withAnotherMaster(stage)
        // Who enters has the revision there that a message has here.
        _ = other.enter(cid)
        _ = other.say("theirs", by: bob, id: "a")
        _ = other.say("later", by: bob, id: "b")
        _ = other.say("last", by: ann, id: "c")
        _ = stage.say("mine", by: ann, id: "d")
        _ = stage.handle(.held(other.conversation.heldChanges(at: stage.now)), from: Origin(loop: west, request: 9))
        #expect(stage.shelf.messages.map(\.body.content) == ["mine", "later", "last", "theirs"])
        stage.shelf = other.shelf
        _ = stage.run { $0.compare(at: $1, into: &$2) }
        #expect(stage.shelf.messages.map(\.body.content) == ["theirs", "later", "last", "mine"])
        #expect(stage.say("mine", by: ann, id: "d", request: 10, again: true) == ["answer 10: posted 4 mine"])
        let revision = stage.shelf.revision
        #expect(stage.run { $0.compare(at: $1, into: &$2) } == [])
        #expect(stage.shelf.revision == revision)
    }

    @Test("that has taken over what another master had writes none of it twice where that master's history is the store's after all")
    func takenOver() {
        var stage = Stage(of: [ann, bob], Self.limits)
        var other = Self.withAnotherMaster(stage)
        _ = other.say("one", by: ann, id: "a")
        _ = other.say("two", by: bob, id: "b")
        _ = stage.enter(cid)
        _ = stage.part(cid)
        _ = stage.handle(.held(other.conversation.heldChanges(at: stage.now)), from: Origin(loop: west, request: 9))
        #expect(stage.shelf.messages.map(\.body.content) == ["one", "two"])
        _ = stage.say("three", by: ann, id: "c")
        stage.shelf = other.shelf
        _ = stage.run { $0.compare(at: $1, into: &$2) }
        #expect(stage.shelf.messages.map(\.body.content) == ["one", "two", "three"])
    }

    @Test("that another master gave its numbers to deletes nothing else for what was deleted under them")
    func displacedBeforeDeletion() {
        var stage = Stage(of: [ann, bob], Self.limits)
        var other = Self.withAnotherMaster(stage)
        _ = stage.say("mine", by: ann, id: "a")
        let held = stage.conversation.heldChanges(at: stage.now)
        // The next owner has only the deletion of its own time.
        stage.changeOwner()
        _ = stage.enter(ann)
        _ = stage.delete(1, by: ann)
        _ = other.say("theirs", by: bob, id: "b")
        stage.shelf = other.shelf
        _ = stage.handle(.held(held), from: Origin(loop: west, request: 9))
        #expect(stage.shelf.messages.map(\.body.content) == ["theirs", ""])
        #expect(stage.shelf.messages.map { $0.body.clientID?.text } == ["b", "a"])
    }

    @Test("is ended again where another master gave the number of its end to something else")
    func displacedEnd() {
        var stage = Stage(of: [ann, bob], Self.limits)
        _ = stage.say("one", by: ann, id: "a")
        var other = Self.withAnotherMaster(stage)
        _ = stage.end(by: ann)
        let held = stage.conversation.heldChanges(at: stage.now)
        _ = other.edit(1, to: "uno", by: ann)
        _ = other.handle(.held(held), from: Origin(loop: west, request: 9))
        #expect(other.shelf.messages.map(\.body.content) == ["uno"])
        #expect(other.shelf.record?.endedAt != nil)
    }

    @Test("takes an edit for the message where nobody holds that itself")
    func editedAlone() {
        var stage = Stage(of: [ann, bob], Self.limits)
        let before = stage.shelf
        _ = stage.say("one", by: ann, id: "a")
        stage.changeOwner()
        _ = stage.enter(ann)
        _ = stage.edit(1, to: "uno", by: ann)
        stage.shelf = before
        _ = stage.run { $0.compare(at: $1, into: &$2) }
        _ = stage.pass(.seconds(2))
        #expect(stage.shelf.messages.map(\.body.content) == ["uno"])
        #expect(stage.say("one", by: ann, id: "a", request: 9, again: true) == ["answer 9: posted 1 uno"])
    }

    @Test("whose deleted message another master displaced never shows its words again")
    func displacedDeletion() {
        var stage = Stage(of: [ann, bob], Self.limits)
        var other = Self.withAnotherMaster(stage)
        _ = stage.say("secret", by: ann, id: "a")
        _ = stage.delete(1, by: ann)
        _ = other.say("theirs", by: bob, id: "b")
        stage.shelf = other.shelf
        let lines = stage.run { $0.compare(at: $1, into: &$2) }
        #expect(!lines.contains { $0.contains("secret") })
        #expect(stage.shelf.messages.map(\.body.content) == ["theirs", ""])
        #expect(stage.shelf.messages.map(\.state) == [.asSent, .deleted])
    }

    @Test("that slept while another owned it denies no message that it does not know: who wants to edit it tries again")
    func amendsUnheardOf() {
        var stage = Stage(of: [ann], Self.limits)
        _ = stage.say("one", by: ann)
        let revision = stage.shelf.revision + 1
        let body = MessageBody.said("said elsewhere", by: ann)
        stage.shelf.write(.message(Message(sequence: 2, revision: revision, sentAt: stage.now.wall, body: body)), revision)
        #expect(stage.edit(2, to: "edited", by: ann, request: 1).contains("answer 1: refused, \(ChatError.unavailable)"))
        #expect(stage.edit(2, to: "edited", by: ann, request: 2) == ["event: edited 2 edited, answers 2"])
        #expect(stage.edit(3, to: "edited", by: ann) == [refused(.noSuchMessage(3))])
    }

    @Test("denies no message that is being stored: others may have read it in the store")
    func amendsUnderWay() {
        var stage = Stage(of: [ann], Self.limits)
        stage.isStoreSlow = true
        _ = stage.say("one", by: ann)
        #expect(stage.edit(1, to: "edited", by: ann) == [refused(.unavailable)])
    }

    @Test("goes on from what was stored since, when it was only behind")
    func behind() {
        var stage = Stage(of: [ann], Self.limits)
        _ = stage.say("one", by: ann)
        var other = stage
        _ = other.say("two", by: ann)
        stage.shelf = other.shelf
        _ = stage.attach(west, present: [ann], revision: other.shelf.revision, through: 2)
        #expect(stage.shelf.messages.map(\.body.content) == ["one", "two"])
        #expect(stage.say("three", by: ann).last == "event: posted 3 three")
    }

    @Test("believes no newest messages that are not the newest it was loaded with, and looks at the store again")
    func recollection() {
        var stage = Stage(of: [ann, bob], Self.limits)
        _ = stage.say("one", by: ann, id: "a")
        let before = stage.shelf
        _ = stage.say("two", by: bob, id: "b")
        let after = stage.shelf
        stage.changeOwner()
        _ = stage.enter(ann)
        // Forgotten between the two readings, and there again when it has looked.
        stage.shelf = before
        #expect(stage.say("two", by: bob, id: "b").first == refused(.unavailable))
        stage.shelf = after
        stage.changeOwner()
        #expect(stage.say("two", by: bob, id: "b", request: 10, again: true) == ["answer 10: posted 2 two"])
    }

    @Test("does not take a send for another one because the store has forgotten it")
    func forgottenSend() {
        var stage = Stage(of: [ann, bob], Self.limits)
        _ = stage.say("one", by: ann, id: "a")
        let before = stage.shelf
        _ = stage.say("two", by: bob, id: "b")
        stage.shelf = before
        #expect(stage.say("two", by: bob, id: "b", again: true).first == refused(.unavailable))
        #expect(stage.say("two", by: bob, id: "b", request: 11, again: true) == ["answer 11: posted 2 two"])
        #expect(stage.shelf.messages.map(\.body.content) == ["one", "two"])
    }

    @Test("goes on without its newest messages where the store has lost them for good")
    func lostLog() {
        var stage = Stage(of: [ann, bob], Self.limits)
        _ = stage.say("one", by: ann, id: "a")
        stage.changeOwner()
        stage.shelf.recollectsNothing = true
        for _ in 0..<Restoring.vainRecallLimit { #expect(stage.say("two", by: bob, id: "b") == [refused(.unavailable)]) }
        #expect(stage.say("two", by: bob, id: "b") == ["event: posted 2 two"])
    }

    @Test("never writes again what was not acknowledged", arguments: [ChatError.unavailable, .rejected, .outcomeUnknown])
    func unacknowledged(_ cause: ChatError) {
        var stage = Stage(of: [ann, bob], Self.limits)
        _ = stage.enter(bob)
        stage.isStoreSlow = true
        _ = stage.say("one", by: ann, id: "a")
        #expect(stage.failStore(cause).contains(refused(cause)))
        stage.isStoreSlow = false
        _ = stage.pass(.seconds(80))
        _ = stage.enter(ann)
        #expect(stage.shelf.messages.isEmpty)
        #expect(stage.conversation.heldChanges(at: stage.now).allSatisfy { $0.posted == nil })
        #expect(stage.say("two", by: ann, id: "b") == ["event: posted 1 two"])
    }

    @Test("looks up a write in doubt, shows it where the store has it, and writes it again should the store forget it then")
    func doneUnheard() {
        var stage = Stage(of: [ann, bob], Self.limits)
        _ = stage.enter(bob)
        let before = stage.shelf
        stage.isStoreSlow = true
        _ = stage.say("one", by: ann, id: "a")
        #expect(stage.failStore(.outcomeUnknown, isDone: true) == [refused(.outcomeUnknown)])
        stage.isStoreSlow = false
        #expect(stage.pass(.seconds(2)).contains("call again"), "it asks the store by itself, and listeners are to look")
        #expect(stage.say("one", by: ann, id: "a") == ["answer: posted 1 one"])
        stage.shelf = before
        _ = stage.run { $0.compare(at: $1, into: &$2) }
        #expect(stage.shelf.messages.map(\.body.content) == ["one"])
    }

    @Test("has those who listen look again when it writes again what nobody may have heard of", arguments: Untold.allCases)
    func untold(_ untold: Untold) {
        var stage = Stage(of: [ann, bob], Self.limits)
        _ = stage.say("one", by: ann, id: "a")
        stage.isStoreSlow = true
        let change: Write.Change
        switch untold {
        case .edit:
            _ = stage.edit(1, to: "uno", by: ann)
            // The message is looked up first.
            _ = stage.answerStore()
            var edited = stage.shelf.messages[0]
            edited.state = .edited
            change = .amend(edited, at: stage.now.wall)
        case .end:
            _ = stage.end(by: ann)
            change = .end(at: stage.now.wall)
        case .parting:
            _ = stage.part(bob)
            change = .remove(bob.id)
        }
        let revision = stage.shelf.revision + 1
        // The store had it, and has forgotten it since.
        stage.conversation.holdStored(change, revision, at: stage.now)
        _ = stage.failStore()
        stage.isStoreSlow = false
        #expect(stage.enter(ann).contains("call again"))
        #expect(stage.shelf.revision == revision)
    }

    enum Untold: CaseIterable { case edit, end, parting }
}
