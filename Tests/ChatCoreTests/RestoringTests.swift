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
        _ = stage.attach(west, present: [ann], revision: revision + 3, through: 3)
        #expect(stage.shelf.messages.map(\.state) == [.asSent, .deleted, .deleted])
        #expect(stage.shelf.revision == revision + 3)
        #expect(stage.attach(west, present: [ann], revision: revision + 3, through: 3).last == "answer 1: entered")
        #expect(stage.say("four", by: ann).last == "event: posted 4 four")
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
}
