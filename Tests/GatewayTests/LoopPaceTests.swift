import Testing

@testable import Gateway

@Suite("What a loop measures from second to second")
struct LoopPaceTests {
    @Test("is of the last second, and nothing before the first is over")
    func rates() {
        var pace = LoopPace()
        pace.note(into: 1000, out: 5000, cpu: 9_000_000_000, turn: 1, at: 10_000)
        #expect(pace.messagesIn == 0 && pace.messagesOut == 0 && pace.cpu == 0)
        pace.note(into: 1050, out: 5500, cpu: 9_250_000_000, turn: 2, at: 11_000)
        #expect(pace.messagesIn == 50 && pace.messagesOut == 500 && pace.cpu == 0.25)
        pace.note(into: 1050, out: 5500, cpu: 9_250_000_000, turn: 2, at: 13_000)
        #expect(pace.messagesIn == 0 && pace.messagesOut == 0 && pace.cpu == 0)
    }

    @Test("keeps the longest turns of a hundred seconds and no more")
    func turns() {
        var pace = LoopPace()
        for turn in 1...250 { pace.note(into: 0, out: 0, cpu: 0, turn: UInt64(turn), at: Int64(turn) * 1000) }
        #expect(Set(pace.turns) == Set((151...250).map { UInt64($0) }))
    }
}
