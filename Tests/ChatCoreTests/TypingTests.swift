import ChatModel
import Testing

@testable import ChatCore

@Suite("Typing")
struct TypingTests {
    @Test("is announced to all subscribers, and expires after 6 s")
    func ends() {
        var fixture = ConversationFixture(of: [ann])
        #expect(fixture.setTyping(by: ann) == ["event: ann types", "answer: done"])
        #expect(fixture.advance(by: .milliseconds(5999)) == [])
        #expect(fixture.advance(by: .milliseconds(1)) == ["event: ann stops typing"])
        #expect(fixture.advance(by: .seconds(60)) == [])
    }

    @Test("lasts as long as it is renewed")
    func lasts() {
        var fixture = ConversationFixture(of: [ann])
        _ = fixture.setTyping(by: ann)
        _ = fixture.advance(by: .seconds(4))
        #expect(fixture.setTyping(by: ann) == ["event: ann types", "answer: done"])
        #expect(fixture.advance(by: .milliseconds(5999)) == [])
        #expect(fixture.advance(by: .milliseconds(1)) == ["event: ann stops typing"])
    }

    @Test("expires for each user separately")
    func each() {
        var fixture = ConversationFixture(of: [ann, bob])
        _ = fixture.setTyping(by: ann)
        _ = fixture.advance(by: .seconds(2))
        _ = fixture.setTyping(by: bob)
        #expect(fixture.advance(by: .seconds(4)) == ["event: ann stops typing"])
        #expect(fixture.advance(by: .seconds(2)) == ["event: bob stops typing"])
    }

    @Test("ends on request, and a user that is not typing has nothing to end")
    func stops() {
        var fixture = ConversationFixture(of: [ann, bob])
        _ = fixture.setTyping(by: ann)
        #expect(fixture.setTyping(false, by: bob) == ["answer: done"])
        #expect(fixture.setTyping(false, by: ann) == ["event: ann stops typing", "answer: done"])
        #expect(fixture.advance(by: .seconds(10)) == [])
    }

    @Test("ends with the user's last connection")
    func leaves() {
        var fixture = ConversationFixture(of: [ann])
        _ = fixture.joinAndSubscribe(ann, on: east)
        _ = fixture.joinAndSubscribe(ann, on: west)
        _ = fixture.setTyping(by: ann)
        #expect(fixture.unsubscribe(ann, on: east) == [])
        #expect(fixture.unsubscribe(ann, on: west) == ["event: ann stops typing"])
    }

    @Test("of more users than the limit is not announced")
    func bound() {
        var limits = Limits()
        limits.typingUsersPerConversation = 2
        var fixture = ConversationFixture(of: [ann, bob, cid], limits)
        _ = fixture.setTyping(by: ann)
        _ = fixture.setTyping(by: bob)
        #expect(fixture.setTyping(by: cid) == ["answer: done"])
        #expect(fixture.setTyping(by: bob) == ["event: bob types", "answer: done"])
        _ = fixture.setTyping(false, by: ann)
        #expect(fixture.setTyping(by: cid) == ["event: cid types", "answer: done"])
    }
}
