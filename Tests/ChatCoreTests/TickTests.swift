import ChatModel
import Testing

@testable import ChatCore

@Suite("A tick")
struct TickTests {
    @Test("that comes too early does nothing, and does not cancel the one that is due")
    func early() {
        var fixture = ConversationFixture(of: [ann])
        _ = fixture.setTyping(by: ann)
        #expect(fixture.run { $0.tick(at: $1, into: &$2) } == [])
        #expect(fixture.nextWake == 6000)
        #expect(fixture.advance(by: .seconds(6)) == ["event: ann stops typing"])
    }

    @Test("is requested again only when it must come earlier")
    func once() {
        var fixture = ConversationFixture(of: [ann, bob])
        _ = fixture.setTyping(by: ann)
        var wakes = 0
        for _ in 0..<100 {
            var effects: [ConversationEffect] = []
            fixture.conversation.handle(
                .command(.typing(true, by: bob)), from: RequestOrigin(loop: east, request: 1),
                at: fixture.now, into: &effects)
            wakes += effects.count { if case .wake = $0 { true } else { false } }
        }
        #expect(wakes == 0)
        #expect(
            fixture.advance(by: .seconds(6)) == [
                "event: ann stops typing", "event: bob stops typing",
            ])
    }
}
