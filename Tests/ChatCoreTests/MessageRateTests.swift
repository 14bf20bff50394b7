import Testing

@testable import ChatCore

@Suite("The message rate of a conversation")
struct MessageRateTests {
    @Test("is the mean of the last ten seconds, for a steady sender")
    func steady() {
        var rate = MessageRate()
        // Five messages a second for a minute.
        for millisecond in stride(from: Int64(1_000_000), to: 1_060_000, by: 200) {
            rate.record(at: millisecond)
        }
        for now in stride(from: Int64(1_060_000), to: 1_061_000, by: 100) {
            #expect(abs(rate.perSecond(at: now) - 5) < 0.55, "\(now)")
        }
    }

    @Test("counts a single message for ten to twenty seconds, and then no more")
    func single() {
        var rate = MessageRate()
        #expect(rate.perSecond(at: 500_000) == 0)
        rate.record(at: 502_000)
        #expect(rate.perSecond(at: 502_000) == 0.1)
        #expect(rate.perSecond(at: 509_999) == 0.1)
        #expect(rate.perSecond(at: 515_000) == 0.05)
        #expect(rate.perSecond(at: 520_000) == 0)
        #expect(rate.perSecond(at: 600_000) == 0)
    }

    @Test("forgets a burst after a pause")
    func pause() {
        var rate = MessageRate()
        for _ in 0..<1000 { rate.record(at: 30_000) }
        #expect(rate.perSecond(at: 30_000) == 100)
        rate.record(at: 90_000)
        #expect(rate.perSecond(at: 90_000) == 0.1)
    }
}
