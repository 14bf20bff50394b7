import Testing

@testable import Telemetry

@Suite("The limit for events that clients cause")
struct LogLimiterTests {
    @Test("admits some lines of each kind in a period, and counts the others")
    func limit() {
        var limiter = LogLimiter<String>(lineLimit: 3, periodMilliseconds: 1000)
        let admitted = (0..<10).map { limiter.admit("a", at: 5000 + $0) }
        #expect(admitted == [true, true, true] + Array(repeating: false, count: 7))
        let isOtherAdmitted = limiter.admit("b", at: 5010)
        #expect(isOtherAdmitted)
        let early = limiter.endPeriods(at: 5999)
        #expect(early.isEmpty)
        let ended = limiter.endPeriods(at: 6010)
        #expect(ended.map(\.kind) == ["a"] && ended.map(\.suppressed) == [7])
        // Each count is reported once, and the next period admits lines again.
        let again = limiter.endPeriods(at: 6020)
        #expect(again.isEmpty)
        let isNextAdmitted = limiter.admit("a", at: 6020)
        #expect(isNextAdmitted)
    }

    @Test("reports nothing for a kind without suppressed events")
    func nothingSuppressed() {
        var limiter = LogLimiter<Int>(lineLimit: 1, periodMilliseconds: 10)
        let isAdmitted = limiter.admit(1, at: 0)
        #expect(isAdmitted)
        let ended = limiter.endPeriods(at: 100)
        #expect(ended.isEmpty)
    }
}
