import Testing

@testable import NodeLink

@Suite("The clock offset of a node")
struct ClockOffsetTests {
    @Test("is unknown before the first heartbeat")
    func unknown() {
        #expect(ClockOffset().microseconds == nil)
    }

    @Test("is the difference at the middle of the most certain heartbeat")
    func mostCertain() {
        var offset = ClockOffset()
        offset.record(1_000_000, sentAt: 3_000_000, receivedAt: 3_900_000)
        offset.record(2_000_000, sentAt: 4_000_000, receivedAt: 4_000_200)
        offset.record(3_000_000, sentAt: 5_000_000, receivedAt: 5_500_000)
        #expect(offset.microseconds == 2_000_100)
    }

    @Test("is zero within its uncertainty, in both directions", arguments: [-90, 0, 90])
    func withinUncertainty(difference: Int64) {
        var offset = ClockOffset()
        offset.record(1_000_000, sentAt: 999_900 + difference, receivedAt: 1_000_100 + difference)
        #expect(offset.microseconds == 0)
    }

    @Test("follows a clock that was set: earlier heartbeats are forgotten after some")
    func adjustment() {
        var offset = ClockOffset()
        offset.record(0, sentAt: 50_000, receivedAt: 50_002)
        for beat in 1...Int64(ClockOffset.sampleLimit) {
            let time = beat * 1_000_000
            offset.record(time, sentAt: time + 9000, receivedAt: time + 9100)
        }
        #expect(offset.microseconds == 9050)
    }

    @Test("ignores a heartbeat during which the clock was set back")
    func setBack() {
        var offset = ClockOffset()
        offset.record(1_000_000, sentAt: 2_000_000, receivedAt: 1_500_000)
        #expect(offset.microseconds == nil)
    }
}
