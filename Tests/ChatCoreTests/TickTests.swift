import ChatModel
import Testing

@testable import ChatCore

@Suite("A tick")
struct TickTests {
    @Test("that comes too early does nothing, and takes nothing from the one that is due")
    func early() {
        var stage = ConversationFixture(of: [ann])
        _ = stage.setTyping(by: ann)
        #expect(stage.run { $0.tick(at: $1, into: &$2) } == [])
        #expect(stage.nextWake == 6000)
        #expect(stage.advance(by: .seconds(6)) == ["event: ann stops typing"])
    }

    @Test("is asked for again only when it must come earlier")
    func once() {
        var stage = ConversationFixture(of: [ann, bob])
        _ = stage.setTyping(by: ann)
        var wakes = 0
        for _ in 0..<100 {
            var effects: [ConversationEffect] = []
            stage.conversation.handle(
                .command(.typing(true, by: bob)), from: RequestOrigin(loop: east, request: 1),
                at: stage.now, into: &effects)
            wakes += effects.count { if case .wake = $0 { true } else { false } }
        }
        #expect(wakes == 0)
        #expect(
            stage.advance(by: .seconds(6)) == [
                "event: ann stops typing", "event: bob stops typing",
            ])
    }
}
