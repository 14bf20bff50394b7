import ChatModel
import Testing

@testable import ChatCore

@Suite("A conversation may be dropped")
struct IdleTests {
    /// Nobody is there, nothing is under way.
    private static var stage: Stage {
        var stage = Stage(of: [ann, bob])
        _ = stage.say("hi", by: ann, id: "a")
        return stage
    }

    @Test("when nobody hears it and nothing is under way")
    func idle() {
        #expect(Self.stage.conversation.isIdle)
        #expect(Stage().conversation.isIdle)
    }

    @Test("not while a loop listens")
    func listeners() {
        var stage = Self.stage
        _ = stage.attach(east)
        #expect(!stage.conversation.isIdle)
        _ = stage.detach(east)
        #expect(stage.conversation.isIdle)
    }

    @Test("not while the store is asked for it")
    func loading() {
        var stage = Self.stage
        stage.changeOwner()
        stage.isStoreSlow = true
        _ = stage.describe(by: ann)
        #expect(!stage.conversation.isIdle)
        _ = stage.answerStore()
        #expect(stage.conversation.isIdle)
        _ = stage.say("hi", by: ann, id: "a")
        #expect(!stage.conversation.isIdle, "the senders are asked for")
        _ = stage.answerStore()
        #expect(!stage.conversation.isIdle, "the first message is looked up")
        _ = stage.answerStore()
        #expect(stage.conversation.isIdle)
    }

    @Test("not while a change is on its way", arguments: [true, false])
    func changes(isStored: Bool) {
        var stage = Self.stage
        stage.isStoreSlow = true
        _ = stage.say("more", by: ann)
        #expect(!stage.conversation.isIdle)
        _ = isStored ? stage.answerStore() : stage.failStore()
        #expect(stage.conversation.isIdle)
    }

    @Test("not while cursors are to be stored")
    func cursors() {
        var stage = Self.stage
        _ = stage.deliver(1...1, to: bob)
        #expect(!stage.conversation.isIdle)
        _ = stage.pass(.seconds(5))
        #expect(stage.conversation.isIdle)
    }

    @Test("not while somebody's going is to be told")
    func presence() {
        var stage = Self.stage
        _ = stage.enter(bob)
        _ = stage.detach(east)
        #expect(!stage.conversation.isIdle)
        _ = stage.pass(.seconds(2))
        #expect(stage.conversation.isIdle)
    }

    @Test("not while somebody types")
    func typing() {
        var stage = Self.stage
        _ = stage.type(by: bob)
        #expect(!stage.conversation.isIdle)
        _ = stage.pass(.seconds(6))
        #expect(stage.conversation.isIdle)
    }
}
