import Bytes
import ChatModel
import Testing

@testable import ChatCore

@Suite("Coming into a conversation")
struct ConversationJoinTests {
    @Test("makes it where there is none, for whom its token lists, who is its creator")
    func creates() {
        var stage = ConversationFixture()
        #expect(
            stage.joinAndSubscribe(ann, kind: .chats, request: 1)
                == [
                    "event: presence +ann", "event: created", "event: joined ann",
                    "answer 1: entered",
                ])
        #expect(stage.storeRequests == ["load", "1 create", "2 member ann Ann"])
        #expect(stage.store.record?.joinPolicy == .open)
        #expect(stage.store.record?.creator == ann.id)
        #expect(stage.store.members.map(\.role) == [.creator])
    }

    @Test("makes none for whom no token lists")
    func createsNothing() {
        var stage = ConversationFixture()
        #expect(stage.joinAndSubscribe(ann, listed: false) == [refused(.accessDenied)])
        #expect(stage.join(ann) == [refused(.noSuchConversation)])
        #expect(stage.storeRequests == ["load"])
    }

    @Test("that is closed needs a token that lists it, or membership")
    func closed() {
        var stage = ConversationFixture(of: [ann])
        #expect(stage.joinAndSubscribe(bob, listed: false) == [refused(.accessDenied)])
        #expect(stage.joinAndSubscribe(bob, listed: true).contains("event: joined bob"))
        #expect(stage.joinAndSubscribe(bob, listed: false) == ["answer: entered"])
        #expect(stage.store.members.map(\.role) == [.creator, .member])
    }

    @Test("that is open needs nothing")
    func open() {
        var stage = ConversationFixture(of: [ann], open: true)
        #expect(stage.joinAndSubscribe(bob, listed: false).contains("event: joined bob"))
        #expect(stage.join(cid, listed: false).contains("event: joined cid"))
    }

    @Test(
        "is for no anonymous user of an id that a member has by a token, also where that one came later"
    )
    func takenID() {
        let guest = Person(id: UserID(anonymous: "ann"), name: "Ann")
        var stage = ConversationFixture(of: [ann], open: true)
        #expect(stage.joinAndSubscribe(guest, listed: false) == [refused(.idTaken)])
        #expect(stage.join(guest, listed: true) == [refused(.idTaken)])
        // A member's display name is no id.
        #expect(
            stage.join(Person(id: UserID(anonymous: "Ann"), name: "ann")) != [refused(.idTaken)])
        let other = Person(id: UserID(anonymous: "bob"), name: "Bob")
        #expect(stage.join(other, listed: false) != [refused(.idTaken)])
        _ = stage.joinAndSubscribe(bob, listed: true)
        #expect(stage.joinAndSubscribe(other, listed: false) == [refused(.idTaken)])
        // Who has left has no id any more that somebody else could be taken for.
        _ = stage.leave(ann)
        #expect(stage.join(guest, listed: false) != [refused(.idTaken)])
    }

    @Test("stays possible for whom it knows when it has ended")
    func ended() {
        var stage = ConversationFixture(of: [ann, bob])
        _ = stage.end(by: ann)
        #expect(stage.joinAndSubscribe(bob, listed: false).contains("answer: entered"))
        #expect(stage.lastJoinResult?.ended == ConversationEnd(by: ann.id, at: stage.now.wall))
    }

    @Test("is answered with what is stored, not with what is on its way")
    func storedMessagesOnly() {
        var stage = ConversationFixture(of: [ann])
        _ = stage.post("one", by: ann)
        stage.isStoreSlow = true
        _ = stage.post("two", by: ann)
        _ = stage.end(by: ann)
        _ = stage.joinAndSubscribe(ann)
        #expect(stage.lastJoinResult?.head == 1)
        #expect(stage.lastJoinResult?.oldest == 1)
        #expect(stage.lastJoinResult?.revision == stage.store.revision)
        #expect(stage.lastJoinResult?.ended == nil)
    }

    @Test("is told the oldest message that is kept: by the store, and by the limit of the history")
    func oldest() {
        var limits = ChatLimits()
        limits.historyLimit = 3
        var stage = ConversationFixture(of: [ann], limits)
        for number in 1...5 { _ = stage.post("\(number)", by: ann) }
        _ = stage.joinAndSubscribe(ann)
        #expect(stage.lastJoinResult?.oldest == 3)
        stage.store.oldest = 5
        stage.changeOwner()
        _ = stage.joinAndSubscribe(ann)
        #expect(stage.lastJoinResult?.oldest == 5)
    }

    @Test("names the creator to a next owner's people as who ended it")
    func endedLongAgo() {
        var stage = ConversationFixture(of: [ann, bob])
        _ = stage.end(by: bob, admin: true)
        let time = stage.now.wall
        _ = stage.joinAndSubscribe(ann)
        #expect(stage.lastJoinResult?.ended == ConversationEnd(by: bob.id, at: time))
        stage.changeOwner()
        _ = stage.joinAndSubscribe(ann)
        #expect(stage.lastJoinResult?.ended == ConversationEnd(by: ann.id, at: time))
    }

    @Test("by joining makes a member who does not listen and is not there")
    func join() {
        var stage = ConversationFixture(of: [ann], open: true)
        #expect(stage.join(bob, request: 1) == ["event: joined bob", "answer 1: entered"])
        #expect(stage.conversation.subscribers.isEmpty)
        _ = stage.describe(by: bob)
        #expect(stage.lastDetails?.online == [])
    }

    @Test("twice changes nothing")
    func twice() {
        var stage = ConversationFixture(of: [ann], open: true)
        stage.clearStoreRequests()
        #expect(stage.join(ann) == ["answer: entered"])
        #expect(stage.storeRequests == [])
    }

    @Test("twice while the first time is stored is told once and answered twice")
    func twiceWhilePending() {
        var stage = ConversationFixture(of: [ann])
        stage.isStoreSlow = true
        _ = stage.join(bob, listed: true, request: 1)
        _ = stage.join(bob, listed: true, request: 2)
        #expect(
            stage.answerStore() == ["event: joined bob", "answer 1: entered", "answer 2: entered"])
    }

    @Test("under another name renames the member")
    func renames() {
        var stage = ConversationFixture(of: [ann, bob])
        #expect(
            stage.joinAndSubscribe(Person(id: bob.id, name: "Robert"), request: 1)
                == ["event: presence +bob", "event: renamed bob Robert", "answer 1: entered"])
        #expect(stage.store.members.map(\.name) == ["Ann", "Robert"])
    }

    @Test("is refused beyond the members that a conversation may have, and never to a member")
    func full() {
        var limits = ChatLimits()
        limits.membersPerConversation = 2
        var stage = ConversationFixture(of: [ann, bob], limits)
        #expect(stage.joinAndSubscribe(cid) == [refused(.tooManyMembers(limit: 2))])
        #expect(stage.joinAndSubscribe(bob).contains("answer: entered"))
        _ = stage.leave(bob)
        #expect(stage.joinAndSubscribe(cid).contains("answer: entered"))
    }

    @Test("is possible for members alone while the store is away, under the names that they have")
    func storeUnavailable() {
        var stage = ConversationFixture(of: [ann])
        stage.conversation.areWritesUnavailable = true
        #expect(stage.joinAndSubscribe(bob) == [refused(.unavailable)])
        #expect(
            stage.joinAndSubscribe(Person(id: ann.id, name: "Anna")).contains("answer: entered"))
        _ = stage.describe(by: ann)
        #expect(stage.lastDetails?.members.map(\.name) == ["Ann"])
    }
}
