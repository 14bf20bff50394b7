import Testing

@testable import Gateway

@Suite("A loop's rates")
struct LoopRatesTests {
    @Test("are those of the last second, and zero before the first has ended")
    func rates() {
        var rates = LoopRates()
        rates.record(messagesIn: 1000, messagesOut: 5000, cpu: 9_000_000_000, turn: 1, at: 10_000)
        #expect(rates.messagesIn == 0 && rates.messagesOut == 0 && rates.cpu == 0)
        rates.record(messagesIn: 1050, messagesOut: 5500, cpu: 9_250_000_000, turn: 2, at: 11_000)
        #expect(rates.messagesIn == 50 && rates.messagesOut == 500 && rates.cpu == 0.25)
        rates.record(messagesIn: 1050, messagesOut: 5500, cpu: 9_250_000_000, turn: 2, at: 13_000)
        #expect(rates.messagesIn == 0 && rates.messagesOut == 0 && rates.cpu == 0)
    }

    @Test("keep the longest turns of the last hundred seconds")
    func turns() {
        var rates = LoopRates()
        for turn in 1...250 {
            rates.record(
                messagesIn: 0, messagesOut: 0, cpu: 0, turn: UInt64(turn), at: Int64(turn) * 1000)
        }
        #expect(Set(rates.turns) == Set((151...250).map { UInt64($0) }))
    }
}
