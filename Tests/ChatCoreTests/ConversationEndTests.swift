import ChatModel
import Testing

@testable import ChatCore

@Suite("Ending a conversation")
struct ConversationEndTests {
    @Test("is its creator's right and an admin's, member or not")
    func permission() {
        var stage = ConversationFixture(of: [ann, bob])
        #expect(
            stage.end(by: bob) == [
                refused(.notAllowed("the creator of a conversation or an admin"))
            ])
        #expect(stage.end(by: cid) == [refused(.notAMember)])
        var other = stage
        #expect(stage.end(by: ann, request: 1) == ["event: ended by ann, answers 1"])
        #expect(other.end(by: cid, admin: true, request: 1) == ["event: ended by cid, answers 1"])
    }

    @Test("is done once: again it is refused, unless it is the same request")
    func twice() {
        var stage = ConversationFixture(of: [ann])
        stage.isStoreSlow = true
        _ = stage.end(by: ann, request: 1)
        #expect(stage.end(by: ann, request: 2, retry: true) == [])
        #expect(stage.answerStore() == ["event: ended by ann, answers 1", "answer 2: done"])
        #expect(stage.end(by: ann, request: 1, retry: true) == ["answer 1: done"])
        #expect(stage.end(by: ann) == [refused(.conversationEnded)])
    }
}
