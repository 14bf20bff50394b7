import ChatCore
import ChatSimulation
import SeededRandom
import Testing

@testable import ChatEngine

@Suite("A retry wheel")
struct RetryWheelTests {
    @Test(
        "returns each request once, not early within its range, and at most 0.1 s late",
        arguments: 0..<8 as Range<UInt64>)
    func oracle(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var wheel = RetryWheel()
        var now: Int64 = random.number(0...1_000_000)
        _ = wheel.takeDue(at: now)
        var due: [RequestID: Int64] = [:]
        var last: RequestID = 0
        for _ in 0..<400 {
            for _ in 0..<random.number(0...4) {
                last = RequestID(rawValue: last.rawValue + 1)
                due[last] = now + random.number(-50...6000)
                _ = wheel.insert(last, at: due[last]!)
            }
            now += random.pick([0, 1, 30, 100, 700, 9000])!
            let returned = wheel.takeDue(at: now).map(\.id)
            #expect(Set(returned).count == returned.count)
            for id in returned { #expect(due.removeValue(forKey: id).map { $0 <= now } == true) }
            #expect(due.values.allSatisfy { $0 > now - 100 })
        }
        now += 10_000
        #expect(Set(wheel.takeDue(at: now).map(\.id)) == Set(due.keys))
        #expect(wheel.takeDue(at: now + 10_000).isEmpty)
    }

    @Test("returns a request beyond its range early, and never loses it")
    func beyondRange() {
        var wheel = RetryWheel()
        _ = wheel.takeDue(at: 1000)
        _ = wheel.insert(1, at: .max / 2)
        let seen = stride(from: Int64(1100), through: 8000, by: 100).first {
            !wheel.takeDue(at: $0).isEmpty
        }
        #expect(seen == 7400)
    }

    @Test("returns each request with its bucket")
    func buckets() {
        var wheel = RetryWheel()
        let first = wheel.insert(7, at: 300)
        let second = wheel.insert(7, at: 500)
        #expect(first != second)
        #expect(wheel.takeDue(at: 400).map(\.bucket) == [first])
        #expect(wheel.takeDue(at: 500).map(\.bucket) == [second])
    }

    @Test("processes each tenth of a second once")
    func once() {
        var wheel = RetryWheel()
        _ = wheel.insert(1, at: 200)
        #expect(wheel.takeDue(at: 199).isEmpty)
        #expect(wheel.takeDue(at: 200).map(\.id) == [1])
        #expect(wheel.takeDue(at: 200).isEmpty)
        // A time in the past is due in the next tenth.
        _ = wheel.insert(2, at: 0)
        #expect(wheel.takeDue(at: 250).isEmpty)
        #expect(wheel.takeDue(at: 300).map(\.id) == [2])
    }
}
