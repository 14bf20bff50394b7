import Bytes
import ChatModel
import Testing

@testable import ChatCore

/// Two masters have accepted different changes.
extension StoreRecoveryTests {
    /// The same conversation on another master from now on, a moment later.
    private static func withAnotherMaster(_ fixture: ConversationFixture) -> ConversationFixture {
        var other = fixture
        other.now = ClockReading(
            monotonic: fixture.now.monotonic,
            wall: Timestamp(milliseconds: fixture.now.wall.milliseconds + 7))
        return other
    }

    @Test(
        "whose numbers another master reused is appended under the next ones, each send once"
    )
    func displaced() {
        var fixture = ConversationFixture(of: [ann, bob], Self.limits)
        _ = fixture.post("one", by: ann, id: "a")
        var other = Self.withAnotherMaster(fixture)
        _ = fixture.post("mine", by: ann, id: "b")
        _ = fixture.post("sent to both", by: ann, id: "c")
        _ = fixture.edit(2, to: "mine, corrected", by: ann)
        _ = fixture.delete(1, by: ann)
        _ = other.post("theirs", by: bob, id: "d")
        _ = other.post("sent to both", by: ann, id: "c")
        fixture.store = other.store
        let lines = fixture.run { $0.recheckStore(at: $1, into: &$2) }
        #expect(
            lines.contains("recovered 0, moved 3, lost 0") && lines.contains("request reattach"))
        #expect(
            fixture.store.messages.map(\.body.content) == [
                "", "theirs", "sent to both", "mine, corrected",
            ])
        #expect(
            fixture.store.messages.map { $0.body.clientMessageID?.text } == ["a", "d", "c", "b"])
        #expect(
            fixture.post("mine", by: ann, id: "b", request: 9, retry: true) == [
                "answer 9: posted 4 mine, corrected"
            ])
        // From now on the owner retains the history of the store.
        fixture.clearStoreRequests()
        #expect(fixture.run { $0.recheckStore(at: $1, into: &$2) } == [])
        #expect(fixture.store.revision == other.store.revision + 3)
    }

    @Test(
        "merged from two masters keeps what one of them lacks, if both are the same further up"
    )
    func mixedHistories() {
        var fixture = ConversationFixture(of: [ann, bob], Self.limits)
        var other = Self.withAnotherMaster(fixture)
        // A join has the revision there that a message has here.
        _ = other.joinAndSubscribe(cid)
        _ = other.post("theirs", by: bob, id: "a")
        _ = other.post("later", by: bob, id: "b")
        _ = other.post("last", by: ann, id: "c")
        _ = fixture.post("mine", by: ann, id: "d")
        _ = fixture.handle(
            .offerRetained(other.conversation.retainedWrites(at: fixture.now)),
            from: RequestOrigin(loop: west, request: 9))
        #expect(fixture.store.messages.map(\.body.content) == ["mine", "later", "last", "theirs"])
        fixture.store = other.store
        _ = fixture.run { $0.recheckStore(at: $1, into: &$2) }
        #expect(fixture.store.messages.map(\.body.content) == ["theirs", "later", "last", "mine"])
        #expect(
            fixture.post("mine", by: ann, id: "d", request: 10, retry: true) == [
                "answer 10: posted 4 mine"
            ])
        let revision = fixture.store.revision
        #expect(fixture.run { $0.recheckStore(at: $1, into: &$2) } == [])
        #expect(fixture.store.revision == revision)
    }

    @Test(
        "merged from two masters writes nothing twice if the other history remains in the store"
    )
    func takenOver() {
        var fixture = ConversationFixture(of: [ann, bob], Self.limits)
        var other = Self.withAnotherMaster(fixture)
        _ = other.post("one", by: ann, id: "a")
        _ = other.post("two", by: bob, id: "b")
        _ = fixture.joinAndSubscribe(cid)
        _ = fixture.leave(cid)
        _ = fixture.handle(
            .offerRetained(other.conversation.retainedWrites(at: fixture.now)),
            from: RequestOrigin(loop: west, request: 9))
        #expect(fixture.store.messages.map(\.body.content) == ["one", "two"])
        _ = fixture.post("three", by: ann, id: "c")
        fixture.store = other.store
        _ = fixture.run { $0.recheckStore(at: $1, into: &$2) }
        #expect(fixture.store.messages.map(\.body.content) == ["one", "two", "three"])
    }

    @Test(
        "whose numbers another master reused deletes no other message under them"
    )
    func displacedBeforeDeletion() {
        var fixture = ConversationFixture(of: [ann, bob], Self.limits)
        var other = Self.withAnotherMaster(fixture)
        _ = fixture.post("mine", by: ann, id: "a")
        let offered = fixture.conversation.retainedWrites(at: fixture.now)
        // The next owner has retained only the deletion.
        fixture.changeOwner()
        _ = fixture.joinAndSubscribe(ann)
        _ = fixture.delete(1, by: ann)
        _ = other.post("theirs", by: bob, id: "b")
        fixture.store = other.store
        _ = fixture.handle(.offerRetained(offered), from: RequestOrigin(loop: west, request: 9))
        #expect(fixture.store.messages.map(\.body.content) == ["theirs", ""])
        #expect(fixture.store.messages.map { $0.body.clientMessageID?.text } == ["b", "a"])
    }

    @Test("is ended again if another master reused the number of its end")
    func displacedEnd() {
        var fixture = ConversationFixture(of: [ann, bob], Self.limits)
        _ = fixture.post("one", by: ann, id: "a")
        var other = Self.withAnotherMaster(fixture)
        _ = fixture.end(by: ann)
        let offered = fixture.conversation.retainedWrites(at: fixture.now)
        _ = other.edit(1, to: "uno", by: ann)
        _ = other.handle(.offerRetained(offered), from: RequestOrigin(loop: west, request: 9))
        #expect(other.store.messages.map(\.body.content) == ["uno"])
        #expect(other.store.record?.endedAt != nil)
    }

    @Test("whose deleted message another master displaced never shows its text again")
    func displacedDeletion() {
        var fixture = ConversationFixture(of: [ann, bob], Self.limits)
        var other = Self.withAnotherMaster(fixture)
        _ = fixture.post("secret", by: ann, id: "a")
        _ = fixture.delete(1, by: ann)
        _ = other.post("theirs", by: bob, id: "b")
        fixture.store = other.store
        let lines = fixture.run { $0.recheckStore(at: $1, into: &$2) }
        #expect(!lines.contains { $0.contains("secret") })
        #expect(fixture.store.messages.map(\.body.content) == ["theirs", ""])
        #expect(fixture.store.messages.map(\.state) == [.asSent, .deleted])
    }
}
