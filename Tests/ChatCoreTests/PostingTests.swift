import Bytes
import ChatModel
import Testing

@testable import ChatCore

@Suite("A send")
struct PostingTests {
    @Test("gets the next number without gaps, for every sender")
    func numbers() {
        var fixture = ConversationFixture(of: [ann, bob])
        #expect(fixture.post("one", by: ann) == ["event: posted 1 one"])
        #expect(fixture.post("rejected", by: cid) == [refused(.noSuchConversation)])
        #expect(fixture.post("two", by: bob) == ["event: posted 2 two"])
        #expect(fixture.post("three", by: ann) == ["event: posted 3 three"])
    }

    @Test("is answered by the event that is published, and only when it is stored")
    func answeredWhenStored() {
        var fixture = ConversationFixture(of: [ann])
        fixture.isStoreSlow = true
        #expect(fixture.post("hi", by: ann, request: 7) == [])
        #expect(fixture.answerStore() == ["event: posted 1 hi, answers 7"])
    }

    @Test("is published in the order of the numbers, even if several are in flight")
    func several() {
        var fixture = ConversationFixture(of: [ann, bob])
        fixture.isStoreSlow = true
        _ = fixture.post("one", by: ann, request: 1)
        _ = fixture.post("two", by: bob, request: 2)
        #expect(
            fixture.answerStore() == [
                "event: posted 1 one, answers 1", "event: posted 2 two, answers 2",
            ])
    }

    @Test("has a revision of its own, like every other change")
    func revisions() {
        var fixture = ConversationFixture(of: [ann])
        let before = fixture.conversation.storedRevision
        _ = fixture.post("one", by: ann)
        _ = fixture.edit(1, to: "ones", by: ann)
        _ = fixture.post("two", by: ann)
        #expect(fixture.announcedMessages.map(\.revision) == [before + 1, before + 3])
        #expect(fixture.conversation.storedRevision == before + 3)
    }

    @Test("never has an earlier time than the message before it, even if the clock is set back")
    func time() {
        var fixture = ConversationFixture(of: [ann])
        let start = fixture.now.wall.milliseconds
        for offset in [0, 5, -60_000, 4, 9] as [Int64] {
            fixture.now.wall = Timestamp(milliseconds: start + offset)
            _ = fixture.post("hi", by: ann)
        }
        #expect(
            fixture.announcedMessages.map { $0.sentAt.milliseconds - start } == [0, 5, 5, 5, 9])
    }

    @Test("has no earlier time than a message of the previous owner")
    func timeOfLastOwner() {
        var fixture = ConversationFixture(of: [ann])
        _ = fixture.post("hi", by: ann)
        fixture.changeOwner()
        fixture.now.wall.milliseconds -= 1000
        _ = fixture.post("hi again", by: ann)
        #expect(fixture.announcedMessages[0].sentAt == fixture.announcedMessages[1].sentAt)
    }

    @Test("gets the number after those of the previous owner")
    func nextOwner() {
        var fixture = ConversationFixture(of: [ann])
        _ = fixture.post("one", by: ann)
        fixture.changeOwner()
        #expect(fixture.post("two", by: ann) == ["event: posted 2 two"])
    }

    @Test("is refused while writes are unavailable, and uses no number")
    func storeUnavailable() {
        var fixture = ConversationFixture(of: [ann])
        fixture.conversation.areWritesUnavailable = true
        #expect(fixture.post("lost", by: ann) == [refused(.unavailable)])
        fixture.conversation.areWritesUnavailable = false
        #expect(fixture.post("hi", by: ann) == ["event: posted 1 hi"])
    }
}
