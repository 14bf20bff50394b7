import Bytes
import ChatModel
import ChatSimulation
import Testing

@testable import ChatCore

@Suite("An inbox")
struct InboxTests {
    @Test("is created by the first message, and accepts messages of every user")
    func created() {
        var fixture = ConversationFixture(isInbox: true)
        #expect(
            fixture.post("hi", by: ann, id: "1", request: 1) == [
                "event: created", "event: posted 1 hi, answers 1",
            ])
        #expect(
            fixture.post("ho", by: bob, id: "1", request: 2) == ["event: posted 2 ho, answers 2"])
        #expect(fixture.store.record?.origin == "inbox")
        #expect(fixture.store.record?.joinPolicy == .closed)
        #expect(fixture.store.members.isEmpty)
        #expect(
            fixture.submit(
                .create(
                    NewConversation(
                        .closed, creator: Principal(person: ann, isAdmin: true), members: [])))
                == [refused(.accessDenied)])
    }

    @Test("accepts subscriptions without a write, even before the first message")
    func subscribing() {
        var fixture = ConversationFixture(isInbox: true)
        #expect(fixture.joinAndSubscribe(ann, listed: false, request: 1) == ["answer 1: joined"])
        #expect(
            fixture.joinAndSubscribe(bob, listed: false, on: west, request: 2) == [
                "answer 2: joined"
            ])
        #expect(fixture.lastJoinResult?.member == nil)
        #expect(fixture.storeRequests == ["load"])
        #expect(
            fixture.attach(west, present: [bob, cid], knownOnline: [dan]) == ["answer 1: joined"])
        #expect(fixture.unsubscribe(ann) == [])
        #expect(fixture.advance(by: .seconds(60)) == [])
        #expect(
            fixture.post("hi", by: cid, request: 3) == [
                "event: created", "event: posted 1 hi, answers 3",
            ])
        _ = fixture.detach(east)
        _ = fixture.detach(west)
        #expect(fixture.conversation.isIdle)
    }

    @Test("stores each user's read cursor, and announces no presence")
    func acknowledged() {
        var fixture = ConversationFixture(isInbox: true)
        _ = fixture.post("hi", by: ann)
        _ = fixture.post("ho", by: ann)
        _ = fixture.joinAndSubscribe(bob)
        #expect(fixture.lastJoinResult?.head == 2)
        #expect(fixture.read(1, by: bob) == ["answer: read", "event: joined bob"])
        _ = fixture.read(2, by: bob)
        _ = fixture.read(1, by: bob)
        _ = fixture.unsubscribe(bob)
        _ = fixture.advance(by: .seconds(60))
        fixture.changeOwner()
        _ = fixture.joinAndSubscribe(bob)
        #expect(fixture.lastJoinResult?.member?.readCursor == 2)
        #expect(fixture.store.members.map(\.user) == [bob.id])
    }

    @Test(
        "shared by several users has one read position, which a new owner keeps"
    )
    func shared() {
        var fixture = ConversationFixture(isInbox: true)
        for content in ["1", "2", "3"] { _ = fixture.post(content, by: ann) }
        _ = fixture.joinAndSubscribe(bob)
        #expect(fixture.lastJoinResult?.member == nil)
        _ = fixture.submit(.readThrough(2, by: bob.id))
        _ = fixture.joinAndSubscribe(cid)
        #expect(fixture.lastJoinResult?.member?.readCursor == 2)
        _ = fixture.submit(.readThrough(1, by: cid.id))
        fixture.clearStoreRequests()
        _ = fixture.submit(.readThrough(3, by: bob.id))
        #expect(fixture.storeRequests == ["cursors bob read 3 delivered 0"])
        fixture.changeOwner()
        _ = fixture.joinAndSubscribe(cid)
        #expect(fixture.lastJoinResult?.member?.readCursor == 3)
        #expect(fixture.lastJoinResult?.member?.user == cid.id)
    }

    @Test("stores a repeated send once per author, under a new owner too")
    func once() {
        var fixture = ConversationFixture(isInbox: true)
        _ = fixture.post("hi", by: ann, id: "1")
        fixture.changeOwner()
        #expect(fixture.post("hi", by: ann, id: "1", request: 1) == ["answer 1: repeats 1 hi"])
        #expect(
            fixture.post("ho", by: bob, id: "1", request: 2) == ["event: posted 2 ho, answers 2"])
        fixture.changeOwner()
        #expect(fixture.post("ho", by: bob, id: "1", request: 3) == ["answer 3: repeats 2 ho"])
        #expect(fixture.post("hi", by: ann, id: "1", request: 4) == ["answer 4: repeats 1 hi"])
    }

    @Test("that cannot be created while writes are unavailable may be retried")
    func storeUnavailable() {
        var fixture = ConversationFixture(isInbox: true)
        _ = fixture.joinAndSubscribe(bob)
        fixture.conversation.areWritesUnavailable = true
        #expect(
            fixture.post("hi", by: ann, request: 1) == [
                "answer 1: refused, \(ChatError.unavailable)"
            ]
        )
        fixture.conversation.areWritesUnavailable = false
        #expect(
            fixture.post("hi", by: ann, request: 1) == [
                "event: created", "event: posted 1 hi, answers 1",
            ])
    }
}
