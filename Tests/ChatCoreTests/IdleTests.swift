import ChatModel
import Testing

@testable import ChatCore

@Suite("A conversation may be dropped")
struct IdleTests {
    /// Nobody is there, nothing is under way.
    private static var fixture: ConversationFixture {
        var stage = ConversationFixture(of: [ann, bob])
        _ = stage.post("hi", by: ann, id: "a")
        return stage
    }

    @Test("when nobody hears it and nothing is under way")
    func idle() {
        #expect(Self.fixture.conversation.isIdle)
        #expect(ConversationFixture().conversation.isIdle)
    }

    @Test("not while a loop listens")
    func subscribers() {
        var stage = Self.fixture
        _ = stage.attach(east)
        #expect(!stage.conversation.isIdle)
        _ = stage.detach(east)
        #expect(stage.conversation.isIdle)
    }

    @Test("not while the store is asked for it")
    func loading() {
        var stage = Self.fixture
        stage.changeOwner()
        stage.isStoreSlow = true
        _ = stage.describe(by: ann)
        #expect(!stage.conversation.isIdle)
        _ = stage.answerStore()
        #expect(stage.conversation.isIdle)
        _ = stage.post("hi", by: ann, id: "a")
        #expect(!stage.conversation.isIdle, "the senders are asked for")
        _ = stage.answerStore()
        #expect(!stage.conversation.isIdle, "the first message is looked up")
        _ = stage.answerStore()
        #expect(stage.conversation.isIdle)
    }

    @Test("not while a change is on its way", arguments: [true, false])
    func changes(isStored: Bool) {
        var stage = Self.fixture
        stage.isStoreSlow = true
        _ = stage.post("more", by: ann)
        #expect(!stage.conversation.isIdle)
        _ = isStored ? stage.answerStore() : stage.failStore()
        #expect(stage.conversation.isIdle)
    }

    @Test("not while cursors are to be stored")
    func cursors() {
        var stage = Self.fixture
        _ = stage.reportDelivered(1...1, to: bob)
        #expect(!stage.conversation.isIdle)
        _ = stage.advance(by: .seconds(5))
        #expect(stage.conversation.isIdle)
    }

    @Test("not while somebody's going is to be told")
    func presence() {
        var stage = Self.fixture
        _ = stage.joinAndSubscribe(bob)
        _ = stage.detach(east)
        #expect(!stage.conversation.isIdle)
        _ = stage.advance(by: .seconds(2))
        #expect(stage.conversation.isIdle)
    }

    @Test("not while somebody types")
    func typing() {
        var stage = Self.fixture
        _ = stage.setTyping(by: bob)
        #expect(!stage.conversation.isIdle)
        _ = stage.advance(by: .seconds(6))
        #expect(stage.conversation.isIdle)
    }
}
