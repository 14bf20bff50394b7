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

    @Test("of who has read something are stored before anybody hears of it, whoever says so in whichever way")
    func stored() {
        var stage = Self.stage
        _ = stage.enter(ann)
        stage.forgetAsked()
        stage.isStoreSlow = true
        #expect(stage.read(2, by: bob) == [])
        #expect(stage.ask(.readThrough(3, by: cid.id), request: 7) == [])
        #expect(stage.asked == ["cursors bob read 2 delivered 2"])
        #expect(!stage.conversation.isIdle)
        #expect(stage.conversation.members.members.map(\.readCursor) == [0, 0, 0])
        #expect(
            stage.answerStore() == ["event: bob read 2", "tell east: delivered 1,2 of ann", "tell east: read 1,2 of ann", "answer: read"])
        #expect(stage.asked == ["cursors bob read 2 delivered 2", "cursors cid read 3 delivered 3"])
        #expect(
            stage.answerStore()
                == ["event: cid read 1,2,3", "tell east: delivered 3 of ann", "tell east: read 3 of ann", "answer 7: read"])
        #expect(stage.conversation.members.members.map(\.readCursor) == [0, 2, 3])
        _ = stage.pass(.seconds(10))
        #expect(stage.asked.count == 2)
    }

    @Test("that move while some are on their way are stored together, one write for each member")
    func rounds() {
        var stage = Self.stage
        stage.isStoreSlow = true
        _ = stage.read(1, by: bob)
        for number in 1...3 { for reader in [cid, bob] { _ = stage.read(number, by: reader) } }
        #expect(stage.asked == ["cursors bob read 1 delivered 1"])
        _ = stage.answerStore()
        #expect(stage.asked.dropFirst() == ["cursors cid read 3 delivered 3", "cursors bob read 3 delivered 3"])
        #expect(
            stage.answerStore(1) == [
                "event: cid read 1", "answer: read", "event: cid read 2", "answer: read", "event: cid read 3", "answer: read",
            ])
        #expect(stage.answerStore().count == 6)
        #expect(stage.asked.count == 3)
    }

    @Test("that the store has are not stored once more when somebody says so again")
    func again() {
        var stage = Self.stage
        _ = stage.read(3, by: bob)
        stage.forgetAsked()
        stage.conversation.isStoreAway = true
        #expect(stage.ask(.readThrough(3, by: bob.id), request: 7) == ["event: bob read ", "answer 7: read"])
        #expect(stage.read(1, by: bob) == ["event: bob read 1", "answer: read"])
        #expect(stage.asked == [])
    }

    @Test("of a request that is asked again while they are on their way are answered once")
    func repeated() {
        var stage = Self.stage
        stage.isStoreSlow = true
        _ = stage.ask(.readThrough(3, by: bob.id), request: 7)
        #expect(stage.ask(.readThrough(3, by: bob.id), request: 7, again: true) == [])
        #expect(stage.answerStore() == ["event: bob read 1,2,3", "answer 7: read"])
    }

    @Test("that the store has not taken are refused, and told when it takes them")
    func refusedByStore() {
        var stage = Self.stage
        stage.conversation.isStoreAway = true
        #expect(stage.ask(.readThrough(3, by: bob.id), request: 7) == ["answer 7: refused, \(ChatError.unavailable)"])
        #expect(stage.ask(.read([3], by: bob.id), request: 8) == ["answer 8: refused, \(ChatError.unavailable)"])
        stage.conversation.isStoreAway = false
        stage.isStoreSlow = true
        _ = stage.ask(.readThrough(3, by: bob.id), request: 7, again: true)
        _ = stage.ask(.read([3], by: cid.id), request: 8, again: true)
        #expect(
            stage.failStore(.rejected) == ["answer 7: refused, \(ChatError.rejected)", "answer 8: refused, \(ChatError.unavailable)"])
        stage.isStoreSlow = false
        #expect(stage.conversation.members.members.map(\.readCursor) == [0, 0, 0])
        #expect(stage.ask(.readThrough(3, by: bob.id), request: 7, again: true) == ["event: bob read 1,2,3", "answer 7: read"])
    }

    @Test("that are on their way when the conversation is given up are asked for again")
    func givenUp() {
        var stage = Self.stage
        stage.isStoreSlow = true
        _ = stage.ask(.readThrough(3, by: bob.id), request: 7)
        _ = stage.ask(.read([3], by: cid.id), request: 8)
        #expect(
            stage.run { $0.abandon(at: $1, into: &$2) }
                == ["answer 7: refused, \(ChatError.outcomeUnknown)", "answer 8: refused, \(ChatError.unavailable)"])
        #expect(stage.conversation.unstoredReads.isEmpty)
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

    @Test("of what was only delivered wait for five seconds, or go along when the same member has read something")
    func deliveredOnly() {
        var stage = Self.stage
        _ = stage.deliver(1...2, to: bob)
        _ = stage.deliver(1...3, to: cid)
        _ = stage.pass(.milliseconds(4900))
        #expect(stage.asked == [])
        _ = stage.pass(.milliseconds(100))
        #expect(stage.asked == ["cursors bob read 0 delivered 2", "cursors cid read 0 delivered 3"])
        stage.forgetAsked()
        _ = stage.deliver(3...3, to: bob)
        _ = stage.read(1, by: bob)
        _ = stage.pass(.seconds(10))
        #expect(stage.asked == ["cursors bob read 1 delivered 3"])
    }

    @Test("of what was delivered that the store has not taken are written again in a second, as they are then")
    func retry() {
        var stage = Self.stage
        _ = stage.deliver(1...1, to: bob)
        _ = stage.losing { $0.pass(.seconds(5)) }
        _ = stage.deliver(2...2, to: bob)
        stage.forgetAsked()
        _ = stage.pass(.milliseconds(999))
        #expect(stage.asked == [])
        _ = stage.pass(.milliseconds(1))
        #expect(stage.asked == ["cursors bob read 0 delivered 2"])
    }

    @Test("of what was delivered wait while the store is away")
    func storeAway() {
        var stage = Self.stage
        _ = stage.deliver(1...1, to: bob)
        stage.conversation.isStoreAway = true
        _ = stage.pass(.seconds(10))
        #expect(stage.asked == [])
        stage.conversation.isStoreAway = false
        _ = stage.pass(.seconds(1))
        #expect(stage.asked == ["cursors bob read 0 delivered 1"])
    }

    @Test("of whom has left meanwhile are not stored")
    func left() {
        var stage = Self.stage
        _ = stage.deliver(1...1, to: bob)
        _ = stage.part(bob)
        stage.forgetAsked()
        _ = stage.pass(.seconds(5))
        #expect(stage.asked == [])
    }

    @Test("that are further than the store's stay when the conversation is loaded again")
    func reloaded() {
        var stage = Self.stage
        _ = stage.deliver(1...2, to: bob)
        _ = stage.losing { $0.say("lost", by: ann) }
        _ = stage.describe(by: ann)
        #expect(stage.described?.members.map(\.deliveredCursor) == [0, 2, 0])
        stage.forgetAsked()
        _ = stage.pass(.seconds(10))
        #expect(stage.asked == ["cursors bob read 0 delivered 2"])
    }
}
