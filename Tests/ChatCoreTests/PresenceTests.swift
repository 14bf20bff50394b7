import Bytes
import ChatModel
import Testing

@testable import ChatCore

@Suite("Presence")
struct PresenceTests {
    /// Everybody is a member; who is named there has come in, long ago.
    private static func stage(there people: Person...) -> Stage {
        var stage = Stage(of: [ann, bob, cid, dan])
        for person in people { _ = stage.enter(person) }
        _ = stage.pass(.seconds(10))
        return stage
    }

    @Test("of the first who come is told at once")
    func first() {
        var stage = Self.stage()
        #expect(stage.enter(ann) == ["event: presence +ann", "answer: entered"])
        #expect(stage.enter(bob) == ["event: presence +bob", "answer: entered"])
    }

    @Test("of those who come within a second after others is told together, in one event")
    func company() {
        var stage = Self.stage(there: ann)
        #expect(stage.enter(bob) == ["event: presence +bob", "answer: entered"])
        #expect(stage.enter(cid) == ["answer: entered"])
        _ = stage.pass(.milliseconds(500))
        #expect(stage.enter(dan) == ["answer: entered"])
        #expect(stage.pass(.milliseconds(499)) == [])
        #expect(stage.pass(.milliseconds(1)) == ["event: presence +cid +dan"])
    }

    @Test("names the person as it is, with its agent")
    func person() {
        var stage = Self.stage(there: ann)
        let agent = Person(id: bob.id, name: bob.name, agent: "helper")
        _ = stage.enter(agent)
        _ = stage.enter(cid)
        #expect(stage.entered?.present.map(\.person) == [ann, agent])
    }

    @Test("that ends is told after 2 s")
    func leaves() {
        var stage = Self.stage(there: ann, bob)
        #expect(stage.leave(bob) == [])
        #expect(stage.pass(.milliseconds(1999)) == [])
        #expect(stage.pass(.milliseconds(1)) == ["event: presence -bob"])
    }

    @Test("has blips that nobody is told of")
    func blip() {
        var stage = Self.stage(there: ann, bob)
        _ = stage.leave(bob)
        _ = stage.pass(.milliseconds(1999))
        #expect(stage.enter(bob) == ["answer: entered"])
        #expect(stage.pass(.seconds(10)) == [])
    }

    @Test("that ends a second time is told 2 s after that, not after the first")
    func secondBlip() {
        var stage = Self.stage(there: ann, bob)
        _ = stage.leave(bob)
        _ = stage.pass(.seconds(1))
        _ = stage.enter(bob)
        _ = stage.leave(bob)
        #expect(stage.pass(.milliseconds(1999)) == [])
        #expect(stage.pass(.milliseconds(1)) == ["event: presence -bob"])
    }

    @Test("of a visit that was over before it was told is not told at all")
    func shortVisit() {
        var stage = Self.stage(there: ann)
        _ = stage.enter(bob)
        _ = stage.enter(cid)
        _ = stage.leave(cid)
        #expect(stage.pass(.seconds(10)) == [])
    }

    @Test("lasts as long as the user is there on any loop")
    func loops() {
        var stage = Self.stage(there: ann, bob)
        #expect(stage.enter(bob, on: west) == ["answer: entered"])
        _ = stage.leave(bob, on: east)
        #expect(stage.pass(.seconds(10)) == [])
        _ = stage.leave(bob, on: west)
        #expect(stage.pass(.seconds(2)) == ["event: presence -bob"])
    }

    @Test("is not ended by a loop on which the user is not")
    func otherLoop() {
        var stage = Self.stage(there: ann, bob)
        _ = stage.leave(bob, on: west)
        _ = stage.detach(west)
        #expect(stage.pass(.seconds(10)) == [])
    }

    @Test("ends for all who were there on a loop that is gone")
    func loopGone() {
        var stage = Self.stage(there: ann, bob)
        _ = stage.enter(cid, on: west)
        _ = stage.pass(.seconds(2))
        _ = stage.run { $0.detach(east, at: $1, into: &$2) }
        #expect(stage.pass(.seconds(2)) == ["event: presence -ann -bob"])
        #expect(!stage.conversation.listeners.contains(east))
        #expect(stage.conversation.listeners.contains(west))
    }

    @Test("of the others, not one's own, is told to whom comes in, with their number")
    func entered() {
        var stage = Self.stage(there: ann, bob)
        _ = stage.enter(cid)
        #expect(stage.entered?.present.map(\.person) == [ann, bob])
        #expect(stage.entered?.present.allSatisfy(\.isOnline) == true)
        #expect(stage.entered?.presentCount == 3)
        #expect(stage.entered?.isCrowd == false)
    }

    @Test("is told to whom comes in as the others know it: who is not announced yet follows in an event")
    func notAnnounced() {
        var stage = Self.stage(there: ann)
        _ = stage.enter(bob)
        _ = stage.enter(cid)
        _ = stage.enter(dan)
        #expect(stage.entered?.present.map(\.person) == [ann, bob])
        #expect(stage.entered?.presentCount == 2)
        #expect(stage.pass(.seconds(1)) == ["event: presence +cid +dan"])
    }

    @Test("of somebody who comes and goes quickly waits in one place")
    func flapping() {
        var stage = Self.stage(there: ann, bob)
        for _ in 0..<100 {
            _ = stage.leave(bob)
            _ = stage.pass(.milliseconds(1500))
            _ = stage.enter(bob)
            _ = stage.leave(bob)
            _ = stage.pass(.milliseconds(100))
            _ = stage.enter(bob)
        }
        #expect(stage.conversation.presence.due.count <= 1)
    }
}
