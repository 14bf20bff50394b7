import Bytes
import ChatModel
import Testing

@testable import ChatCore

private func guest(_ name: ByteString, _ key: ByteString, _ proof: UserID.GuestProof = .token)
    -> Person
{
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
    }

    @Test("may not edit, delete, pin or end what belongs to another")
    func rights() {
        var fixture = ConversationFixture(of: [self.alice], open: true)
        _ = fixture.join(self.other)
        _ = fixture.post("mine", by: self.alice)
        let author = refused(.notAllowed("the author of a message or an admin"))
        #expect(fixture.edit(1, to: "yours", by: self.other) == [author])
        #expect(fixture.delete(1, by: self.other) == [author])
        #expect(
            fixture.end(by: self.other)
                == [refused(.notAllowed("the creator of a conversation or an admin"))])
        #expect(fixture.edit(1, to: "still mine", by: self.alice) != [author])
    }

    @Test("do not enter a closed conversation of which only one is a member")
    func closed() {
        var fixture = ConversationFixture(of: [self.alice])
        #expect(fixture.join(self.other) == [refused(.accessDenied)])
        #expect(fixture.describe(by: self.other) == [refused(.notAMember)])
        #expect(fixture.post("hi", by: claimed("alice")) == [refused(.notAMember)])
    }

    @Test("are all removed by their common id")
    func removal() {
        var fixture = ConversationFixture(of: [ann, self.alice, self.other], open: true)
        #expect(
            fixture.remove(claimed("alice"), by: ann, request: 1).contains {
                $0.contains("answers 1")
            })
        #expect(fixture.store.members.map(\.user) == [ann.id])
    }

    @Test("without any proof only speak, while a guest of the name is a member")
    func claims() {
        var fixture = ConversationFixture(of: [ann], open: true)
        #expect(fixture.post("hi", by: claimed("alice")) == [refused(.notAMember)])
        _ = fixture.join(self.alice)
        #expect(fixture.post("hi", by: claimed("alice")) == ["event: posted 1 hi"])
        #expect(fixture.store.members.map(\.user) == [ann.id, self.alice.id])
        #expect(fixture.describe(by: claimed("alice")) == [refused(.notAMember)])
        #expect(
            fixture.edit(1, to: "x", by: claimed("alice")) == [refused(.notAMember)])
    }

    @Test("take the place of an offline one that only its connection proved")
    func reconnect() {
        let (first, second) = (
            guest("alice", "aaaaaaaa", .connection), guest("alice", "bbbbbbbb", .connection)
        )
        var fixture = ConversationFixture(of: [ann, first], open: true)
        _ = fixture.join(second)
        #expect(fixture.store.members.map(\.user) == [ann.id, second.id])
        _ = fixture.join(self.alice)
        _ = fixture.join(guest("alice", "cccccccc", .connection))
        #expect(fixture.store.members.map(\.user).contains(self.alice.id), "its token proves it")
    }
}

@Suite("The send rate of an author")
struct SendRateTests {
    private static func limits() -> ChatLimits {
        var limits = ChatLimits()
        limits.messagesPerSecond = 10
        limits.messageBurst = 3
        return limits
    }

    @Test("is bounded in each conversation")
    func bound() {
        var fixture = ConversationFixture(of: [ann, bob], Self.limits())
        for number in 1...3 {
            #expect(fixture.post("\(number)", by: ann) == ["event: posted \(number) \(number)"])
        }
        #expect(fixture.post("4", by: ann).first?.contains("rate") == true)
        #expect(fixture.post("4", by: bob) == ["event: posted 4 4"])
        _ = fixture.advance(by: .milliseconds(100))
        #expect(fixture.post("5", by: ann) == ["event: posted 5 5"])
    }

    @Test("is held only for authors that have sent something lately")
    func memory() throws {
        var rates = SendRates()
        for number in 0..<10_000 as Range<UInt32> {
            try rates.admit(number, Self.limits(), at: Int64(number) * 100)
        }
        #expect(rates.count < 200)
    }
}
