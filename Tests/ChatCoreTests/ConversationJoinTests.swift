import Bytes
import ChatModel
import ChatSimulation
import Testing

@testable import ChatCore

@Suite("A join")
struct ConversationJoinTests {
    @Test("creates a missing conversation if the token lists it, closed and without a creator")
    func creates() {
        var fixture = ConversationFixture()
        #expect(
            fixture.joinAndSubscribe(ann, template: .listed, request: 1)
                == [
                    "event: presence +ann", "event: created", "event: joined ann",
                    "answer 1: joined",
                ])
        #expect(fixture.storeRequests == ["load", "1 create", "2 member ann Ann"])
        #expect(fixture.store.record?.joinPolicy == .closed)
        #expect(fixture.store.record?.creator == nil)
        #expect(fixture.store.members.map(\.role) == [.member])
    }

    @Test("does not create a conversation that no token lists")
    func createsNothing() {
        var fixture = ConversationFixture()
        #expect(fixture.joinAndSubscribe(ann, listed: false) == [refused(.accessDenied)])
        #expect(fixture.join(ann) == [refused(.noSuchConversation)])
        #expect(fixture.storeRequests == ["load"])
    }

    @Test("of a closed conversation needs a token that lists it, or a membership")
    func closed() {
        var fixture = ConversationFixture(of: [ann])
        #expect(fixture.joinAndSubscribe(bob, listed: false) == [refused(.accessDenied)])
        #expect(fixture.joinAndSubscribe(bob, listed: true).contains("event: joined bob"))
        #expect(fixture.joinAndSubscribe(bob, listed: false) == ["answer: joined"])
        #expect(fixture.store.members.map(\.role) == [.creator, .member])
    }

    @Test("of an open conversation needs neither")
    func open() {
        var fixture = ConversationFixture(of: [ann], open: true)
        #expect(fixture.joinAndSubscribe(bob, listed: false).contains("event: joined bob"))
        #expect(fixture.join(cid, listed: false).contains("event: joined cid"))
    }

    @Test(
        "of an anonymous user is refused if a token user with this id is a member or becomes one"
    )
    func takenID() {
        let guest = Person(id: UserID(anonymous: "ann"), name: "Ann")
        var fixture = ConversationFixture(of: [ann], open: true)
        #expect(fixture.joinAndSubscribe(guest, listed: false) == [refused(.idTaken)])
        #expect(fixture.join(guest, listed: true) == [refused(.idTaken)])
        // The display name of a member is not an id.
        #expect(
            fixture.join(Person(id: UserID(anonymous: "Ann"), name: "ann")) != [refused(.idTaken)])
        let other = Person(id: UserID(anonymous: "bob"), name: "Bob")
        #expect(fixture.join(other, listed: false) != [refused(.idTaken)])
        _ = fixture.joinAndSubscribe(bob, listed: true)
        #expect(fixture.joinAndSubscribe(other, listed: false) == [refused(.idTaken)])
        // An id without a current member cannot be mistaken for another user.
        _ = fixture.leave(ann)
        #expect(fixture.join(guest, listed: false) != [refused(.idTaken)])
    }

    @Test("of a known member is possible after the end")
    func ended() {
        var fixture = ConversationFixture(of: [ann, bob])
        _ = fixture.end(by: ann)
        #expect(fixture.joinAndSubscribe(bob, listed: false).contains("answer: joined"))
        #expect(fixture.lastJoinResult?.ended == ConversationEnd(by: ann.id, at: fixture.now.wall))
    }

    @Test("is answered with what is stored, not with what is in flight")
    func storedMessagesOnly() {
        var fixture = ConversationFixture(of: [ann])
        _ = fixture.post("one", by: ann)
        fixture.isStoreSlow = true
        _ = fixture.post("two", by: ann)
        _ = fixture.end(by: ann)
        _ = fixture.joinAndSubscribe(ann)
        #expect(fixture.lastJoinResult?.head == 1)
        #expect(fixture.lastJoinResult?.oldest == 1)
        #expect(fixture.lastJoinResult?.revision == fixture.store.revision)
        #expect(fixture.lastJoinResult?.ended == nil)
    }

    @Test("returns the oldest message that is kept: by the store, and by the history limit")
    func oldest() {
        var limits = Limits()
        limits.historyLimit = 3
        var fixture = ConversationFixture(of: [ann], limits)
        for number in 1...5 { _ = fixture.post("\(number)", by: ann) }
        _ = fixture.joinAndSubscribe(ann)
        #expect(fixture.lastJoinResult?.oldest == 3)
        fixture.store.oldest = 5
        fixture.changeOwner()
        _ = fixture.joinAndSubscribe(ann)
        #expect(fixture.lastJoinResult?.oldest == 5)
    }

    @Test("under a new owner reports the creator as the user that ended the conversation")
    func endedLongAgo() {
        var fixture = ConversationFixture(of: [ann, bob])
        _ = fixture.end(by: bob, admin: true)
        let time = fixture.now.wall
        _ = fixture.joinAndSubscribe(ann)
        #expect(fixture.lastJoinResult?.ended == ConversationEnd(by: bob.id, at: time))
        fixture.changeOwner()
        _ = fixture.joinAndSubscribe(ann)
        #expect(fixture.lastJoinResult?.ended == ConversationEnd(by: ann.id, at: time))
    }

    @Test("without a subscription makes a member that is not present")
    func join() {
        var fixture = ConversationFixture(of: [ann], open: true)
        #expect(fixture.join(bob, request: 1) == ["event: joined bob", "answer 1: joined"])
        #expect(fixture.conversation.subscribers.isEmpty)
        _ = fixture.describe(by: bob)
        #expect(fixture.lastDetails?.online == [])
    }

    @Test("has no effect the second time")
    func twice() {
        var fixture = ConversationFixture(of: [ann], open: true)
        fixture.clearStoreRequests()
        #expect(fixture.join(ann) == ["answer: joined"])
        #expect(fixture.storeRequests == [])
    }

    @Test("that is repeated while the first is in flight makes one event and two answers")
    func twiceWhilePending() {
        var fixture = ConversationFixture(of: [ann])
        fixture.isStoreSlow = true
        _ = fixture.join(bob, listed: true, request: 1)
        _ = fixture.join(bob, listed: true, request: 2)
        #expect(
            fixture.answerStore() == ["event: joined bob", "answer 1: joined", "answer 2: joined"])
    }

    @Test("under another name renames the member")
    func renames() {
        var fixture = ConversationFixture(of: [ann, bob])
        #expect(
            fixture.joinAndSubscribe(Person(id: bob.id, name: "Robert"), request: 1)
                == ["event: presence +bob", "event: renamed bob Robert", "answer 1: joined"])
        #expect(fixture.store.members.map(\.name) == ["Ann", "Robert"])
    }

    @Test("is refused above the member limit, but never to a member")
    func full() {
        var limits = Limits()
        limits.members = 2
        var fixture = ConversationFixture(of: [ann, bob], limits)
        #expect(fixture.joinAndSubscribe(cid) == [refused(.tooManyMembers(limit: 2))])
        #expect(fixture.joinAndSubscribe(bob).contains("answer: joined"))
        _ = fixture.leave(bob)
        #expect(fixture.joinAndSubscribe(cid).contains("answer: joined"))
    }

    @Test("is only possible for members while writes are unavailable, and keeps their names")
    func storeUnavailable() {
        var fixture = ConversationFixture(of: [ann])
        fixture.conversation.areWritesUnavailable = true
        #expect(fixture.joinAndSubscribe(bob) == [refused(.unavailable)])
        #expect(
            fixture.joinAndSubscribe(Person(id: ann.id, name: "Anna")).contains("answer: joined"))
        _ = fixture.describe(by: ann)
        #expect(fixture.lastDetails?.members.map(\.name) == ["Ann"])
    }
}
