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
        _ = stage.read(1, by: bob)
        #expect(!stage.conversation.isIdle)
        _ = stage.pass(.seconds(1))
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

@Suite("A tick")
struct TickTests {
    @Test("that comes too early does nothing, and takes nothing from the one that is due")
    func early() {
        var stage = Stage(of: [ann])
        _ = stage.type(by: ann)
        #expect(stage.run { $0.tick(at: $1, into: &$2) } == [])
        #expect(stage.nextWake == 6000)
        #expect(stage.pass(.seconds(6)) == ["event: ann stops typing"])
    }

    @Test("is asked for again only when it must come earlier")
    func once() {
        var stage = Stage(of: [ann, bob])
        _ = stage.type(by: ann)
        var wakes = 0
        for _ in 0..<100 {
            var effects: [ConversationEffect] = []
            stage.conversation.handle(
                .command(.typing(true, by: bob)), from: Origin(loop: east, request: 1), at: stage.now, into: &effects)
            wakes += effects.count { if case .wake = $0 { true } else { false } }
        }
        #expect(wakes == 0)
        #expect(stage.pass(.seconds(6)) == ["event: ann stops typing", "event: bob stops typing"])
    }
}
