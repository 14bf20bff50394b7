import Bytes
import SeededRandom
import Testing

@Suite("A timer wheel")
struct TimerWheelTests {
    @Test(
        "fires the same timers as a plain list, at the same ticks",
        arguments: 0..<8 as Range<UInt64>)
    func oracle(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var now = UInt32.random(in: 0...1_000_000, using: &random)
        var wheel = TimerWheel(tick: now)
        var due: [TimerWheel.Entry: UInt32] = [:]
        var made: UInt32 = 0
        let reaches: [UInt32] = [1, 63, 64, 65, 4095, 4096, 4097, 300_000]
        let steps: [UInt32] = [1, 3, 64, 5000]
        for round in 0..<200 as Range<UInt32> {
            for _ in 0..<Int.random(in: 0...10, using: &random) {
                let entry = TimerWheel.Entry(index: made, generation: round)
                made += 1
                let tick =
                    now
                    + UInt32.random(in: 0...reaches.randomElement(using: &random)!, using: &random)
                wheel.schedule(entry.index, generation: entry.generation, at: tick)
                due[entry] = max(tick, now + 1)
            }
            now += UInt32.random(in: 0...steps.randomElement(using: &random)!, using: &random)
            var expired: [TimerWheel.Entry] = []
            wheel.advance(to: now, into: &expired)

            #expect(Set(expired) == Set(due.filter { $0.value <= now }.keys))
            let ticks = expired.compactMap { due[$0] }
            #expect(ticks == ticks.sorted())
            for entry in expired { due[entry] = nil }
            #expect(wheel.count == due.count)
            #expect(wheel.tick == now)
        }
    }

    @Test("fires at the exact tick, for every position on its wheels")
    func exactTick() {
        for distance in [
            1, 2, 63, 64, 65, 127, 128, 4032, 4095, 4096, 4159, 262_143, 262_144, 262_145,
        ] as [UInt32] {
            for start in [0, 1, 63, 64, 4095, 262_100] as [UInt32] {
                var wheel = TimerWheel(tick: start)
                var expired: [TimerWheel.Entry] = []
                wheel.schedule(distance, generation: start, at: start + distance)
                wheel.advance(to: start + distance - 1, into: &expired)
                #expect(expired.isEmpty)
                wheel.advance(to: start + distance, into: &expired)
                #expect(expired == [TimerWheel.Entry(index: distance, generation: start)])
            }
        }
    }

    @Test(
        "keeps timers beyond the horizon of its wheels",
        arguments: [1 << 24 - 1, 1 << 24, 1 << 24 + 1, 3 << 24 + 12_345] as [UInt32])
    func beyondHorizon(distance: UInt32) {
        var wheel = TimerWheel(tick: 77)
        wheel.schedule(1, generation: 2, at: 77 + distance)
        var expired: [TimerWheel.Entry] = []
        wheel.advance(to: 77 + distance - 1, into: &expired)
        #expect(expired.isEmpty)
        wheel.advance(to: 77 + distance, into: &expired)
        #expect(expired == [TimerWheel.Entry(index: 1, generation: 2)])
        #expect(wheel.count == 0)
    }

    @Test("fires in order where its ticks wrap around", arguments: [1, 64, 5000] as [UInt32])
    func wrapAround(step: UInt32) {
        let start = UInt32.max - 3000
        var wheel = TimerWheel(tick: start)
        let distances: [UInt32] = [1, 2999, 3000, 3001, 3002, 7000, 300_000]
        for distance in distances {
            wheel.schedule(distance, generation: 1, at: start &+ distance)
        }
        // A tick in the past, from before the wrap.
        wheel.schedule(0, generation: 1, at: start &- 1)
        var expired: [TimerWheel.Entry] = []
        var advanced: UInt32 = 0
        while advanced < 300_000 {
            advanced += step
            wheel.advance(to: start &+ advanced, into: &expired)
            #expect(
                Set(expired.map(\.index)).subtracting([0])
                    == Set(distances.filter { $0 <= advanced }))
        }
        #expect(Set(expired.prefix(2).map(\.index)) == [0, 1])
        #expect(expired.dropFirst(2).map(\.index) == Array(distances.dropFirst()))
    }
}
