import Bytes
import ChatModel
import Testing

@testable import ChatCore

@Suite("Presence")
struct PresenceTests {
    /// All users are members; these have been present for a long time.
    private static func fixture(present people: Person...) -> ConversationFixture {
        var fixture = ConversationFixture(of: [ann, bob, cid, dan])
        for person in people { _ = fixture.joinAndSubscribe(person) }
        _ = fixture.advance(by: .seconds(10))
        return fixture
    }

    @Test("of the first users is announced at once")
    func first() {
        var fixture = Self.fixture()
        #expect(fixture.joinAndSubscribe(ann) == ["event: presence +ann", "answer: joined"])
        #expect(fixture.joinAndSubscribe(bob) == ["event: presence +bob", "answer: joined"])
    }

    @Test("of users that arrive within a second after others is announced in one event")
    func secondArrival() {
        var fixture = Self.fixture(present: ann)
        #expect(fixture.joinAndSubscribe(bob) == ["event: presence +bob", "answer: joined"])
        #expect(fixture.joinAndSubscribe(cid) == ["answer: joined"])
        _ = fixture.advance(by: .milliseconds(500))
        #expect(fixture.joinAndSubscribe(dan) == ["answer: joined"])
        #expect(fixture.advance(by: .milliseconds(499)) == [])
        #expect(fixture.advance(by: .milliseconds(1)) == ["event: presence +cid +dan"])
    }

    @Test("contains the user with its agent")
    func person() {
        var fixture = Self.fixture(present: ann)
        let agent = Person(id: bob.id, name: bob.name, agent: "helper")
        _ = fixture.joinAndSubscribe(agent)
        _ = fixture.joinAndSubscribe(cid)
        #expect(fixture.lastJoinResult?.present.map(\.person) == [ann, agent])
    }

    @Test("that ends is announced after 2 s")
    func leaves() {
        var fixture = Self.fixture(present: ann, bob)
        #expect(fixture.unsubscribe(bob) == [])
        #expect(fixture.advance(by: .milliseconds(1999)) == [])
        #expect(fixture.advance(by: .milliseconds(1)) == ["event: presence -bob"])
    }

    @Test("that is interrupted briefly is not announced")
    func shortAbsence() {
        var fixture = Self.fixture(present: ann, bob)
        _ = fixture.unsubscribe(bob)
        _ = fixture.advance(by: .milliseconds(1999))
        #expect(fixture.joinAndSubscribe(bob) == ["answer: joined"])
        #expect(fixture.advance(by: .seconds(10)) == [])
    }

    @Test("that ends a second time is announced 2 s after that, not after the first time")
    func secondShortAbsence() {
        var fixture = Self.fixture(present: ann, bob)
        _ = fixture.unsubscribe(bob)
        _ = fixture.advance(by: .seconds(1))
        _ = fixture.joinAndSubscribe(bob)
        _ = fixture.unsubscribe(bob)
        #expect(fixture.advance(by: .milliseconds(1999)) == [])
        #expect(fixture.advance(by: .milliseconds(1)) == ["event: presence -bob"])
    }

    @Test("of a visit that ended before it was announced is not announced at all")
    func shortVisit() {
        var fixture = Self.fixture(present: ann)
        _ = fixture.joinAndSubscribe(bob)
        _ = fixture.joinAndSubscribe(cid)
        _ = fixture.unsubscribe(cid)
        #expect(fixture.advance(by: .seconds(10)) == [])
    }

    @Test("lasts as long as the user is present on any loop")
    func loops() {
        var fixture = Self.fixture(present: ann, bob)
        #expect(fixture.joinAndSubscribe(bob, on: west) == ["answer: joined"])
        _ = fixture.unsubscribe(bob, on: east)
        #expect(fixture.advance(by: .seconds(10)) == [])
        _ = fixture.unsubscribe(bob, on: west)
        #expect(fixture.advance(by: .seconds(2)) == ["event: presence -bob"])
    }

    @Test("is not ended by a loop on which the user is not present")
    func otherLoop() {
        var fixture = Self.fixture(present: ann, bob)
        _ = fixture.unsubscribe(bob, on: west)
        _ = fixture.detach(west)
        #expect(fixture.advance(by: .seconds(10)) == [])
    }

    @Test("ends for all users of a loop that is gone")
    func loopGone() {
        var fixture = Self.fixture(present: ann, bob)
        _ = fixture.joinAndSubscribe(cid, on: west)
        _ = fixture.advance(by: .seconds(2))
        _ = fixture.run { $0.detach(east, at: $1, into: &$2) }
        #expect(fixture.advance(by: .seconds(2)) == ["event: presence -ann -bob"])
        #expect(!fixture.conversation.subscribers.contains(east))
        #expect(fixture.conversation.subscribers.contains(west))
    }

    @Test("of the other members is in the answer to a join, with their number")
    func entered() {
        var fixture = Self.fixture(present: ann, bob)
        _ = fixture.joinAndSubscribe(cid)
        #expect(fixture.lastJoinResult?.present.map(\.person) == [ann, bob])
        #expect(fixture.lastJoinResult?.present.allSatisfy(\.isOnline) == true)
        #expect(fixture.lastJoinResult?.presentCount == 3)
        #expect(fixture.lastJoinResult?.isCrowd == false)
    }

    @Test(
        "in the answer to a join is what was announced; later events contain the rest"
    )
    func notAnnounced() {
        var fixture = Self.fixture(present: ann)
        _ = fixture.joinAndSubscribe(bob)
        _ = fixture.joinAndSubscribe(cid)
        _ = fixture.joinAndSubscribe(dan)
        #expect(fixture.lastJoinResult?.present.map(\.person) == [ann, bob])
        #expect(fixture.lastJoinResult?.presentCount == 2)
        #expect(fixture.advance(by: .seconds(1)) == ["event: presence +cid +dan"])
    }

    @Test("of a user that comes and goes quickly has one scheduled announcement")
    func flapping() {
        var fixture = Self.fixture(present: ann, bob)
        for _ in 0..<100 {
            _ = fixture.unsubscribe(bob)
            _ = fixture.advance(by: .milliseconds(1500))
            _ = fixture.joinAndSubscribe(bob)
            _ = fixture.unsubscribe(bob)
            _ = fixture.advance(by: .milliseconds(100))
            _ = fixture.joinAndSubscribe(bob)
        }
        #expect(fixture.conversation.presence.dueMembers.count <= 1)
    }
}
