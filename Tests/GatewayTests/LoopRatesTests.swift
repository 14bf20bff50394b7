import Testing

@testable import Gateway

@Suite("What a loop measures from second to second")
struct LoopRatesTests {
    @Test("is of the last second, and nothing before the first is over")
    func rates() {
        var pace = LoopRates()
        pace.record(messagesIn: 1000, messagesOut: 5000, cpu: 9_000_000_000, turn: 1, at: 10_000)
        #expect(pace.messagesIn == 0 && pace.messagesOut == 0 && pace.cpu == 0)
        pace.record(messagesIn: 1050, messagesOut: 5500, cpu: 9_250_000_000, turn: 2, at: 11_000)
        #expect(pace.messagesIn == 50 && pace.messagesOut == 500 && pace.cpu == 0.25)
        pace.record(messagesIn: 1050, messagesOut: 5500, cpu: 9_250_000_000, turn: 2, at: 13_000)
        #expect(pace.messagesIn == 0 && pace.messagesOut == 0 && pace.cpu == 0)
    }

    @Test("keeps the longest turns of a hundred seconds and no more")
    func turns() {
        var pace = LoopRates()
        for turn in 1...250 {
            pace.record(
                messagesIn: 0, messagesOut: 0, cpu: 0, turn: UInt64(turn), at: Int64(turn) * 1000)
        }
        #expect(Set(pace.turns) == Set((151...250).map { UInt64($0) }))
    }
}
