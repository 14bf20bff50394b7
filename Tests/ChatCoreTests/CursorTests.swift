import ChatModel
import Testing

@testable import ChatCore

@Suite("Cursors")
struct CursorTests {
    private static var fixture: ConversationFixture {
        var fixture = ConversationFixture(of: [ann, bob, cid])
        for number in 1...3 { _ = fixture.post("\(number)", by: ann) }
        fixture.clearStoreRequests()
        return fixture
    }

    @Test(
        "of reads are stored before anything is announced, for either form of read"
    )
    func stored() {
        var fixture = Self.fixture
        _ = fixture.joinAndSubscribe(ann)
        fixture.clearStoreRequests()
        fixture.isStoreSlow = true
        #expect(fixture.read(2, by: bob) == [])
        #expect(fixture.submit(.readThrough(3, by: cid.id), request: 7) == [])
        #expect(fixture.storeRequests == ["cursors bob read 2 delivered 2"])
        #expect(!fixture.conversation.isIdle)
        #expect(fixture.conversation.members.members.map(\.readCursor) == [0, 0, 0])
        #expect(
            fixture.answerStore() == [
                "event: bob read 2", "notify east: delivered 1,2 of ann",
                "notify east: read 1,2 of ann", "answer: read",
            ])
        #expect(
            fixture.storeRequests == [
                "cursors bob read 2 delivered 2", "cursors cid read 3 delivered 3",
            ])
        #expect(
            fixture.answerStore()
                == [
                    "event: cid read 1,2,3", "notify east: delivered 3 of ann",
                    "notify east: read 3 of ann", "answer 7: read",
                ])
        #expect(fixture.conversation.members.members.map(\.readCursor) == [0, 2, 3])
        _ = fixture.advance(by: .seconds(10))
        #expect(fixture.storeRequests.count == 2)
    }

    @Test("that move while others are in flight are stored together, with one write per member")
    func rounds() {
        var fixture = Self.fixture
        fixture.isStoreSlow = true
        _ = fixture.read(1, by: bob)
        for number in 1...3 { for reader in [cid, bob] { _ = fixture.read(number, by: reader) } }
        #expect(fixture.storeRequests == ["cursors bob read 1 delivered 1"])
        _ = fixture.answerStore()
        #expect(
            fixture.storeRequests.dropFirst() == [
                "cursors cid read 3 delivered 3", "cursors bob read 3 delivered 3",
            ])
        #expect(
            fixture.answerStore(1) == [
                "event: cid read 1", "answer: read", "event: cid read 2", "answer: read",
                "event: cid read 3", "answer: read",
            ])
        // The first of them moves nothing.
        #expect(
            fixture.answerStore(1) == [
                "answer: read", "event: bob read 2", "answer: read", "event: bob read 3",
                "answer: read",
            ])
        #expect(fixture.storeRequests.count == 3)
    }

    @Test("that the store has are not stored again, and announced again only for a retry")
    func retry() {
        var fixture = Self.fixture
        _ = fixture.read(3, by: bob)
        fixture.clearStoreRequests()
        fixture.conversation.areWritesUnavailable = true
        #expect(fixture.submit(.readThrough(3, by: bob.id), request: 7) == ["answer 7: read"])
        #expect(fixture.read(1, by: bob) == ["answer: read"])
        #expect(
            fixture.submit(.read([3], by: bob.id), request: 7, retry: true) == [
                "event: bob read 3", "answer 7: read",
            ])
        #expect(fixture.storeRequests == [])
    }

    @Test("of a request that is retried while they are in flight are answered once")
    func repeated() {
        var fixture = Self.fixture
        fixture.isStoreSlow = true
        _ = fixture.submit(.readThrough(3, by: bob.id), request: 7)
        #expect(fixture.submit(.readThrough(3, by: bob.id), request: 7, retry: true) == [])
        #expect(fixture.answerStore() == ["event: bob read 1,2,3", "answer 7: read"])
    }

    @Test("that the store refuses fail, and are announced once it stores them")
    func refusedByStore() {
        var fixture = Self.fixture
        fixture.conversation.areWritesUnavailable = true
        #expect(
            fixture.submit(.readThrough(3, by: bob.id), request: 7) == [
                "answer 7: refused, \(ChatError.unavailable)"
            ])
        #expect(
            fixture.submit(.read([3], by: bob.id), request: 8) == [
                "answer 8: refused, \(ChatError.unavailable)"
            ])
        fixture.conversation.areWritesUnavailable = false
        fixture.isStoreSlow = true
        _ = fixture.submit(.readThrough(3, by: bob.id), request: 7, retry: true)
        _ = fixture.submit(.read([3], by: cid.id), request: 8, retry: true)
        #expect(
            fixture.failStore(.rejected) == [
                "answer 7: refused, \(ChatError.rejected)",
                "answer 8: refused, \(ChatError.unavailable)",
            ])
        fixture.isStoreSlow = false
        #expect(fixture.conversation.members.members.map(\.readCursor) == [0, 0, 0])
        #expect(
            fixture.submit(.readThrough(3, by: bob.id), request: 7, retry: true) == [
                "event: bob read 1,2,3", "answer 7: read",
            ])
    }

    @Test("that are not stored when the conversation is abandoned fail")
    func abandoned() {
        var fixture = Self.fixture
        fixture.isStoreSlow = true
        _ = fixture.submit(.readThrough(3, by: bob.id), request: 7)
        _ = fixture.submit(.read([3], by: cid.id), request: 8)
        #expect(
            fixture.run { $0.abandon(at: $1, into: &$2) }
                == [
                    "answer 7: refused, \(ChatError.outcomeUnknown)",
                    "answer 8: refused, \(ChatError.unavailable)",
                ])
        #expect(fixture.conversation.unstoredReads.isEmpty)
    }

    @Test("never move back")
    func neverMovesBack() {
        var fixture = Self.fixture
        _ = fixture.read(3, by: bob)
        _ = fixture.advance(by: .seconds(1))
        _ = fixture.read(1, by: bob)
        _ = fixture.reportDelivered(1...2, to: bob)
        _ = fixture.advance(by: .seconds(1))
        #expect(fixture.storeRequests == ["cursors bob read 3 delivered 3"])
    }

    @Test(
        "of deliveries wait for 5 s, or are written with a read of the same member"
    )
    func deliveredOnly() {
        var fixture = Self.fixture
        _ = fixture.reportDelivered(1...2, to: bob)
        _ = fixture.reportDelivered(1...3, to: cid)
        _ = fixture.advance(by: .milliseconds(4900))
        #expect(fixture.storeRequests == [])
        _ = fixture.advance(by: .milliseconds(100))
        #expect(
            fixture.storeRequests == [
                "cursors bob read 0 delivered 2", "cursors cid read 0 delivered 3",
            ])
        fixture.clearStoreRequests()
        _ = fixture.reportDelivered(3...3, to: bob)
        _ = fixture.read(1, by: bob)
        _ = fixture.advance(by: .seconds(10))
        #expect(fixture.storeRequests == ["cursors bob read 1 delivered 3"])
    }

    @Test(
        "of deliveries that the store refuses are written again 1 s later, with newer values"
    )
    func retryAfterFailure() {
        var fixture = Self.fixture
        _ = fixture.reportDelivered(1...1, to: bob)
        _ = fixture.failingStore { $0.advance(by: .seconds(5)) }
        _ = fixture.reportDelivered(2...2, to: bob)
        fixture.clearStoreRequests()
        _ = fixture.advance(by: .milliseconds(999))
        #expect(fixture.storeRequests == [])
        _ = fixture.advance(by: .milliseconds(1))
        #expect(fixture.storeRequests == ["cursors bob read 0 delivered 2"])
    }

    @Test("of deliveries wait while writes are unavailable")
    func storeUnavailable() {
        var fixture = Self.fixture
        _ = fixture.reportDelivered(1...1, to: bob)
        fixture.conversation.areWritesUnavailable = true
        _ = fixture.advance(by: .seconds(10))
        #expect(fixture.storeRequests == [])
        fixture.conversation.areWritesUnavailable = false
        _ = fixture.advance(by: .seconds(1))
        #expect(fixture.storeRequests == ["cursors bob read 0 delivered 1"])
    }

    @Test("of a user that has left meanwhile are not stored")
    func left() {
        var fixture = Self.fixture
        _ = fixture.reportDelivered(1...1, to: bob)
        _ = fixture.leave(bob)
        fixture.clearStoreRequests()
        _ = fixture.advance(by: .seconds(5))
        #expect(fixture.storeRequests == [])
    }

    @Test("that are higher than the stored ones stay when the conversation is loaded again")
    func reloaded() {
        var fixture = Self.fixture
        _ = fixture.reportDelivered(1...2, to: bob)
        _ = fixture.failingStore { $0.post("lost", by: ann) }
        _ = fixture.describe(by: ann)
        #expect(fixture.lastDetails?.members.map(\.deliveredCursor) == [0, 2, 0])
        fixture.clearStoreRequests()
        _ = fixture.advance(by: .seconds(10))
        #expect(fixture.storeRequests == ["cursors bob read 0 delivered 2"])
    }
}
