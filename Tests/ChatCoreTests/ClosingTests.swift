import ChatModel
import Testing

@testable import ChatCore

@Suite("A conversation that another owns from now on")
struct ClosingTests {
    @Test("takes back who types, tells askers to try again, and sends the listeners there")
    func close() {
        var stage = ConversationFixture(of: [ann, bob])
        _ = stage.joinAndSubscribe(ann)
        _ = stage.setTyping(by: bob)
        stage.isStoreSlow = true
        _ = stage.end(by: ann)
        #expect(
            stage.run { $0.close(at: $1, into: &$2) } == [
                refused(.outcomeUnknown), "event: bob stops typing", "call again",
            ])
        #expect(stage.advance(by: .seconds(10)) == [])
    }
}
