import EventLoop
import Testing

@Suite("The clocks")
struct ClockTests {
    @Test("go forward, and the coarse one is never ahead of the exact one")
    func monotonic() {
        let coarse = MonotonicTime.now
        let exact = MonotonicTime.exact
        let later = MonotonicTime.exact
        #expect(coarse <= exact)
        #expect(exact <= later)
        #expect(exact.since(coarse) < .seconds(10))
    }

    @Test("compute with durations")
    func durations() {
        let time = MonotonicTime(nanoseconds: 5_000_000_000)
        #expect(time.advanced(by: .milliseconds(1500)).nanoseconds == 6_500_000_000)
        #expect(time.since(MonotonicTime(nanoseconds: 7_000_000_000)) == .seconds(-2))
    }
}
