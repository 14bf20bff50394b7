import ChatModel
import Testing

@testable import ChatCore

@Suite("A conversation that rests")
struct TrimmingTests {
    private static func fixture(messages: Int) -> ConversationFixture {
        var stage = ConversationFixture(of: [ann, bob])
        _ = stage.joinAndSubscribe(ann)
        for number in 1...messages { _ = stage.post("\(number)", by: ann, id: "\(number)") }
        stage.clearStoreRequests()
        return stage
    }

    @Test("forgets the newest messages' senders, and asks for them when a send needs them")
    func forgets() {
        var stage = Self.fixture(messages: 65)
        stage.conversation.trim()
        #expect(stage.conversation.recents.range.isEmpty)
        #expect(stage.post("again", by: ann, id: "1") == ["answer: posted 1 1"])
        #expect(stage.storeRequests == ["recall", "find 1"])
    }

    @Test("keeps a few senders, which take no room")
    func few() {
        var stage = Self.fixture(messages: 64)
        stage.conversation.trim()
        #expect(stage.conversation.recents.range.count == 64)
    }

    @Test("keeps everything while a change is on its way")
    func busy() {
        var stage = Self.fixture(messages: 65)
        stage.isStoreSlow = true
        _ = stage.post("on its way", by: ann)
        stage.conversation.trim()
        #expect(stage.conversation.recents.range.count == 66)
    }

    @Test("keeps everything until the cursors are stored, which tell who has had what")
    func cursors() {
        var stage = Self.fixture(messages: 65)
        _ = stage.reportDelivered(1...65, to: bob)
        stage.conversation.trim()
        #expect(stage.conversation.recents.range.count == 65)
        _ = stage.advance(by: .seconds(5))
        stage.conversation.trim()
        #expect(stage.conversation.recents.range.isEmpty)
        #expect(
            stage.reportDelivered(1...65, to: bob) == [],
            "what was told before the rest is not told after it")
    }
}
