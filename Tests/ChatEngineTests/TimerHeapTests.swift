import ChatSimulation
import SeededRandom
import Testing

@testable import ChatEngine

@Suite("A timer heap")
struct TimerHeapTests {
    @Test(
        "returns entries like a sorted list: earliest first, none early, none lost",
        arguments: 0..<8 as Range<UInt64>)
    func oracle(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var timers = TimerHeap()
        var waiting: [(time: Int64, slot: UInt32)] = []
        var now: Int64 = 0
        for round in 0..<300 as Range<UInt32> {
            for number in 0..<UInt32(random.number(0...5)) {
                let entry = (time: now + random.number(0...40), slot: round * 10 + number)
                waiting.append(entry)
                timers.insert(.init(time: entry.time, slot: entry.slot, generation: 3))
            }
            now += random.number(0...20)
            var popped: [(time: Int64, slot: UInt32)] = []
            while let entry = timers.popDue(at: now) { popped.append((entry.time, entry.slot)) }
            #expect(popped.map(\.time) == waiting.map(\.time).filter { $0 <= now }.sorted())
            #expect(Set(popped.map(\.slot)) == Set(waiting.filter { $0.time <= now }.map(\.slot)))
            waiting.removeAll { $0.time <= now }
        }
    }

    @Test("returns an entry in its exact millisecond")
    func exact() {
        var timers = TimerHeap()
        timers.insert(.init(time: 100, slot: 5, generation: 2))
        #expect(timers.popDue(at: 99) == nil)
        let entry = timers.popDue(at: 100)
        #expect(entry?.slot == 5)
        #expect(entry?.generation == 2)
        #expect(timers.popDue(at: 1000) == nil)
    }
}
