import Bytes
import ChatModel
import ChatSimulation
import Testing

@testable import ChatCore

@Suite("A private conversation")
struct PrivateConversationTests {
    private static let commands: [(name: String, command: ChatCommand)] = [
        ("enter", .joinAndSubscribe(Self.request(bob))), ("join", .join(Self.request(bob))),
        ("post", .post(.text("hi", by: bob))),
        ("reply", .post(.text("hi", by: bob, id: "a"))),
        ("edit", .edit(1, content: "ho", by: Self.bobs)), ("delete", .delete(1, by: Self.bobs)),
        ("edit what is not there", .edit(99, content: "ho", by: Self.bobs)),
        ("react", .react(1, Emoji(given: "👍")!, isOn: true, by: Self.bobs)),
        ("pin", .pin(1, by: Self.bobs)), ("unpin", .unpin(1, by: Self.bobs)),
        ("read pins", .pins(by: Self.bobs, readAccess: .anyoneIfOpen)),
        ("read", .read([1], by: bob.id)), ("read through", .readThrough(99, by: bob.id)),
        ("read receipts", .receipts(by: bob.id)),
        ("type", .typing(true, by: bob)), ("leave", .leave(bob.id)),
        ("add", .addMember(cid, by: Self.bobs)), ("remove", .removeMember(ann.id, by: Self.bobs)),
        ("change", .update(ConversationUpdate(origin: "rooms"), by: Self.bobs)),
        ("end", .end(by: Self.bobs)), ("describe", .describe(by: Self.bobs)),
        ("describe by the link", .describe(by: Self.bobs, readAccess: .anyoneIfOpen)),
    ]

    private static let bobs = Principal(person: bob, isAdmin: false)

    private static func request(_ person: Person) -> JoinRequest {
        JoinRequest(
            principal: Principal(person: person, isAdmin: false), isListedInToken: false,
            template: .listed)
    }

    @Test(
        "is answered as a missing one to every command of a stranger",
        arguments: commands.map(\.name), [false, true])
    func hidden(_ name: String, isEnded: Bool) throws {
        let command = try #require(Self.commands.first { $0.name == name }).command
        var missing = ConversationFixture()
        var closed = ConversationFixture(of: [ann])
        _ = closed.post("secret", by: ann)
        if isEnded { _ = closed.end(by: ann) }
        #expect(closed.submit(command) == missing.submit(command))
        // Also while the store takes no writes.
        missing.conversation.areWritesUnavailable = true
        closed.conversation.areWritesUnavailable = true
        #expect(closed.submit(command) == missing.submit(command))
    }

    @Test("is answered as a missing one to a stranger with the id of a member")
    func hiddenFromGuests() {
        let guest = Person(id: UserID(anonymous: "ann"), name: "Ann")
        var missing = ConversationFixture()
        var closed = ConversationFixture(of: [ann])
        #expect(closed.join(guest) == missing.join(guest))
        #expect(
            closed.joinAndSubscribe(guest, listed: false)
                == missing.joinAndSubscribe(guest, listed: false))
    }

    @Test("comes into being closed, unlisted and without a creator if a token lists it")
    func byToken() {
        var fixture = ConversationFixture()
        _ = fixture.joinAndSubscribe(bob, listed: true, template: .listed)
        #expect(fixture.store.record?.joinPolicy == .closed)
        #expect(fixture.store.record?.isListed == false)
        #expect(fixture.store.record?.creator == nil)
        #expect(fixture.store.members.map(\.role) == [.member])
        let refusal = refused(.notAllowed("the creator of a conversation or an admin"))
        _ = fixture.joinAndSubscribe(ann, listed: true, template: .listed)
        #expect(fixture.remove(ann, by: bob) == [refusal])
        #expect(fixture.end(by: bob) == [refusal])
        #expect(fixture.update(by: bob) { $0.joinPolicy = .open } == [refusal])
        #expect(fixture.remove(ann, by: dan, admin: true) == ["event: left ann"])
    }

    @Test("has a creator if an admin's token has made it")
    func byAdmin() {
        var fixture = ConversationFixture()
        _ = fixture.joinAndSubscribe(ann, listed: true, admin: true)
        #expect(fixture.store.record?.creator == ann.id)
        #expect(fixture.store.members.map(\.role) == [.creator])
        _ = fixture.joinAndSubscribe(bob, listed: true)
        #expect(fixture.remove(bob, by: ann) == ["event: left bob"])
    }
}

@Suite("A removed user")
struct RemovedUserTests {
    @Test("may not join by the link until added again, also under the next owner")
    func rejoins() {
        var fixture = ConversationFixture(of: [ann, bob], open: true)
        _ = fixture.remove(bob, by: ann)
        for _ in 0..<2 {
            #expect(fixture.join(bob) == [refused(.wasRemoved)])
            #expect(fixture.joinAndSubscribe(bob, listed: false) == [refused(.wasRemoved)])
            #expect(
                fixture.submit(
                    .describe(
                        by: Principal(person: bob, isAdmin: false), readAccess: .anyoneIfOpen))
                    == [refused(.wasRemoved)])
            #expect(fixture.post("hi", by: bob) == [refused(.notAMember)])
            fixture.changeOwner()
        }
        #expect(fixture.add(bob, by: ann) == ["event: joined bob", "answer: joined"])
        fixture.changeOwner()
        #expect(fixture.post("hi", by: bob) == ["event: posted 1 hi"])
        #expect(fixture.store.members.first { $0.user == bob.id }?.name == "Bob")
        // Who leaves may come back.
        _ = fixture.leave(bob)
        #expect(fixture.join(bob).contains("event: joined bob"))
    }

    @Test("is remembered, also if it is the creator, however many users have left before")
    func manyFormerMembers() {
        var limits = Limits()
        limits.members = 3
        var fixture = ConversationFixture(of: [ann, bob], open: true, limits)
        for number in 0..<4 {
            let name = ByteString("u\(number)")
            let other = Person(id: UserID(tokenSubject: name), name: name)
            #expect(fixture.join(other).contains("answer: joined"))
            #expect(fixture.leave(other).count == 1)
        }
        #expect(fixture.remove(bob, by: ann) == ["event: left bob"])
        #expect(fixture.remove(ann, by: dan, admin: true) == ["event: left ann"])
        let refusal = refused(.notAllowed("the creator of a conversation or an admin"))
        for _ in 0..<2 {
            #expect(fixture.join(bob) == [refused(.wasRemoved)])
            #expect(fixture.update(by: ann) { $0.joinPolicy = .closed } == [refusal])
            #expect(fixture.add(ann, by: ann) == [refusal])
            fixture.changeOwner()
        }
    }

    @Test("is never forgotten: with the most removed users, a conversation gets no further members")
    func mostRemovedUsers() {
        var limits = Limits()
        limits.members = 2
        var fixture = ConversationFixture(of: [ann, bob], open: true, limits)
        _ = fixture.remove(bob, by: ann)
        #expect(fixture.join(cid).contains("answer: joined"))
        _ = fixture.remove(cid, by: ann)
        for _ in 0..<2 {
            #expect(fixture.join(dan) == [refused(.tooManyMembers(limit: 2))])
            #expect(fixture.add(dan, by: ann) == [refused(.tooManyMembers(limit: 2))])
            fixture.changeOwner()
        }
        // The way out is to add one of them again.
        #expect(fixture.add(bob, by: ann).contains("answer: joined"))
        #expect(fixture.leave(bob) == ["event: left bob"])
        #expect(fixture.join(cid) == [refused(.wasRemoved)])
        #expect(fixture.join(dan).contains("answer: joined"))
    }

    @Test("may enter by a token that lists the conversation, but not by the token of a guest")
    func tokens() {
        let guest = Person(id: UserID(anonymous: "eve"), name: "Eve")
        var fixture = ConversationFixture(of: [ann, bob, guest], open: true)
        _ = fixture.remove(bob, by: ann)
        _ = fixture.remove(guest, by: ann)
        #expect(fixture.join(bob, listed: true).contains("event: joined bob"))
        #expect(fixture.join(guest, listed: true) == [refused(.wasRemoved)])
        #expect(
            fixture.submit(
                .describe(by: Principal(person: guest, isAdmin: false), readAccess: .anyone))
                == [refused(.wasRemoved)])
        #expect(fixture.add(guest, by: ann).contains("event: joined anonymous eve"))
    }

    @Test("is no member in any respect")
    func members() {
        var fixture = ConversationFixture(of: [ann, bob], open: true)
        _ = fixture.remove(bob, by: ann)
        fixture.changeOwner()
        _ = fixture.describe(by: ann)
        #expect(fixture.lastDetails?.members.map(\.user) == [ann.id])
        #expect(fixture.remove(bob, by: ann) == [refused(.noSuchMember)])
        #expect(fixture.store.allMembers.map(\.role) == [.creator, .removed])
        #expect(fixture.store.allMembers.map(\.name) == ["Ann", ""])
    }

    @Test("is remembered only while the conversation may have as many members")
    func bound() {
        var limits = Limits()
        limits.members = 3
        var fixture = ConversationFixture(of: [ann], open: true, limits)
        for person in makePeople(5) {
            _ = fixture.add(person, by: ann)
            _ = fixture.remove(person, by: ann)
        }
        #expect(fixture.store.allMembers.count { !$0.role.isMember } == 3)
    }

    @Test("has no rights left as the creator, even if added again")
    func creator() {
        let refusal = refused(.notAllowed("the creator of a conversation or an admin"))
        var fixture = ConversationFixture(of: [ann, bob], open: true)
        #expect(fixture.remove(ann, by: dan, admin: true) == ["event: left ann"])
        for _ in 0..<2 {
            #expect(fixture.add(ann, by: ann) == [refusal])
            #expect(fixture.remove(bob, by: ann) == [refusal])
            #expect(fixture.update(by: ann) { $0.title = "Mine" } == [refusal])
            #expect(fixture.end(by: ann) == [refusal])
            fixture.changeOwner()
        }
        _ = fixture.add(ann, by: dan, admin: true)
        fixture.changeOwner()
        #expect(fixture.end(by: ann) == [refusal])
        #expect(fixture.store.members.first { $0.user == ann.id }?.role == .member)
    }

    @Test("who was the creator and left by itself has no rights either")
    func creatorLeaves() {
        let refusal = refused(.notAllowed("the creator of a conversation or an admin"))
        var fixture = ConversationFixture(of: [ann, bob], open: true)
        #expect(fixture.leave(ann) == ["event: left ann"])
        fixture.changeOwner()
        #expect(fixture.add(ann, by: ann) == [refusal])
        #expect(fixture.join(ann).contains("event: joined ann"))
        fixture.changeOwner()
        #expect(fixture.remove(bob, by: ann) == [refusal])
    }

    @Test("need not have been a member to have been the creator")
    func absentCreator() {
        var fixture = ConversationFixture()
        _ = fixture.create(by: ann, template: .listed)
        fixture.changeOwner()
        #expect(fixture.add(bob, by: ann).contains("event: joined bob"))
        #expect(fixture.join(ann).contains("event: joined ann"))
        #expect(fixture.store.members.first { $0.user == ann.id }?.role == .creator)
        #expect(fixture.remove(bob, by: ann) == ["event: left bob"])
    }
}

@Suite("The properties of a conversation")
struct ConversationUpdateTests {
    @Test("are changed by the creator and by admins, and all subscribers are notified")
    func changes() {
        var fixture = ConversationFixture(of: [ann, bob], open: true)
        let revision = fixture.store.revision
        #expect(
            fixture.update(by: ann, request: 1) { $0.title = "Tea" } == [
                "event: updated by ann rev \(revision + 1): Tea open listed",
                "answer 1: described",
            ])
        #expect(fixture.lastDetails?.record.title == "Tea")
        #expect(
            fixture.update(by: dan, admin: true, request: 2) { $0.isListed = false } == [
                "event: updated by dan rev \(revision + 2): Tea open", "answer 2: described",
            ])
        #expect(
            fixture.update(by: bob) { $0.title = "Coffee" } == [
                refused(.notAllowed("the creator of a conversation or an admin"))
            ])
        fixture.changeOwner()
        _ = fixture.describe(by: ann)
        #expect(fixture.lastDetails?.record.title == "Tea")
        #expect(fixture.lastDetails?.record.isListed == false)
    }

    @Test("are not changed again by a retry after a later change", arguments: [true, false])
    func retried(isInFlight: Bool) {
        var fixture = ConversationFixture(of: [ann], open: true)
        fixture.isStoreSlow = true
        _ = fixture.update(by: ann, request: 1) { $0.title = "Tea" }
        _ = fixture.update(by: ann, request: 2) { $0.title = "Coffee" }
        if !isInFlight { _ = fixture.answerStore() }
        let output = fixture.update(by: ann, request: 1, retry: true) { $0.title = "Tea" }
        #expect(output == (isInFlight ? [] : ["answer 1: described"]))
        let answers = fixture.answerStore().filter { $0.hasPrefix("answer") }
        #expect(answers == (isInFlight ? ["answer 1: described", "answer 2: described"] : []))
        #expect(fixture.store.record?.title == "Coffee")
    }

    @Test("are never closed and listed, and closing removes no member")
    func closing() {
        var fixture = ConversationFixture(of: [ann, bob], open: true)
        #expect(
            fixture.update(by: ann) { ($0.joinPolicy, $0.isListed) = (.closed, true) } == [
                refused(.closedIsUnlisted)
            ])
        _ = fixture.update(by: ann) { $0.joinPolicy = .closed }
        #expect(fixture.store.record?.isListed == false)
        #expect(fixture.update(by: ann) { $0.isListed = true } == [refused(.closedIsUnlisted)])
        #expect(fixture.join(cid) == [refused(.noSuchConversation)])
        #expect(fixture.post("hi", by: bob) == ["event: posted 1 hi"])
        // It stays unlisted when it is opened again.
        _ = fixture.update(by: ann) { $0.joinPolicy = .open }
        #expect(fixture.store.record?.isListed == false)
        #expect(fixture.join(cid).contains("event: joined cid"))
    }

    @Test("that are as requested already are not written")
    func same() {
        var fixture = ConversationFixture(of: [ann], open: true)
        fixture.clearStoreRequests()
        #expect(fixture.update(by: ann) { $0.isListed = true } == ["answer: described"])
        #expect(fixture.storeRequests == [])
        // Two requests in flight for the same change cause one event.
        fixture.isStoreSlow = true
        _ = fixture.update(by: ann, request: 1) { $0.title = "Tea" }
        _ = fixture.update(by: ann, request: 2) { $0.title = "Tea" }
        #expect(
            fixture.answerStore() == [
                "event: updated by ann rev \(fixture.store.revision): Tea open listed",
                "answer 1: described", "answer 2: described",
            ])
    }

    @Test("include a description only in the protocol that has one")
    func description() {
        var fixture = ConversationFixture(of: [ann])
        #expect(
            fixture.update(by: ann) { $0.dialectData = "about" } == [refused(.noDescription)])
        fixture = ConversationFixture(of: [ann], open: true)
        _ = fixture.update(by: ann) { $0.dialectData = "about" }
        #expect(fixture.store.record?.dialectData == "about")
    }

    @Test("stay as stored if the change cannot be stored")
    func unavailable() {
        var fixture = ConversationFixture(of: [ann], open: true)
        #expect(
            fixture.failingStore { $0.update(by: ann, request: 1) { $0.title = "Tea" } } == [
                "answer 1: refused, \(ChatError.unavailable)"
            ])
        _ = fixture.describe(by: ann)
        #expect(fixture.lastDetails?.record.title == "")
    }
}

@Suite("Read positions")
struct ReadPositionTests {
    @Test("are listed for members: their own, the 100 highest, and how many there are")
    func receipts() {
        let people = makePeople(150)
        var fixture = ConversationFixture(of: [ann, bob] + people)
        for number in 1...150 { _ = fixture.post("\(number)", by: ann) }
        for (index, person) in people.enumerated() { _ = fixture.read(index + 1, by: person) }
        let output = fixture.submit(.receipts(by: people[0].id))
        #expect(output.first?.hasPrefix("answer: receipts p150 150/150 p149 149/149") == true)
        #expect(output.first?.hasSuffix(" p51 51/51 of 150") == true)
        #expect(fixture.submit(.receipts(by: cid.id)) == [refused(.noSuchConversation)])
        fixture.changeOwner()
        #expect(fixture.submit(.receipts(by: people[0].id)) == output)
    }
}
