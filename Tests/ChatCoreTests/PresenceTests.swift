import Bytes
import ChatModel
import Testing

@testable import ChatCore

@Suite("Presence")
struct PresenceTests {
    /// Everybody is a member; who is named there has come in, long ago.
    private static func fixture(present people: Person...) -> ConversationFixture {
        var stage = ConversationFixture(of: [ann, bob, cid, dan])
        for person in people { _ = stage.joinAndSubscribe(person) }
        _ = stage.advance(by: .seconds(10))
        return stage
    }

    @Test("of the first who come is told at once")
    func first() {
        var stage = Self.fixture()
        #expect(stage.joinAndSubscribe(ann) == ["event: presence +ann", "answer: entered"])
        #expect(stage.joinAndSubscribe(bob) == ["event: presence +bob", "answer: entered"])
    }

    @Test("of those who come within a second after others is told together, in one event")
    func secondArrival() {
        var stage = Self.fixture(present: ann)
        #expect(stage.joinAndSubscribe(bob) == ["event: presence +bob", "answer: entered"])
        #expect(stage.joinAndSubscribe(cid) == ["answer: entered"])
        _ = stage.advance(by: .milliseconds(500))
        #expect(stage.joinAndSubscribe(dan) == ["answer: entered"])
        #expect(stage.advance(by: .milliseconds(499)) == [])
        #expect(stage.advance(by: .milliseconds(1)) == ["event: presence +cid +dan"])
    }

    @Test("names the person as it is, with its agent")
    func person() {
        var stage = Self.fixture(present: ann)
        let agent = Person(id: bob.id, name: bob.name, agent: "helper")
        _ = stage.joinAndSubscribe(agent)
        _ = stage.joinAndSubscribe(cid)
        #expect(stage.lastJoinResult?.present.map(\.person) == [ann, agent])
    }

    @Test("that ends is told after 2 s")
    func leaves() {
        var stage = Self.fixture(present: ann, bob)
        #expect(stage.unsubscribe(bob) == [])
        #expect(stage.advance(by: .milliseconds(1999)) == [])
        #expect(stage.advance(by: .milliseconds(1)) == ["event: presence -bob"])
    }

    @Test("has blips that nobody is told of")
    func shortAbsence() {
        var stage = Self.fixture(present: ann, bob)
        _ = stage.unsubscribe(bob)
        _ = stage.advance(by: .milliseconds(1999))
        #expect(stage.joinAndSubscribe(bob) == ["answer: entered"])
        #expect(stage.advance(by: .seconds(10)) == [])
    }

    @Test("that ends a second time is told 2 s after that, not after the first")
    func secondShortAbsence() {
        var stage = Self.fixture(present: ann, bob)
        _ = stage.unsubscribe(bob)
        _ = stage.advance(by: .seconds(1))
        _ = stage.joinAndSubscribe(bob)
        _ = stage.unsubscribe(bob)
        #expect(stage.advance(by: .milliseconds(1999)) == [])
        #expect(stage.advance(by: .milliseconds(1)) == ["event: presence -bob"])
    }

    @Test("of a visit that was over before it was told is not told at all")
    func shortVisit() {
        var stage = Self.fixture(present: ann)
        _ = stage.joinAndSubscribe(bob)
        _ = stage.joinAndSubscribe(cid)
        _ = stage.unsubscribe(cid)
        #expect(stage.advance(by: .seconds(10)) == [])
    }

    @Test("lasts as long as the user is there on any loop")
    func loops() {
        var stage = Self.fixture(present: ann, bob)
        #expect(stage.joinAndSubscribe(bob, on: west) == ["answer: entered"])
        _ = stage.unsubscribe(bob, on: east)
        #expect(stage.advance(by: .seconds(10)) == [])
        _ = stage.unsubscribe(bob, on: west)
        #expect(stage.advance(by: .seconds(2)) == ["event: presence -bob"])
    }

    @Test("is not ended by a loop on which the user is not")
    func otherLoop() {
        var stage = Self.fixture(present: ann, bob)
        _ = stage.unsubscribe(bob, on: west)
        _ = stage.detach(west)
        #expect(stage.advance(by: .seconds(10)) == [])
    }

    @Test("ends for all who were there on a loop that is gone")
    func loopGone() {
        var stage = Self.fixture(present: ann, bob)
        _ = stage.joinAndSubscribe(cid, on: west)
        _ = stage.advance(by: .seconds(2))
        _ = stage.run { $0.detach(east, at: $1, into: &$2) }
        #expect(stage.advance(by: .seconds(2)) == ["event: presence -ann -bob"])
        #expect(!stage.conversation.subscribers.contains(east))
        #expect(stage.conversation.subscribers.contains(west))
    }

    @Test("of the others, not one's own, is told to whom comes in, with their number")
    func entered() {
        var stage = Self.fixture(present: ann, bob)
        _ = stage.joinAndSubscribe(cid)
        #expect(stage.lastJoinResult?.present.map(\.person) == [ann, bob])
        #expect(stage.lastJoinResult?.present.allSatisfy(\.isOnline) == true)
        #expect(stage.lastJoinResult?.presentCount == 3)
        #expect(stage.lastJoinResult?.isCrowd == false)
    }

    @Test(
        "is told to whom comes in as the others know it: who is not announced yet follows in an event"
    )
    func notAnnounced() {
        var stage = Self.fixture(present: ann)
        _ = stage.joinAndSubscribe(bob)
        _ = stage.joinAndSubscribe(cid)
        _ = stage.joinAndSubscribe(dan)
        #expect(stage.lastJoinResult?.present.map(\.person) == [ann, bob])
        #expect(stage.lastJoinResult?.presentCount == 2)
        #expect(stage.advance(by: .seconds(1)) == ["event: presence +cid +dan"])
    }

    @Test("of somebody who comes and goes quickly waits in one place")
    func flapping() {
        var stage = Self.fixture(present: ann, bob)
        for _ in 0..<100 {
            _ = stage.unsubscribe(bob)
            _ = stage.advance(by: .milliseconds(1500))
            _ = stage.joinAndSubscribe(bob)
            _ = stage.unsubscribe(bob)
            _ = stage.advance(by: .milliseconds(100))
            _ = stage.joinAndSubscribe(bob)
        }
        #expect(stage.conversation.presence.dueMembers.count <= 1)
    }
}
