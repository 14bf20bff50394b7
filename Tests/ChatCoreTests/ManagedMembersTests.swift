import Bytes
import ChatModel
import Testing

@testable import ChatCore

@Suite("The creator of a conversation, or an admin,")
struct ManagedMembersTests {
    @Test("adds a member of a closed conversation, who can then read and write")
    func adds() {
        var fixture = ConversationFixture(of: [ann])
        #expect(fixture.add(bob, by: ann, request: 1) == ["event: joined bob", "answer 1: joined"])
        #expect(fixture.lastJoinResult?.member?.name == "Bob")
        #expect(fixture.lastJoinResult?.isNewMember == true)
        #expect(fixture.post("hi", by: bob) == ["event: posted 1 hi"])
        #expect(fixture.store.members.map(\.role) == [.creator, .member])
        #expect(fixture.add(cid, by: dan, admin: true) == ["event: joined cid", "answer: joined"])
    }

    @Test("adds a member twice without an effect, and does not rename it")
    func addsTwice() {
        var fixture = ConversationFixture(of: [ann, bob])
        fixture.clearStoreRequests()
        let other = Person(id: bob.id, name: "Robert", agent: "robot")
        #expect(fixture.add(other, by: ann) == ["answer: joined"])
        #expect(fixture.lastJoinResult?.isNewMember == false)
        #expect(fixture.lastJoinResult?.member?.name == "Bob")
        #expect(fixture.storeRequests == [])
    }

    @Test("gives a name that lasts until the user's own token carries one")
    func givenNames() {
        var fixture = ConversationFixture(of: [ann])
        let deceiving = Person(id: bob.id, name: "CEO (verified)")
        _ = fixture.add(deceiving, by: ann)
        #expect(fixture.store.members.map(\.name) == ["Ann", "CEO (verified)"])
        #expect(fixture.store.members.map(\.isNameGiven) == [false, true])
        _ = fixture.join(bob)
        #expect(fixture.store.members.map(\.name) == ["Ann", "Bob"])
        #expect(fixture.store.members.map(\.isNameGiven) == [false, false])
        // A former member keeps the name, too.
        _ = fixture.remove(bob, by: ann)
        _ = fixture.add(deceiving, by: ann)
        #expect(fixture.lastJoinResult?.member?.name == "Bob")
        // An admin speaks for the service that issues the tokens.
        _ = fixture.add(cid, by: dan, admin: true)
        #expect(fixture.store.members.last?.isNameGiven == false)
    }

    @Test("adds a removed member under the given name if the next owner knows no other")
    func returning() {
        var fixture = ConversationFixture(of: [ann, bob])
        _ = fixture.remove(bob, by: ann)
        fixture.changeOwner()
        _ = fixture.add(Person(id: bob.id, name: "Robert"), by: ann)
        #expect(fixture.lastJoinResult?.member?.name == "Robert")
        #expect(fixture.store.members.last?.isNameGiven == true)
    }

    @Test("is reported to have added a member once, even if two requests are in flight")
    func concurrentAdds() {
        var fixture = ConversationFixture(of: [ann])
        fixture.isStoreSlow = true
        #expect(fixture.add(bob, by: ann, request: 1) == [])
        #expect(fixture.add(bob, by: ann, request: 2) == [])
        #expect(fixture.add(bob, by: ann, request: 2, retry: true) == [])
        let output = fixture.answerStore()
        #expect(output == ["event: joined bob", "answer 1: joined", "answer 2: joined"])
        #expect(fixture.lastJoinResult?.isNewMember == false)
        #expect(fixture.store.members.map(\.user) == [ann.id, bob.id])
    }

    @Test("removes a member, who loses the right to read and write at once")
    func removes() {
        var fixture = ConversationFixture(of: [ann, bob])
        #expect(fixture.remove(bob, by: ann, request: 1) == ["event: left bob, answers 1"])
        #expect(fixture.post("hi", by: bob) == [refused(.noSuchConversation)])
        #expect(fixture.describe(by: bob) == [refused(.noSuchConversation)])
        #expect(fixture.store.members.map(\.user) == [ann.id])
        #expect(fixture.remove(bob, by: ann) == [refused(.noSuchMember)])
        #expect(fixture.remove(ann, by: dan, admin: true) == ["event: left ann"])
    }

    @Test("removes a member once, even if several requests are in flight")
    func concurrentRemovals() {
        var fixture = ConversationFixture(of: [ann, bob])
        fixture.isStoreSlow = true
        #expect(fixture.remove(bob, by: ann, request: 1) == [])
        #expect(fixture.remove(bob, by: dan, admin: true, request: 2) == [])
        #expect(fixture.remove(bob, by: ann, request: 1, retry: true) == [])
        #expect(fixture.answerStore() == ["event: left bob, answers 1", "answer 2: done"])
        #expect(fixture.remove(bob, by: ann) == [refused(.noSuchMember)])
    }

    @Test("adds and removes in the order of the requests while none of them is stored")
    func interleaved() {
        var fixture = ConversationFixture(of: [ann, bob])
        fixture.isStoreSlow = true
        _ = fixture.remove(bob, by: ann, request: 1)
        _ = fixture.add(bob, by: ann, request: 2)
        _ = fixture.remove(bob, by: ann, request: 3)
        _ = fixture.add(cid, by: ann, request: 4)
        #expect(
            fixture.answerStore() == [
                "event: left bob, answers 1", "event: joined bob", "answer 2: joined",
                "event: left bob, answers 3", "event: joined cid", "answer 4: joined",
            ])
        #expect(fixture.store.members.map(\.user) == [ann.id, cid.id])
    }

    @Test("gets the answer to a retry from the next owner, if the first one died")
    func ownerDies() {
        var fixture = ConversationFixture(of: [ann, bob])
        _ = fixture.remove(bob, by: ann, request: 1)
        fixture.changeOwner()
        #expect(fixture.remove(bob, by: ann, request: 1, retry: true) == ["answer 1: done"])
        _ = fixture.add(cid, by: ann, request: 2)
        fixture.changeOwner()
        #expect(fixture.add(cid, by: ann, request: 2, retry: true) == ["answer 2: joined"])
        // The owner died before it wrote anything.
        fixture.isStoreSlow = true
        _ = fixture.remove(cid, by: ann, request: 3)
        fixture.changeOwner()
        fixture.isStoreSlow = false
        #expect(
            fixture.remove(cid, by: ann, request: 3, retry: true) == ["event: left cid, answers 3"])
        #expect(fixture.store.members.map(\.user) == [ann.id])
    }

    @Test("learns that a change failed if the store fails, and the member is as stored")
    func storeFails() {
        var fixture = ConversationFixture(of: [ann, bob])
        #expect(
            fixture.failingStore { $0.remove(bob, by: ann, request: 1) } == [
                "answer 1: refused, \(ChatError.unavailable)"
            ])
        #expect(fixture.post("hi", by: bob) == ["event: posted 1 hi"])
        #expect(
            fixture.remove(bob, by: ann, request: 1, retry: true) == ["event: left bob, answers 1"])
    }

    @Test("is the only user who may do so, as a member or not")
    func permission() {
        let refusal = refused(.notAllowed("the creator of a conversation or an admin"))
        var fixture = ConversationFixture(of: [ann, bob])
        #expect(fixture.add(cid, by: bob) == [refusal])
        #expect(fixture.remove(ann, by: bob) == [refusal])
        #expect(fixture.remove(bob, by: bob) == [refusal])
        // A retry tells no more than a first attempt.
        #expect(fixture.remove(dan, by: bob, retry: true) == [refusal])
        _ = fixture.leave(ann)
        #expect(fixture.remove(bob, by: ann) == [refused(.noSuchConversation)])
        #expect(fixture.add(ann, by: ann) == [refused(.noSuchConversation)])
        var missing = ConversationFixture()
        #expect(missing.add(bob, by: ann, admin: true) == [refused(.noSuchConversation)])
        #expect(missing.remove(bob, by: ann, admin: true) == [refused(.noSuchConversation)])
    }

    @Test("cannot add to an ended conversation, but can remove from it")
    func ended() {
        var fixture = ConversationFixture(of: [ann, bob])
        _ = fixture.end(by: ann)
        #expect(fixture.add(cid, by: ann) == [refused(.conversationEnded)])
        #expect(fixture.remove(bob, by: ann) == ["event: left bob"])
    }

    @Test("identifies an anonymous user by the displayed id, and none can take a member's id")
    func anonymous() {
        let assigned = Person(id: UserID(assigned: "eve"), name: "eve")
        var fixture = ConversationFixture(of: [ann, assigned], open: true)
        let eve = Person(id: UserID(displayID: "guest:eve"), name: "eve")
        #expect(fixture.remove(eve, by: ann).count == 1)
        #expect(fixture.store.members.map(\.user) == [ann.id])
        #expect(fixture.add(eve, by: ann).count == 2)
        #expect(
            fixture.add(Person(id: UserID(anonymous: "ann"), name: "x"), by: ann) == [
                refused(.idTaken)
            ])
    }

    @Test("cannot add more members than the limit")
    func limit() {
        var limits = Limits()
        limits.members = 2
        var fixture = ConversationFixture(of: [ann, bob], limits)
        #expect(fixture.add(cid, by: ann) == [refused(.tooManyMembers(limit: 2))])
        #expect(fixture.add(bob, by: ann) == ["answer: joined"])
    }
}
