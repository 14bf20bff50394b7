import Bytes
import Testing

@Suite("The wall clock")
struct WallClockTests {
    @Test("returns a time of day in this century")
    func now() {
        #expect(WallClock.now.text.hasPrefix("20"))
        #expect(WallClock.now > Timestamp(milliseconds: 1_700_000_000_000))
    }
}
