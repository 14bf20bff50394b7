import ChatModel
import Testing

@testable import ChatCore

@Suite("Cursors")
struct CursorTests {
    private static var fixture: ConversationFixture {
        var stage = ConversationFixture(of: [ann, bob, cid])
        for number in 1...3 { _ = stage.post("\(number)", by: ann) }
        stage.clearStoreRequests()
        return stage
    }

    @Test(
        "of who has read something are stored before anybody hears of it, whoever says so in whichever way"
    )
    func stored() {
        var stage = Self.fixture
        _ = stage.joinAndSubscribe(ann)
        stage.clearStoreRequests()
        stage.isStoreSlow = true
        #expect(stage.read(2, by: bob) == [])
        #expect(stage.submit(.readThrough(3, by: cid.id), request: 7) == [])
        #expect(stage.storeRequests == ["cursors bob read 2 delivered 2"])
        #expect(!stage.conversation.isIdle)
        #expect(stage.conversation.members.members.map(\.readCursor) == [0, 0, 0])
        #expect(
            stage.answerStore() == [
                "event: bob read 2", "tell east: delivered 1,2 of ann",
                "tell east: read 1,2 of ann", "answer: read",
            ])
        #expect(
            stage.storeRequests == [
                "cursors bob read 2 delivered 2", "cursors cid read 3 delivered 3",
            ])
        #expect(
            stage.answerStore()
                == [
                    "event: cid read 1,2,3", "tell east: delivered 3 of ann",
                    "tell east: read 3 of ann", "answer 7: read",
                ])
        #expect(stage.conversation.members.members.map(\.readCursor) == [0, 2, 3])
        _ = stage.advance(by: .seconds(10))
        #expect(stage.storeRequests.count == 2)
    }

    @Test("that move while some are on their way are stored together, one write for each member")
    func rounds() {
        var stage = Self.fixture
        stage.isStoreSlow = true
        _ = stage.read(1, by: bob)
        for number in 1...3 { for reader in [cid, bob] { _ = stage.read(number, by: reader) } }
        #expect(stage.storeRequests == ["cursors bob read 1 delivered 1"])
        _ = stage.answerStore()
        #expect(
            stage.storeRequests.dropFirst() == [
                "cursors cid read 3 delivered 3", "cursors bob read 3 delivered 3",
            ])
        #expect(
            stage.answerStore(1) == [
                "event: cid read 1", "answer: read", "event: cid read 2", "answer: read",
                "event: cid read 3", "answer: read",
            ])
        #expect(stage.answerStore().count == 6)
        #expect(stage.storeRequests.count == 3)
    }

    @Test("that the store has are not stored once more when somebody says so again")
    func retry() {
        var stage = Self.fixture
        _ = stage.read(3, by: bob)
        stage.clearStoreRequests()
        stage.conversation.areWritesUnavailable = true
        #expect(
            stage.submit(.readThrough(3, by: bob.id), request: 7) == [
                "event: bob read ", "answer 7: read",
            ])
        #expect(stage.read(1, by: bob) == ["event: bob read 1", "answer: read"])
        #expect(stage.storeRequests == [])
    }

    @Test("of a request that is asked again while they are on their way are answered once")
    func repeated() {
        var stage = Self.fixture
        stage.isStoreSlow = true
        _ = stage.submit(.readThrough(3, by: bob.id), request: 7)
        #expect(stage.submit(.readThrough(3, by: bob.id), request: 7, retry: true) == [])
        #expect(stage.answerStore() == ["event: bob read 1,2,3", "answer 7: read"])
    }

    @Test("that the store has not taken are refused, and told when it takes them")
    func refusedByStore() {
        var stage = Self.fixture
        stage.conversation.areWritesUnavailable = true
        #expect(
            stage.submit(.readThrough(3, by: bob.id), request: 7) == [
                "answer 7: refused, \(ChatError.unavailable)"
            ])
        #expect(
            stage.submit(.read([3], by: bob.id), request: 8) == [
                "answer 8: refused, \(ChatError.unavailable)"
            ])
        stage.conversation.areWritesUnavailable = false
        stage.isStoreSlow = true
        _ = stage.submit(.readThrough(3, by: bob.id), request: 7, retry: true)
        _ = stage.submit(.read([3], by: cid.id), request: 8, retry: true)
        #expect(
            stage.failStore(.rejected) == [
                "answer 7: refused, \(ChatError.rejected)",
                "answer 8: refused, \(ChatError.unavailable)",
            ])
        stage.isStoreSlow = false
        #expect(stage.conversation.members.members.map(\.readCursor) == [0, 0, 0])
        #expect(
            stage.submit(.readThrough(3, by: bob.id), request: 7, retry: true) == [
                "event: bob read 1,2,3", "answer 7: read",
            ])
    }

    @Test("that are on their way when the conversation is given up are asked for again")
    func abandoned() {
        var stage = Self.fixture
        stage.isStoreSlow = true
        _ = stage.submit(.readThrough(3, by: bob.id), request: 7)
        _ = stage.submit(.read([3], by: cid.id), request: 8)
        #expect(
            stage.run { $0.abandon(at: $1, into: &$2) }
                == [
                    "answer 7: refused, \(ChatError.outcomeUnknown)",
                    "answer 8: refused, \(ChatError.unavailable)",
                ])
        #expect(stage.conversation.unstoredReads.isEmpty)
    }

    @Test("never move back")
    func neverMovesBack() {
        var stage = Self.fixture
        _ = stage.read(3, by: bob)
        _ = stage.advance(by: .seconds(1))
        _ = stage.read(1, by: bob)
        _ = stage.reportDelivered(1...2, to: bob)
        _ = stage.advance(by: .seconds(1))
        #expect(stage.storeRequests == ["cursors bob read 3 delivered 3"])
    }

    @Test(
        "of what was only delivered wait for five seconds, or go along when the same member has read something"
    )
    func deliveredOnly() {
        var stage = Self.fixture
        _ = stage.reportDelivered(1...2, to: bob)
        _ = stage.reportDelivered(1...3, to: cid)
        _ = stage.advance(by: .milliseconds(4900))
        #expect(stage.storeRequests == [])
        _ = stage.advance(by: .milliseconds(100))
        #expect(
            stage.storeRequests == [
                "cursors bob read 0 delivered 2", "cursors cid read 0 delivered 3",
            ])
        stage.clearStoreRequests()
        _ = stage.reportDelivered(3...3, to: bob)
        _ = stage.read(1, by: bob)
        _ = stage.advance(by: .seconds(10))
        #expect(stage.storeRequests == ["cursors bob read 1 delivered 3"])
    }

    @Test(
        "of what was delivered that the store has not taken are written again in a second, as they are then"
    )
    func retryAfterFailure() {
        var stage = Self.fixture
        _ = stage.reportDelivered(1...1, to: bob)
        _ = stage.failingStore { $0.advance(by: .seconds(5)) }
        _ = stage.reportDelivered(2...2, to: bob)
        stage.clearStoreRequests()
        _ = stage.advance(by: .milliseconds(999))
        #expect(stage.storeRequests == [])
        _ = stage.advance(by: .milliseconds(1))
        #expect(stage.storeRequests == ["cursors bob read 0 delivered 2"])
    }

    @Test("of what was delivered wait while the store is away")
    func storeUnavailable() {
        var stage = Self.fixture
        _ = stage.reportDelivered(1...1, to: bob)
        stage.conversation.areWritesUnavailable = true
        _ = stage.advance(by: .seconds(10))
        #expect(stage.storeRequests == [])
        stage.conversation.areWritesUnavailable = false
        _ = stage.advance(by: .seconds(1))
        #expect(stage.storeRequests == ["cursors bob read 0 delivered 1"])
    }

    @Test("of whom has left meanwhile are not stored")
    func left() {
        var stage = Self.fixture
        _ = stage.reportDelivered(1...1, to: bob)
        _ = stage.leave(bob)
        stage.clearStoreRequests()
        _ = stage.advance(by: .seconds(5))
        #expect(stage.storeRequests == [])
    }

    @Test("that are further than the store's stay when the conversation is loaded again")
    func reloaded() {
        var stage = Self.fixture
        _ = stage.reportDelivered(1...2, to: bob)
        _ = stage.failingStore { $0.post("lost", by: ann) }
        _ = stage.describe(by: ann)
        #expect(stage.lastDetails?.members.map(\.deliveredCursor) == [0, 2, 0])
        stage.clearStoreRequests()
        _ = stage.advance(by: .seconds(10))
        #expect(stage.storeRequests == ["cursors bob read 0 delivered 2"])
    }
}
