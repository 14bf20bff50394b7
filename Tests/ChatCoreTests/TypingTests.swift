import ChatModel
import Testing

@testable import ChatCore

@Suite("Typing")
struct TypingTests {
    @Test("is told to everybody, and ends by itself after 6 s")
    func ends() {
        var stage = ConversationFixture(of: [ann])
        #expect(stage.setTyping(by: ann) == ["event: ann types", "answer: done"])
        #expect(stage.advance(by: .milliseconds(5999)) == [])
        #expect(stage.advance(by: .milliseconds(1)) == ["event: ann stops typing"])
        #expect(stage.advance(by: .seconds(60)) == [])
    }

    @Test("lasts as long as it is said again")
    func lasts() {
        var stage = ConversationFixture(of: [ann])
        _ = stage.setTyping(by: ann)
        _ = stage.advance(by: .seconds(4))
        #expect(stage.setTyping(by: ann) == ["event: ann types", "answer: done"])
        #expect(stage.advance(by: .milliseconds(5999)) == [])
        #expect(stage.advance(by: .milliseconds(1)) == ["event: ann stops typing"])
    }

    @Test("ends for each at a time of its own")
    func each() {
        var stage = ConversationFixture(of: [ann, bob])
        _ = stage.setTyping(by: ann)
        _ = stage.advance(by: .seconds(2))
        _ = stage.setTyping(by: bob)
        #expect(stage.advance(by: .seconds(4)) == ["event: ann stops typing"])
        #expect(stage.advance(by: .seconds(2)) == ["event: bob stops typing"])
    }

    @Test("ends when it is said, and whoever does not type has nothing to end")
    func stops() {
        var stage = ConversationFixture(of: [ann, bob])
        _ = stage.setTyping(by: ann)
        #expect(stage.setTyping(false, by: bob) == ["answer: done"])
        #expect(stage.setTyping(false, by: ann) == ["event: ann stops typing", "answer: done"])
        #expect(stage.advance(by: .seconds(10)) == [])
    }

    @Test("ends with the typist's last connection")
    func leaves() {
        var stage = ConversationFixture(of: [ann])
        _ = stage.joinAndSubscribe(ann, on: east)
        _ = stage.joinAndSubscribe(ann, on: west)
        _ = stage.setTyping(by: ann)
        #expect(stage.unsubscribe(ann, on: east) == [])
        #expect(stage.unsubscribe(ann, on: west) == ["event: ann stops typing"])
    }

    @Test("of more than some people is not told")
    func bound() {
        var limits = ChatLimits()
        limits.typingUsersPerConversation = 2
        var stage = ConversationFixture(of: [ann, bob, cid], limits)
        _ = stage.setTyping(by: ann)
        _ = stage.setTyping(by: bob)
        #expect(stage.setTyping(by: cid) == ["answer: done"])
        #expect(stage.setTyping(by: bob) == ["event: bob types", "answer: done"])
        _ = stage.setTyping(false, by: ann)
        #expect(stage.setTyping(by: cid) == ["event: cid types", "answer: done"])
    }
}
