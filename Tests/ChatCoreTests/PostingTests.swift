import Bytes
import ChatModel
import Testing

@testable import ChatCore

@Suite("A send")
struct PostingTests {
    @Test("gets the next number, without holes, whoever sends")
    func numbers() {
        var stage = ConversationFixture(of: [ann, bob])
        #expect(stage.post("one", by: ann) == ["event: posted 1 one"])
        #expect(stage.post("nobody's", by: cid) == [refused(.notAMember)])
        #expect(stage.post("two", by: bob) == ["event: posted 2 two"])
        #expect(stage.post("three", by: ann) == ["event: posted 3 three"])
    }

    @Test("is answered by the event that tells everybody, and not before it is stored")
    func answeredWhenStored() {
        var stage = ConversationFixture(of: [ann])
        stage.isStoreSlow = true
        #expect(stage.post("hi", by: ann, request: 7) == [])
        #expect(stage.answerStore() == ["event: posted 1 hi, answers 7"])
    }

    @Test("is told in the order of the numbers, also when several are on their way")
    func several() {
        var stage = ConversationFixture(of: [ann, bob])
        stage.isStoreSlow = true
        _ = stage.post("one", by: ann, request: 1)
        _ = stage.post("two", by: bob, request: 2)
        #expect(
            stage.answerStore() == [
                "event: posted 1 one, answers 1", "event: posted 2 two, answers 2",
            ])
    }

    @Test("has a revision of its own, like every other change")
    func revisions() {
        var stage = ConversationFixture(of: [ann])
        let before = stage.conversation.storedRevision
        _ = stage.post("one", by: ann)
        _ = stage.edit(1, to: "ones", by: ann)
        _ = stage.post("two", by: ann)
        #expect(stage.announcedMessages.map(\.revision) == [before + 1, before + 3])
        #expect(stage.conversation.storedRevision == before + 3)
    }

    @Test("is never dated before an earlier one, though the clock is set back")
    func time() {
        var stage = ConversationFixture(of: [ann])
        let start = stage.now.wall.milliseconds
        for offset in [0, 5, -60_000, 4, 9] as [Int64] {
            stage.now.wall = Timestamp(milliseconds: start + offset)
            _ = stage.post("hi", by: ann)
        }
        #expect(stage.announcedMessages.map { $0.sentAt.milliseconds - start } == [0, 5, 5, 5, 9])
    }

    @Test("is not dated before one that the last owner took")
    func timeOfLastOwner() {
        var stage = ConversationFixture(of: [ann])
        _ = stage.post("hi", by: ann)
        stage.changeOwner()
        stage.now.wall.milliseconds -= 1000
        _ = stage.post("hi again", by: ann)
        #expect(stage.announcedMessages[0].sentAt == stage.announcedMessages[1].sentAt)
    }

    @Test("gets the number after those of the last owner")
    func nextOwner() {
        var stage = ConversationFixture(of: [ann])
        _ = stage.post("one", by: ann)
        stage.changeOwner()
        #expect(stage.post("two", by: ann) == ["event: posted 2 two"])
    }

    @Test("is refused while the store is away, and takes no number")
    func storeUnavailable() {
        var stage = ConversationFixture(of: [ann])
        stage.conversation.areWritesUnavailable = true
        #expect(stage.post("lost", by: ann) == [refused(.unavailable)])
        stage.conversation.areWritesUnavailable = false
        #expect(stage.post("hi", by: ann) == ["event: posted 1 hi"])
    }
}
