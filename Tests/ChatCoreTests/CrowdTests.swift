import ChatModel
import Testing

@testable import ChatCore

@Suite("A crowd")
struct CrowdTests {
    /// Ten members; above three it is a crowd, until there are fewer than two.
    private static func fixture(present count: Int, changes: Int = 100) -> ConversationFixture {
        var limits = ChatLimits()
        (limits.crowdAbove, limits.crowdEndsBelow, limits.crowdChangeLimit) = (3, 2, changes)
        var stage = ConversationFixture(of: makePeople(10), limits)
        for person in makePeople(count) { _ = stage.joinAndSubscribe(person) }
        _ = stage.advance(by: .seconds(10))
        return stage
    }

    @Test("begins above the limit and hears numbers")
    func begins() {
        var stage = Self.fixture(present: 3)
        #expect(
            stage.joinAndSubscribe(makePeople(4)[3]) == [
                "event: crowd of 4 +p4", "answer: entered",
            ])
    }

    @Test("hears of itself every 2 s at most")
    func interval() {
        var stage = Self.fixture(present: 4)
        #expect(
            stage.joinAndSubscribe(makePeople(5)[4]) == [
                "event: crowd of 5 +p5", "answer: entered",
            ])
        _ = stage.advance(by: .milliseconds(1))
        #expect(stage.joinAndSubscribe(makePeople(6)[5]) == ["answer: entered"])
        #expect(stage.joinAndSubscribe(makePeople(7)[6]) == ["answer: entered"])
        #expect(stage.advance(by: .milliseconds(1998)) == [])
        #expect(stage.advance(by: .milliseconds(1)) == ["event: crowd of 7 +p6 +p7"])
    }

    @Test("hears of the newest changes only, and of the number of all")
    func changes() {
        var stage = Self.fixture(present: 4, changes: 2)
        _ = stage.joinAndSubscribe(makePeople(5)[4])
        for person in makePeople(9)[5...] { _ = stage.joinAndSubscribe(person) }
        #expect(stage.advance(by: .seconds(2)) == ["event: crowd of 9 +p8 +p9"])
    }

    @Test("is told to whom comes in as a number without names")
    func entered() {
        var stage = Self.fixture(present: 4)
        _ = stage.joinAndSubscribe(makePeople(5)[4])
        #expect(stage.lastJoinResult?.isCrowd == true)
        #expect(stage.lastJoinResult?.present == [])
        #expect(stage.lastJoinResult?.presentCount == 5)
    }

    @Test("stays one until there are fewer than the lower limit")
    func hysteresis() {
        var stage = Self.fixture(present: 4)
        for person in makePeople(4)[2...] { _ = stage.unsubscribe(person) }
        #expect(stage.advance(by: .seconds(10)) == ["event: crowd of 2 -p3 -p4"])
        _ = stage.joinAndSubscribe(makePeople(1)[0])
        #expect(stage.lastJoinResult?.isCrowd == true)
    }

    @Test("that is one again at once hears nothing of it")
    func blip() {
        var stage = Self.fixture(present: 4)
        for person in makePeople(4)[1...] { _ = stage.unsubscribe(person) }
        for person in makePeople(4)[1...] {
            #expect(stage.joinAndSubscribe(person) == ["answer: entered"])
        }
        #expect(stage.advance(by: .seconds(10)) == [])
    }

    @Test("names everybody when it is one no more")
    func ends() {
        var stage = Self.fixture(present: 4)
        for person in makePeople(4)[1...] { _ = stage.unsubscribe(person) }
        #expect(stage.advance(by: .milliseconds(1)) == ["event: presence +p1 +p2 +p3 +p4"])
        #expect(stage.advance(by: .seconds(2)) == ["event: presence -p2 -p3 -p4"])
        _ = stage.joinAndSubscribe(makePeople(2)[1])
        #expect(stage.lastJoinResult?.isCrowd == false)
        #expect(stage.lastJoinResult?.present.map(\.person) == [makePeople(1)[0]])
    }
}
