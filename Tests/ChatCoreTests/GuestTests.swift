import Bytes
import ChatModel
import ChatSimulation
import Testing

@testable import ChatCore

func guest(
    _ name: ByteString, _ key: ByteString, _ proof: UserID.GuestProof = .token
) -> Person {
    Person(id: UserID(guest: name, key: key, provenBy: proof), name: name)
}

/// A name that proves nothing.
private func claimed(_ name: ByteString) -> Person {
    Person(id: UserID(anonymous: name), name: name)
}

@Suite("Guests of one name")
struct GuestTests {
    private let alice = guest("alice", "aaaaaaaa")
    private let other = guest("alice", "bbbbbbbb")
    private let first = guest("alice", "cccccccc", .connection)
    private let second = guest("alice", "dddddddd", .connection)

    @Test("are different users that look alike, apart from their keys")
    func identity() {
        #expect(self.alice.id != self.other.id)
        #expect(self.alice.id.displayID == "guest:alice" && self.other.id.name == "alice")
        #expect(self.alice.id.guestKey == "aaaaaaaa")
        #expect(self.alice.id.looksLike(self.other.id))
        #expect(self.alice.id.looksLike(UserID(displayID: "guest:alice")))
        #expect(self.alice.id.looksLike(UserID(assigned: "alice")))
        #expect(!self.alice.id.looksLike(UserID(tokenSubject: "alice")))
        #expect(!self.alice.id.looksLike(guest("alicex", "aaaaaaaa").id))
        #expect(UserID(anonymous: "alice").guestKey?.byteCount == 8)
        #expect(UserID(anonymous: "alice").guestKey != UserID(anonymous: "bob").guestKey)
        #expect(UserID(tokenSubject: "alice").guestKey == nil)
        #expect(UserID(storageKey: self.first.id.storageKey) == self.first.id)
    }

    @Test("may not edit, delete, pin, remove, add or end what belongs to another")
    func rights() {
        var fixture = ConversationFixture()
        _ = fixture.submit(
            .create(
                NewConversation(
                    ConversationRecord(
                        .listed, pinPolicy: .creator, creator: nil,
                        createdAt: Timestamp(milliseconds: 0)),
                    creator: Principal(person: self.alice, isAdmin: false), members: [self.alice])))
        for person in [self.other, self.second, bob] { _ = fixture.join(person) }
        _ = fixture.post("mine", by: self.alice)
        let author = refused(.notAllowed("the author of a message or an admin"))
        let creator = refused(.notAllowed("the creator of a conversation or an admin"))
        for stranger in [self.other, self.second] {
            #expect(fixture.edit(1, to: "yours", by: stranger) == [author])
            #expect(fixture.delete(1, by: stranger) == [author])
            #expect(fixture.pin(1, by: stranger).first?.contains("refused") == true)
            #expect(fixture.remove(bob, by: stranger) == [creator])
            #expect(fixture.add(cid, by: stranger) == [creator])
            #expect(fixture.update(by: stranger) { $0.joinPolicy = .closed } == [creator])
            #expect(fixture.end(by: stranger) == [creator])
        }
        #expect(fixture.edit(1, to: "still mine", by: self.alice) != [author])
        #expect(fixture.end(by: self.alice) != [creator])
    }

    @Test("do not enter a closed conversation of which only one is a member")
    func closed() {
        var fixture = ConversationFixture(of: [ann, self.alice, self.first], open: true)
        _ = fixture.post("secret", by: self.alice)
        _ = fixture.update(by: ann) { $0.joinPolicy = .closed }
        for stranger in [self.other, self.second] {
            // A guest token lists the conversation, but it is only a part of the link.
            for isListed in [false, true] {
                #expect(fixture.join(stranger, listed: isListed) == [refused(.noSuchConversation)])
                #expect(
                    fixture.joinAndSubscribe(stranger, listed: isListed)
                        == [refused(.accessDenied)])
            }
            for access in [ReadAccess.membersOnly, .anyoneIfOpen, .anyone] {
                #expect(
                    fixture.submit(
                        .describe(
                            by: Principal(person: stranger, isAdmin: false), readAccess: access))
                        == [refused(.noSuchConversation)])
            }
            #expect(fixture.post("hi", by: stranger) == [refused(.noSuchConversation)])
            #expect(
                fixture.submit(.receipts(by: stranger.id)) == [refused(.noSuchConversation)])
        }
        #expect(fixture.post("hi", by: claimed("alice")) == [refused(.noSuchConversation)])
        #expect(fixture.join(self.alice) == ["answer: joined"])
        #expect(fixture.post("hi", by: self.alice) == ["event: posted 2 hi"])
    }

    @Test("are all removed by their common id, and none of them returns by the link")
    func removal() {
        var fixture = ConversationFixture(of: [ann, self.alice, self.other], open: true)
        #expect(
            fixture.remove(claimed("alice"), by: ann, request: 1) == [
                "event: left anonymous alice", "event: left anonymous alice, answers 1",
            ])
        #expect(fixture.store.members.map(\.user) == [ann.id])
        for person in [self.alice, self.first, claimed("alice")] {
            #expect(fixture.join(person) == [refused(.wasRemoved)])
        }
        fixture.changeOwner()
        #expect(fixture.join(self.second) == [refused(.wasRemoved)])
        #expect(fixture.join(guest("alicia", "aaaaaaaa")).contains("answer: joined"))
        #expect(fixture.remove(claimed("alice"), by: ann) == [refused(.noSuchMember)])
    }

    @Test("without any proof only speak, while a guest of the name is a member")
    func claims() {
        var fixture = ConversationFixture(of: [ann], open: true)
        #expect(fixture.post("hi", by: claimed("alice")) == [refused(.notAMember)])
        _ = fixture.join(self.alice)
        #expect(fixture.post("hi", by: claimed("alice")) == ["event: posted 1 hi"])
        #expect(
            fixture.post("hi", by: claimed("alice"), id: "m") == ["event: posted 2 hi"]
                && fixture.post("hi", by: claimed("alice"), id: "m").count == 1)
        #expect(fixture.store.members.map(\.user) == [ann.id, self.alice.id])
        for answer in [
            fixture.describe(by: claimed("alice")), fixture.edit(1, to: "x", by: claimed("alice")),
            fixture.read(1, by: claimed("alice")), fixture.leave(claimed("alice")),
        ] {
            #expect(answer == [refused(.notAMember)])
        }
        _ = fixture.leave(self.alice)
        #expect(fixture.post("hi", by: claimed("alice")) == [refused(.notAMember)])
    }

    @Test("without any proof share no message, even if they send the same local id")
    func claimedRepeats() {
        var fixture = ConversationFixture(of: [ann, self.alice], open: true)
        let renamed = Person(id: claimed("alice").id, name: "Alice")
        #expect(fixture.post("hi", by: claimed("alice"), id: "m") == ["event: posted 1 hi"])
        #expect(fixture.post("no", by: claimed("alice"), id: "m") == ["event: posted 2 no"])
        #expect(fixture.post("no", by: claimed("alice"), id: "m") == ["answer: repeats 2 no"])
        #expect(fixture.post("no", by: renamed, id: "m") == ["event: posted 3 no"])
        // A retry does not bring back what an admin has deleted meanwhile.
        _ = fixture.delete(3, by: ann, admin: true)
        #expect(fixture.post("no", by: renamed, id: "m") == ["answer: repeats 3"])
    }

    @Test("end a conversation by the name of its creator, who has not left")
    func claimedEnd() {
        var fixture = ConversationFixture(of: [self.alice], open: true)
        let refusal = refused(.notAllowed("the creator of a conversation or an admin"))
        #expect(fixture.end(by: claimed("bob")) == [refusal])
        _ = fixture.leave(self.alice)
        #expect(fixture.end(by: claimed("alice")) == [refusal])
        var other = ConversationFixture(of: [self.alice], open: true)
        #expect(other.end(by: claimed("alice")) == ["event: ended by anonymous alice"])
        var closed = ConversationFixture(of: [self.alice])
        #expect(closed.end(by: claimed("alice")) == [refused(.noSuchConversation)])
    }

    @Test("are all mentioned by their common id, up to the limit of a message")
    func mentions() {
        var fixture = ConversationFixture(of: [ann, self.alice, self.other], open: true)
        let name = Mentions(users: [claimed("alice").id])
        _ = fixture.post("hi", by: ann, mentioning: name)
        #expect(
            fixture.announcedMessages.last?.body.annotations?.mentions?.users
                == [self.alice.id, self.other.id])
        for number in 100..<200 {
            _ = fixture.join(guest("alice", ByteString("key-\(number)x")))
        }
        _ = fixture.post("hi", by: ann, mentioning: name)
        #expect(
            fixture.announcedMessages.last?.body.annotations?.mentions?.users.count
                == Mentions.limit)
    }
}

@Suite("A guest that connects again without a token")
struct ReturningGuestTests {
    private let first = guest("alice", "cccccccc", .connection)
    private let second = guest("alice", "dddddddd", .connection)
    private let third = guest("alice", "eeeeeeee", .connection)

    @Test("takes the place of one that has been absent for an hour, so that the list stays short")
    func replaced() {
        var fixture = ConversationFixture(of: [ann, self.first], open: true)
        _ = fixture.advance(by: .seconds(3500))
        _ = fixture.joinAndSubscribe(self.second)
        #expect(fixture.memberIDs == [ann.id, self.first.id, self.second.id])
        _ = fixture.advance(by: .seconds(100))
        let output = fixture.joinAndSubscribe(self.third)
        #expect(output.contains("event: left anonymous alice"), "\(output)")
        #expect(output.contains("answer: joined"))
        #expect(fixture.memberIDs == [ann.id, self.second.id, self.third.id])
        for number in 100..<200 {
            _ = fixture.detach(east)
            _ = fixture.joinAndSubscribe(guest("alice", ByteString("key-\(number)x"), .connection))
        }
        _ = fixture.advance(by: .seconds(3600))
        _ = fixture.joinAndSubscribe(self.first)
        #expect(fixture.store.members.count == 3)
    }

    @Test("takes the place of one whose departure the owner has not seen, a day after it joined")
    func replacedByNewOwner() {
        var fixture = ConversationFixture(of: [ann, self.first], open: true)
        _ = fixture.advance(by: .seconds(86_300))
        fixture.changeOwner()
        _ = fixture.joinAndSubscribe(self.second)
        #expect(fixture.memberIDs == [ann.id, self.first.id, self.second.id])
        _ = fixture.advance(by: .seconds(100))
        fixture.changeOwner()
        _ = fixture.joinAndSubscribe(self.third)
        #expect(fixture.memberIDs == [ann.id, self.second.id, self.third.id])
    }

    @Test("leaves the absent one its place, also if the conversation is closed then")
    func closed() {
        for changesOwner in [false, true] {
            var fixture = ConversationFixture(of: [ann, self.first], open: true)
            if changesOwner { fixture.changeOwner() }
            _ = fixture.joinAndSubscribe(self.second)
            _ = fixture.update(by: ann) { $0.joinPolicy = .closed }
            _ = fixture.advance(by: .seconds(100_000))
            #expect(fixture.joinAndSubscribe(self.third) == [refused(.accessDenied)])
            #expect(fixture.joinAndSubscribe(self.first).contains("answer: joined"))
            #expect(fixture.memberIDs == [ann.id, self.first.id, self.second.id])
        }
    }

    @Test("is online at the end for readers that know only ids, after a reload and with two tabs")
    func presence() throws {
        var fixture = ConversationFixture(of: [ann, self.first], open: true)
        _ = fixture.joinAndSubscribe(self.first)
        _ = fixture.advance(by: .seconds(30))
        func last(_ output: [String]) -> String? { output.last { $0.contains("alice") } }
        // A reload.
        _ = fixture.unsubscribe(self.first)
        let reloaded = fixture.joinAndSubscribe(self.second) + fixture.advance(by: .seconds(30))
        #expect(try #require(last(reloaded)).contains("+anonymous alice"), "\(reloaded)")
        // A second tab, and the end of the first.
        _ = fixture.joinAndSubscribe(self.third)
        _ = fixture.advance(by: .seconds(30))
        let closed = fixture.unsubscribe(self.second) + fixture.advance(by: .seconds(30))
        #expect(last(closed) == "event: presence +anonymous alice -anonymous alice")
        let gone = fixture.unsubscribe(self.third) + fixture.advance(by: .seconds(30))
        #expect(last(gone) == "event: presence -anonymous alice")
    }

    @Test("does not take the place of one that is present, or that a token proves")
    func kept() {
        let proven = guest("alice", "aaaaaaaa")
        let other = guest("bob", "eeeeeeee", .connection)
        var fixture = ConversationFixture(of: [ann, proven, other], open: true)
        _ = fixture.joinAndSubscribe(self.first)
        _ = fixture.advance(by: .seconds(100_000))
        _ = fixture.joinAndSubscribe(self.second)
        #expect(
            fixture.memberIDs == [ann.id, proven.id, other.id, self.first.id, self.second.id])
    }

    @Test("leaves the absent one its rights if it resumes its connection")
    func resumed() {
        var fixture = ConversationFixture(of: [self.first], open: true)
        _ = fixture.post("mine", by: self.first)
        _ = fixture.read(1, by: self.first)
        _ = fixture.advance(by: .seconds(3600))
        _ = fixture.joinAndSubscribe(self.second)
        // The creator keeps its place.
        #expect(fixture.memberIDs == [self.first.id, self.second.id])
        _ = fixture.joinAndSubscribe(self.first)
        #expect(fixture.edit(1, to: "still mine", by: self.first).count == 1)
        let refusal = refused(.notAllowed("the creator of a conversation or an admin"))
        #expect(fixture.end(by: self.second) == [refusal])
        #expect(fixture.end(by: self.first) != [refusal])
    }

    @Test("does not take the place of one whose presence a new owner does not know yet")
    func newOwner() {
        var fixture = ConversationFixture(of: [ann, self.first], open: true)
        _ = fixture.advance(by: .seconds(100_000))
        fixture.changeOwner(ownedSince: fixture.now.monotonic)
        _ = fixture.joinAndSubscribe(self.second, on: west)
        #expect(fixture.store.members.count == 3)
        _ = fixture.attach(east, present: [self.first])
        _ = fixture.advance(by: .seconds(6))
        _ = fixture.joinAndSubscribe(self.third, on: west)
        #expect(fixture.memberIDs.contains(self.first.id))
    }
}
