import Bytes
import SeededRandom
import Testing

@Suite("Timers of slots")
struct SlotTimersTests {
    @Test(
        "fire like a plain list: the earliest of a slot, none early, none lost, in order",
        arguments: 0..<8 as Range<UInt64>, [1, 100] as [Int64])
    func oracle(seed: UInt64, millisecondsPerTick: Int64) {
        var random = SeededGenerator(seed: seed)
        var timers = SlotTimers(millisecondsPerTick: millisecondsPerTick)
        var now: Int64 = random.number(0...1_000_000)
        _ = timers.takeDue(at: now)
        /// The end of the tick in which the slot's timer fires.
        var due: [UInt32: Int64] = [:]
        for _ in 0..<600 {
            for _ in 0..<random.number(0...5) {
                let slot = UInt32(random.number(0...80))
                let time =
                    now + random.pick([random.number(-50...300), random.number(0...90_000)])!
                timers.schedule(slot, at: time)
                let tick = (time + millisecondsPerTick - 1) / millisecondsPerTick
                let end = max(tick, now / millisecondsPerTick + 1) * millisecondsPerTick
                due[slot] = min(end, due[slot] ?? .max)
            }
            now += random.pick([0, 1, 30, 100, 700, 9000])!
            let fired = timers.takeDue(at: now)
            #expect(Set(fired).count == fired.count)
            #expect(Set(fired) == Set(due.filter { $0.value <= now }.keys))
            let times = fired.compactMap { due[$0] }
            #expect(times == times.sorted())
            for slot in fired { due[slot] = nil }
        }
        #expect(Set(timers.takeDue(at: now + 200_000)) == Set(due.keys))
        #expect(timers.takeDue(at: now + 400_000).isEmpty)
    }

    @Test("a slot's timer fires once, at the earliest time that was set")
    func earliest() {
        var timers = SlotTimers(millisecondsPerTick: 1)
        timers.schedule(5, at: 300)
        timers.schedule(5, at: 100)
        timers.schedule(5, at: 200)
        #expect(timers.takeDue(at: 99).isEmpty)
        #expect(timers.takeDue(at: 100) == [5])
        #expect(timers.takeDue(at: 1000).isEmpty, "the replaced entry at 300 is outdated")
        timers.schedule(5, at: 1200)
        #expect(timers.takeDue(at: 1200) == [5])
    }

    @Test("a replaced entry fires if the slot's next timer is at the same time")
    func sameTime() {
        var timers = SlotTimers(millisecondsPerTick: 1)
        timers.schedule(5, at: 300)
        timers.schedule(5, at: 100)
        #expect(timers.takeDue(at: 100) == [5])
        timers.schedule(5, at: 300)
        #expect(timers.takeDue(at: 300) == [5])
        #expect(timers.takeDue(at: 400).isEmpty)
    }

    @Test("each tick is processed once; a time in the past is due in the next one")
    func once() {
        var timers = SlotTimers(millisecondsPerTick: 100)
        timers.schedule(1, at: 200)
        #expect(timers.takeDue(at: 199).isEmpty)
        #expect(timers.takeDue(at: 200) == [1])
        #expect(timers.takeDue(at: 200).isEmpty)
        timers.schedule(2, at: 0)
        #expect(timers.takeDue(at: 250).isEmpty)
        #expect(timers.takeDue(at: 300) == [2])
    }

    @Test(
        "are exact after a start at any time, before or after the first timer",
        arguments: [0, 1 << 30, 1 << 31, 1 << 32, 1 << 40] as [Int64])
    func start(time: Int64) {
        var timers = SlotTimers(millisecondsPerTick: 1)
        timers.schedule(1, at: time + 5000)
        // The first timer may fire early, because the timers did not know the time yet.
        if timers.takeDue(at: time) == [1] { timers.schedule(1, at: time + 5000) }
        timers.schedule(2, at: time + 6000)
        #expect(timers.takeDue(at: time + 4999).isEmpty)
        #expect(timers.takeDue(at: time + 5000) == [1])
        #expect(timers.takeDue(at: time + 5999).isEmpty)
        #expect(timers.takeDue(at: time + 6000) == [2])
    }

    @Test("a time beyond their reach fires early, and is never lost")
    func beyondReach() {
        var timers = SlotTimers(millisecondsPerTick: 100)
        _ = timers.takeDue(at: 1000)
        timers.schedule(1, at: .max - 1)
        timers.schedule(2, at: 2000)
        #expect(timers.takeDue(at: 2000) == [2])
        #expect(timers.takeDue(at: 1 << 50) == [1])
    }
}
