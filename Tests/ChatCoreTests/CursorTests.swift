import ChatModel
import Testing

@testable import ChatCore

@Suite("Cursors")
struct CursorTests {
    private static var stage: Stage {
        var stage = Stage(of: [ann, bob, cid])
        for number in 1...3 { _ = stage.say("\(number)", by: ann) }
        stage.forgetAsked()
        return stage
    }

    @Test("that have moved are stored together 1 s after somebody has read something, one write for each member")
    func flush() {
        var stage = Self.stage
        _ = stage.deliver(1...1, to: bob)
        _ = stage.pass(.milliseconds(500))
        _ = stage.read(2, by: bob)
        _ = stage.pass(.milliseconds(999))
        _ = stage.deliver(1...3, to: cid)
        #expect(stage.asked == [])
        _ = stage.pass(.milliseconds(1))
        #expect(stage.asked == ["cursors bob read 2 delivered 2", "cursors cid read 0 delivered 3"])
        _ = stage.pass(.seconds(10))
        #expect(stage.asked.count == 2)
    }

    @Test("of whom says it by name are stored at once, with what waited, and the answer waits for that")
    func atOnce() {
        var stage = Self.stage
        stage.isStoreSlow = true
        _ = stage.read(2, by: bob)
        #expect(stage.ask(.readThrough(3, by: bob.id), request: 7) == ["event: bob read 3"])
        #expect(stage.asked == ["cursors bob read 3 delivered 3"])
        #expect(stage.answerStore() == ["answer 7: read"])
        // What it had already may still be on its way.
        _ = stage.ask(.readThrough(1, by: bob.id), request: 8)
        #expect(stage.asked == ["cursors bob read 3 delivered 3", "cursors bob read 3 delivered 3"])
        #expect(stage.answerStore() == ["answer 8: read"])
        _ = stage.pass(.seconds(5))
        #expect(stage.asked.count == 2)
    }

    @Test("of whom says it by name are asked for again where the store fails, and told once")
    func atOnceAgain() {
        var stage = Self.stage
        stage.conversation.isStoreAway = true
        #expect(stage.ask(.readThrough(3, by: bob.id), request: 7) == ["answer 7: refused, \(ChatError.unavailable)"])
        stage.conversation.isStoreAway = false
        #expect(
            stage.losing { $0.ask(.readThrough(3, by: bob.id), request: 7, again: true) } == ["answer 7: refused, \(ChatError.unavailable)"]
        )
        #expect(stage.ask(.readThrough(3, by: bob.id), request: 7, again: true) == ["answer 7: read"])
    }

    @Test("never move back")
    func forward() {
        var stage = Self.stage
        _ = stage.read(3, by: bob)
        _ = stage.pass(.seconds(1))
        _ = stage.read(1, by: bob)
        _ = stage.deliver(1...2, to: bob)
        _ = stage.pass(.seconds(1))
        #expect(stage.asked == ["cursors bob read 3 delivered 3"])
    }

    @Test("of what was only delivered wait for five seconds, or for somebody who has read something")
    func deliveredOnly() {
        var stage = Self.stage
        _ = stage.deliver(1...2, to: bob)
        _ = stage.pass(.milliseconds(4900))
        #expect(stage.asked == [])
        _ = stage.pass(.milliseconds(100))
        #expect(stage.asked == ["cursors bob read 0 delivered 2"])
        stage.forgetAsked()
        _ = stage.deliver(3...3, to: bob)
        _ = stage.read(3, by: bob)
        _ = stage.pass(.seconds(1))
        #expect(stage.asked == ["cursors bob read 3 delivered 3"])
    }

    @Test("that the store has not taken are written again in a second, as they are then")
    func retry() {
        var stage = Self.stage
        _ = stage.read(1, by: bob)
        _ = stage.losing { $0.pass(.seconds(1)) }
        _ = stage.read(2, by: bob)
        stage.forgetAsked()
        _ = stage.pass(.milliseconds(999))
        #expect(stage.asked == [])
        _ = stage.pass(.milliseconds(1))
        #expect(stage.asked == ["cursors bob read 2 delivered 2"])
    }

    @Test("wait while the store is away")
    func storeAway() {
        var stage = Self.stage
        stage.conversation.isStoreAway = true
        _ = stage.read(1, by: bob)
        _ = stage.pass(.seconds(5))
        #expect(stage.asked == [])
        stage.conversation.isStoreAway = false
        _ = stage.pass(.seconds(1))
        #expect(stage.asked == ["cursors bob read 1 delivered 1"])
    }

    @Test("of whom has left meanwhile are not stored")
    func left() {
        var stage = Self.stage
        _ = stage.read(1, by: bob)
        _ = stage.part(bob)
        stage.forgetAsked()
        _ = stage.pass(.seconds(5))
        #expect(stage.asked == [])
    }

    @Test("that are further than the store's stay when the conversation is loaded again")
    func reloaded() {
        var stage = Self.stage
        _ = stage.read(2, by: bob)
        _ = stage.losing { $0.say("lost", by: ann) }
        _ = stage.describe(by: ann)
        #expect(stage.described?.members.map(\.readCursor) == [0, 2, 0])
        stage.forgetAsked()
        _ = stage.pass(.seconds(3))
        #expect(stage.asked == ["cursors bob read 2 delivered 2"])
    }
}
