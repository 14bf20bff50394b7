import ChatModel
import Testing

@testable import ChatCore

@Suite("A crowd")
struct CrowdTests {
    /// Ten members; above three it is a crowd, until there are fewer than two.
    private static func stage(there count: Int, changes: Int = 100) -> Stage {
        var limits = ChatLimits()
        (limits.crowdAbove, limits.crowdUntil, limits.crowdChanges) = (3, 2, changes)
        var stage = Stage(of: crowd(10), limits)
        for person in crowd(count) { _ = stage.enter(person) }
        _ = stage.pass(.seconds(10))
        return stage
    }

    @Test("begins above the limit and hears numbers")
    func begins() {
        var stage = Self.stage(there: 3)
        #expect(stage.enter(crowd(4)[3]) == ["event: crowd of 4 +p4", "answer: entered"])
    }

    @Test("hears of itself every 2 s at most")
    func interval() {
        var stage = Self.stage(there: 4)
        #expect(stage.enter(crowd(5)[4]) == ["event: crowd of 5 +p5", "answer: entered"])
        _ = stage.pass(.milliseconds(1))
        #expect(stage.enter(crowd(6)[5]) == ["answer: entered"])
        #expect(stage.enter(crowd(7)[6]) == ["answer: entered"])
        #expect(stage.pass(.milliseconds(1998)) == [])
        #expect(stage.pass(.milliseconds(1)) == ["event: crowd of 7 +p6 +p7"])
    }

    @Test("hears of the newest changes only, and of the number of all")
    func changes() {
        var stage = Self.stage(there: 4, changes: 2)
        _ = stage.enter(crowd(5)[4])
        for person in crowd(9)[5...] { _ = stage.enter(person) }
        #expect(stage.pass(.seconds(2)) == ["event: crowd of 9 +p8 +p9"])
    }

    @Test("is told to whom comes in as a number without names")
    func entered() {
        var stage = Self.stage(there: 4)
        _ = stage.enter(crowd(5)[4])
        #expect(stage.entered?.isCrowd == true)
        #expect(stage.entered?.present == [])
        #expect(stage.entered?.presentCount == 5)
    }

    @Test("stays one until there are fewer than the lower limit")
    func stays() {
        var stage = Self.stage(there: 4)
        for person in crowd(4)[2...] { _ = stage.leave(person) }
        #expect(stage.pass(.seconds(10)) == ["event: crowd of 2 -p3 -p4"])
        _ = stage.enter(crowd(1)[0])
        #expect(stage.entered?.isCrowd == true)
    }

    @Test("that is one again at once hears nothing of it")
    func blip() {
        var stage = Self.stage(there: 4)
        for person in crowd(4)[1...] { _ = stage.leave(person) }
        for person in crowd(4)[1...] { #expect(stage.enter(person) == ["answer: entered"]) }
        #expect(stage.pass(.seconds(10)) == [])
    }

    @Test("names everybody when it is one no more")
    func ends() {
        var stage = Self.stage(there: 4)
        for person in crowd(4)[1...] { _ = stage.leave(person) }
        #expect(stage.pass(.milliseconds(1)) == ["event: presence +p1 +p2 +p3 +p4"])
        #expect(stage.pass(.seconds(2)) == ["event: presence -p2 -p3 -p4"])
        _ = stage.enter(crowd(2)[1])
        #expect(stage.entered?.isCrowd == false)
        #expect(stage.entered?.present.map(\.person) == [crowd(1)[0]])
    }
}
