import ChatModel
import Testing

@testable import ChatCore

@Suite("An idle conversation")
struct TrimmingTests {
    private static func fixture(messages: Int) -> ConversationFixture {
        var fixture = ConversationFixture(of: [ann, bob])
        _ = fixture.joinAndSubscribe(ann)
        for number in 1...messages { _ = fixture.post("\(number)", by: ann, id: "\(number)") }
        fixture.clearStoreRequests()
        return fixture
    }

    @Test("discards the recent messages, and loads them when a send needs them")
    func forgets() {
        var fixture = Self.fixture(messages: 65)
        fixture.conversation.trim()
        #expect(fixture.conversation.recents.range.isEmpty)
        #expect(fixture.post("again", by: ann, id: "1") == ["answer: repeats 1 1"])
        #expect(fixture.storeRequests == ["load recents", "look up 1"])
    }

    @Test("keeps a few recent messages, which need little memory")
    func few() {
        var fixture = Self.fixture(messages: 64)
        fixture.conversation.trim()
        #expect(fixture.conversation.recents.range.count == 64)
    }

    @Test("keeps everything while a change is in flight")
    func busy() {
        var fixture = Self.fixture(messages: 65)
        fixture.isStoreSlow = true
        _ = fixture.post("on its way", by: ann)
        fixture.conversation.trim()
        #expect(fixture.conversation.recents.range.count == 66)
    }

    @Test("keeps everything until the cursors are stored, because receipts depend on them")
    func cursors() {
        var fixture = Self.fixture(messages: 65)
        _ = fixture.reportDelivered(1...65, to: bob)
        fixture.conversation.trim()
        #expect(fixture.conversation.recents.range.count == 65)
        _ = fixture.advance(by: .seconds(5))
        fixture.conversation.trim()
        #expect(fixture.conversation.recents.range.isEmpty)
        #expect(
            fixture.reportDelivered(1...65, to: bob) == [],
            "receipts that were announced before are not announced again")
    }
}
