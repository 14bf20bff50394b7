import Bytes
import ChatModel
import Testing

@testable import ChatCore

@Suite("An inbox")
struct InboxTests {
    @Test("is made by what first comes in, and takes from everybody")
    func created() {
        var stage = ConversationFixture(isInbox: true)
        #expect(
            stage.post("hi", by: ann, id: "1", request: 1) == [
                "event: created", "event: posted 1 hi, answers 1",
            ])
        #expect(stage.post("ho", by: bob, id: "1", request: 2) == ["event: posted 2 ho, answers 2"])
        #expect(stage.store.record?.kind == .inbox)
        #expect(stage.store.record?.joinPolicy == .closed)
        #expect(stage.store.members.isEmpty)
        #expect(
            stage.submit(
                .create(
                    NewConversation(
                        kind: .pets, creator: Principal(person: ann, isAdmin: true), members: [])))
                == [refused(.accessDenied)])
    }

    @Test("lets listen without a write, also before anything has come")
    func subscribing() {
        var stage = ConversationFixture(isInbox: true)
        #expect(stage.joinAndSubscribe(ann, listed: false, request: 1) == ["answer 1: entered"])
        #expect(
            stage.joinAndSubscribe(bob, listed: false, on: west, request: 2) == [
                "answer 2: entered"
            ])
        #expect(stage.lastJoinResult?.member == nil)
        #expect(stage.storeRequests == ["load"])
        #expect(
            stage.attach(west, present: [bob, cid], knownOnline: [dan]) == ["answer 1: entered"])
        #expect(stage.unsubscribe(ann) == [])
        #expect(stage.advance(by: .seconds(60)) == [])
        #expect(
            stage.post("hi", by: cid, request: 3) == [
                "event: created", "event: posted 1 hi, answers 3",
            ])
        _ = stage.detach(east)
        _ = stage.detach(west)
        #expect(stage.conversation.isIdle)
    }

    @Test("remembers how far everybody has got, and tells nobody who is there")
    func acknowledged() {
        var stage = ConversationFixture(isInbox: true)
        _ = stage.post("hi", by: ann)
        _ = stage.post("ho", by: ann)
        _ = stage.joinAndSubscribe(bob)
        #expect(stage.lastJoinResult?.head == 2)
        #expect(stage.read(1, by: bob) == ["answer: read", "event: joined bob"])
        _ = stage.read(2, by: bob)
        _ = stage.read(1, by: bob)
        _ = stage.unsubscribe(bob)
        _ = stage.advance(by: .seconds(60))
        stage.changeOwner()
        _ = stage.joinAndSubscribe(bob)
        #expect(stage.lastJoinResult?.member?.readCursor == 2)
        #expect(stage.store.members.map(\.user) == [bob.id])
    }

    @Test(
        "that several users read as one has brought to all of them what it has brought to one, also after its owner has died"
    )
    func shared() {
        var stage = ConversationFixture(isInbox: true)
        for words in ["1", "2", "3"] { _ = stage.post(words, by: ann) }
        _ = stage.joinAndSubscribe(bob)
        #expect(stage.lastJoinResult?.member == nil)
        _ = stage.submit(.readThrough(2, by: bob.id))
        _ = stage.joinAndSubscribe(cid)
        #expect(stage.lastJoinResult?.member?.readCursor == 2)
        _ = stage.submit(.readThrough(1, by: cid.id))
        stage.clearStoreRequests()
        _ = stage.submit(.readThrough(3, by: bob.id))
        #expect(stage.storeRequests == ["cursors bob read 3 delivered 0"])
        stage.changeOwner()
        _ = stage.joinAndSubscribe(cid)
        #expect(stage.lastJoinResult?.member?.readCursor == 3)
        #expect(stage.lastJoinResult?.member?.user == cid.id)
    }

    @Test("takes the same thing once, from each who sends it, also after its owner has changed")
    func once() {
        var stage = ConversationFixture(isInbox: true)
        _ = stage.post("hi", by: ann, id: "1")
        stage.changeOwner()
        #expect(stage.post("hi", by: ann, id: "1", request: 1) == ["answer 1: posted 1 hi"])
        #expect(stage.post("ho", by: bob, id: "1", request: 2) == ["event: posted 2 ho, answers 2"])
        stage.changeOwner()
        #expect(stage.post("ho", by: bob, id: "1", request: 3) == ["answer 3: posted 2 ho"])
        #expect(stage.post("hi", by: ann, id: "1", request: 4) == ["answer 4: posted 1 hi"])
    }

    @Test("that cannot be made while the store is away may be tried again")
    func storeUnavailable() {
        var stage = ConversationFixture(isInbox: true)
        _ = stage.joinAndSubscribe(bob)
        stage.conversation.areWritesUnavailable = true
        #expect(
            stage.post("hi", by: ann, request: 1) == ["answer 1: refused, \(ChatError.unavailable)"]
        )
        stage.conversation.areWritesUnavailable = false
        #expect(
            stage.post("hi", by: ann, request: 1) == [
                "event: created", "event: posted 1 hi, answers 1",
            ])
    }
}
