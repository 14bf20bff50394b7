import Bytes
import ChatModel
import Testing

@testable import ChatCore

@Suite("A send")
struct PostingTests {
    @Test("gets the next number, without holes, whoever sends")
    func numbers() {
        var stage = Stage(of: [ann, bob])
        #expect(stage.say("one", by: ann) == ["event: posted 1 one"])
        #expect(stage.say("nobody's", by: cid) == [refused(.notAMember)])
        #expect(stage.say("two", by: bob) == ["event: posted 2 two"])
        #expect(stage.say("three", by: ann) == ["event: posted 3 three"])
    }

    @Test("is answered by the event that tells everybody, and not before it is stored")
    func answeredWhenStored() {
        var stage = Stage(of: [ann])
        stage.isStoreSlow = true
        #expect(stage.say("hi", by: ann, request: 7) == [])
        #expect(stage.answerStore() == ["event: posted 1 hi, answers 7"])
    }

    @Test("is told in the order of the numbers, also when several are on their way")
    func several() {
        var stage = Stage(of: [ann, bob])
        stage.isStoreSlow = true
        _ = stage.say("one", by: ann, request: 1)
        _ = stage.say("two", by: bob, request: 2)
        #expect(stage.answerStore() == ["event: posted 1 one, answers 1", "event: posted 2 two, answers 2"])
    }

    @Test("has a revision of its own, like every other change")
    func revisions() {
        var stage = Stage(of: [ann])
        let before = stage.conversation.storedRevision
        _ = stage.say("one", by: ann)
        _ = stage.edit(1, to: "ones", by: ann)
        _ = stage.say("two", by: ann)
        #expect(stage.announced.map(\.revision) == [before + 1, before + 3])
        #expect(stage.conversation.storedRevision == before + 3)
    }

    @Test("is never dated before an earlier one, though the clock is set back")
    func time() {
        var stage = Stage(of: [ann])
        let start = stage.now.wall.milliseconds
        for offset in [0, 5, -60_000, 4, 9] as [Int64] {
            stage.now.wall = Timestamp(milliseconds: start + offset)
            _ = stage.say("hi", by: ann)
        }
        #expect(stage.announced.map { $0.sentAt.milliseconds - start } == [0, 5, 5, 5, 9])
    }

    @Test("is not dated before one that the last owner took")
    func timeOfLastOwner() {
        var stage = Stage(of: [ann])
        _ = stage.say("hi", by: ann)
        stage.changeOwner()
        stage.now.wall.milliseconds -= 1000
        _ = stage.say("hi again", by: ann)
        #expect(stage.announced[0].sentAt == stage.announced[1].sentAt)
    }

    @Test("gets the number after those of the last owner")
    func nextOwner() {
        var stage = Stage(of: [ann])
        _ = stage.say("one", by: ann)
        stage.changeOwner()
        #expect(stage.say("two", by: ann) == ["event: posted 2 two"])
    }

    @Test("is refused while the store is away, and takes no number")
    func storeAway() {
        var stage = Stage(of: [ann])
        stage.conversation.isStoreAway = true
        #expect(stage.say("lost", by: ann) == [refused(.unavailable)])
        stage.conversation.isStoreAway = false
        #expect(stage.say("hi", by: ann) == ["event: posted 1 hi"])
    }
}
