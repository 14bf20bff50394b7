import ChatModel
import Testing

@testable import ChatCore

@Suite("A conversation that another loop owns from now on")
struct ClosingTests {
    @Test("ends typing states, answers requests with unavailable, and asks the loops to reattach")
    func close() {
        var fixture = ConversationFixture(of: [ann, bob])
        _ = fixture.joinAndSubscribe(ann)
        _ = fixture.setTyping(by: bob)
        fixture.isStoreSlow = true
        _ = fixture.end(by: ann)
        #expect(
            fixture.run { $0.close(at: $1, into: &$2) } == [
                refused(.outcomeUnknown), "event: bob stops typing", "request reattach",
            ])
        #expect(fixture.advance(by: .seconds(10)) == [])
    }
}
