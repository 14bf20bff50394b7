import ChatModel
import Testing

@testable import ChatCore

@Suite("A conversation that rests")
struct RestingTests {
    private static func stage(messages: Int) -> Stage {
        var stage = Stage(of: [ann, bob])
        _ = stage.enter(ann)
        for number in 1...messages { _ = stage.say("\(number)", by: ann, id: "\(number)") }
        stage.forgetAsked()
        return stage
    }

    @Test("forgets the newest messages' senders, and asks for them when a send needs them")
    func forgets() {
        var stage = Self.stage(messages: 65)
        stage.conversation.rest()
        #expect(stage.conversation.recents.range.isEmpty)
        #expect(stage.say("again", by: ann, id: "1") == ["answer: posted 1 1"])
        #expect(stage.asked == ["recall", "find 1"])
    }

    @Test("keeps a few senders, which take no room")
    func few() {
        var stage = Self.stage(messages: 64)
        stage.conversation.rest()
        #expect(stage.conversation.recents.range.count == 64)
    }

    @Test("keeps everything while a change is on its way")
    func busy() {
        var stage = Self.stage(messages: 65)
        stage.isStoreSlow = true
        _ = stage.say("on its way", by: ann)
        stage.conversation.rest()
        #expect(stage.conversation.recents.range.count == 66)
    }

    @Test("keeps everything until the cursors are stored, which tell who has had what")
    func cursors() {
        var stage = Self.stage(messages: 65)
        _ = stage.deliver(1...65, to: bob)
        stage.conversation.rest()
        #expect(stage.conversation.recents.range.count == 65)
        _ = stage.pass(.seconds(5))
        stage.conversation.rest()
        #expect(stage.conversation.recents.range.isEmpty)
        #expect(stage.deliver(1...65, to: bob) == [], "what was told before the rest is not told after it")
    }
}
