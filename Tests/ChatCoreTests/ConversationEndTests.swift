import ChatModel
import Testing

@testable import ChatCore

@Suite("The end of a conversation")
struct ConversationEndTests {
    @Test("is allowed for its creator and for admins, members or not")
    func permission() {
        var fixture = ConversationFixture(of: [ann, bob])
        #expect(
            fixture.end(by: bob) == [
                refused(.notAllowed("the creator of a conversation or an admin"))
            ])
        #expect(fixture.end(by: cid) == [refused(.noSuchConversation)])
        var other = fixture
        #expect(fixture.end(by: ann, request: 1) == ["event: ended by ann, answers 1"])
        #expect(other.end(by: cid, admin: true, request: 1) == ["event: ended by cid, answers 1"])
    }

    @Test("is done once: a second one is refused unless it is a retry")
    func twice() {
        var fixture = ConversationFixture(of: [ann])
        fixture.isStoreSlow = true
        _ = fixture.end(by: ann, request: 1)
        #expect(fixture.end(by: ann, request: 2, retry: true) == [])
        #expect(fixture.answerStore() == ["event: ended by ann, answers 1", "answer 2: done"])
        #expect(fixture.end(by: ann, request: 1, retry: true) == ["answer 1: done"])
        #expect(fixture.end(by: ann) == [refused(.conversationEnded)])
    }

    @Test("refuses sends once it is stored; before, they are to be repeated")
    func refusesOnceStored() {
        var fixture = ConversationFixture(of: [ann])
        fixture.isStoreSlow = true
        _ = fixture.end(by: ann, request: 1)
        #expect(fixture.post("late", by: ann) == [refused(.unavailable)])
        _ = fixture.answerStore()
        #expect(fixture.post("late", by: ann) == [refused(.conversationEnded)])
    }
}
