import ChatModel
import Testing

@testable import ChatCore

@Suite("A crowd")
struct CrowdTests {
    /// Ten members. The conversation is a crowd above three present users, until there are fewer
    /// than two.
    private static func fixture(present count: Int, changes: Int = 100) -> ConversationFixture {
        var limits = Limits()
        (limits.crowdAbove, limits.crowdEndsBelow, limits.crowdChangeLimit) = (3, 2, changes)
        var fixture = ConversationFixture(of: makePeople(10), limits)
        for person in makePeople(count) { _ = fixture.joinAndSubscribe(person) }
        _ = fixture.advance(by: .seconds(10))
        return fixture
    }

    @Test("begins above the limit and receives counts")
    func begins() {
        var fixture = Self.fixture(present: 3)
        #expect(
            fixture.joinAndSubscribe(makePeople(4)[3]) == [
                "event: crowd of 4 +p4", "answer: joined",
            ])
    }

    @Test("receives a count at most every 2 s")
    func interval() {
        var fixture = Self.fixture(present: 4)
        #expect(
            fixture.joinAndSubscribe(makePeople(5)[4]) == [
                "event: crowd of 5 +p5", "answer: joined",
            ])
        _ = fixture.advance(by: .milliseconds(1))
        #expect(fixture.joinAndSubscribe(makePeople(6)[5]) == ["answer: joined"])
        #expect(fixture.joinAndSubscribe(makePeople(7)[6]) == ["answer: joined"])
        #expect(fixture.advance(by: .milliseconds(1998)) == [])
        #expect(fixture.advance(by: .milliseconds(1)) == ["event: crowd of 7 +p6 +p7"])
    }

    @Test("receives only the newest changes, and the count of all")
    func changes() {
        var fixture = Self.fixture(present: 4, changes: 2)
        _ = fixture.joinAndSubscribe(makePeople(5)[4])
        for person in makePeople(9)[5...] { _ = fixture.joinAndSubscribe(person) }
        #expect(fixture.advance(by: .seconds(2)) == ["event: crowd of 9 +p8 +p9"])
    }

    @Test("is reported to a new subscriber as a count without names")
    func entered() {
        var fixture = Self.fixture(present: 4)
        _ = fixture.joinAndSubscribe(makePeople(5)[4])
        #expect(fixture.lastJoinResult?.isCrowd == true)
        #expect(fixture.lastJoinResult?.present == [])
        #expect(fixture.lastJoinResult?.presentCount == 5)
    }

    @Test("lasts until there are fewer users than the lower limit")
    func hysteresis() {
        var fixture = Self.fixture(present: 4)
        for person in makePeople(4)[2...] { _ = fixture.unsubscribe(person) }
        #expect(fixture.advance(by: .seconds(10)) == ["event: crowd of 2 -p3 -p4"])
        _ = fixture.joinAndSubscribe(makePeople(1)[0])
        #expect(fixture.lastJoinResult?.isCrowd == true)
    }

    @Test("that shrinks and grows again at once receives nothing")
    func blip() {
        var fixture = Self.fixture(present: 4)
        for person in makePeople(4)[1...] { _ = fixture.unsubscribe(person) }
        for person in makePeople(4)[1...] {
            #expect(fixture.joinAndSubscribe(person) == ["answer: joined"])
        }
        #expect(fixture.advance(by: .seconds(10)) == [])
    }

    @Test("gets the names of all present users when it ends")
    func ends() {
        var fixture = Self.fixture(present: 4)
        for person in makePeople(4)[1...] { _ = fixture.unsubscribe(person) }
        #expect(fixture.advance(by: .milliseconds(1)) == ["event: presence +p1 +p2 +p3 +p4"])
        #expect(fixture.advance(by: .seconds(2)) == ["event: presence -p2 -p3 -p4"])
        _ = fixture.joinAndSubscribe(makePeople(2)[1])
        #expect(fixture.lastJoinResult?.isCrowd == false)
        #expect(fixture.lastJoinResult?.present.map(\.person) == [makePeople(1)[0]])
    }
}
