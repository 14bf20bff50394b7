import ChatCore
import ChatSimulation
import SeededRandom
import Testing

@testable import Cluster

@Suite("A retry wheel")
struct RetryWheelTests {
    @Test(
        "returns each request once, not early within its range, and at most 0.1 s late",
        arguments: 0..<8 as Range<UInt64>)
    func oracle(seed: UInt64) {
        var chance = SeededGenerator(seed: seed)
        var table = RetryWheel()
        var now: Int64 = chance.number(0...1_000_000)
        _ = table.takeDue(at: now)
        var due: [RequestID: Int64] = [:]
        var last: RequestID = 0
        for _ in 0..<400 {
            for _ in 0..<chance.number(0...4) {
                last += 1
                due[last] = now + chance.number(-50...6000)
                _ = table.insert(last, at: due[last]!)
            }
            now += chance.pick([0, 1, 30, 100, 700, 9000])!
            let given = table.takeDue(at: now).map(\.id)
            #expect(Set(given).count == given.count)
            for id in given { #expect(due.removeValue(forKey: id).map { $0 <= now } == true) }
            #expect(due.values.allSatisfy { $0 > now - 100 })
        }
        now += 10_000
        #expect(Set(table.takeDue(at: now).map(\.id)) == Set(due.keys))
        #expect(table.takeDue(at: now + 10_000).isEmpty)
    }

    @Test("returns a request beyond its range early, and never loses it")
    func beyondRange() {
        var table = RetryWheel()
        _ = table.takeDue(at: 1000)
        _ = table.insert(1, at: .max / 2)
        let seen = stride(from: Int64(1100), through: 8000, by: 100).first {
            !table.takeDue(at: $0).isEmpty
        }
        #expect(seen == 7400)
    }

    @Test("returns each request with its bucket")
    func buckets() {
        var table = RetryWheel()
        let first = table.insert(7, at: 300)
        let second = table.insert(7, at: 500)
        #expect(first != second)
        #expect(table.takeDue(at: 400).map(\.bucket) == [first])
        #expect(table.takeDue(at: 500).map(\.bucket) == [second])
    }

    @Test("processes each tenth of a second once")
    func once() {
        var table = RetryWheel()
        _ = table.insert(1, at: 200)
        #expect(table.takeDue(at: 199).isEmpty)
        #expect(table.takeDue(at: 200).map(\.id) == [1])
        #expect(table.takeDue(at: 200).isEmpty)
        // A time in the past is due in the next tenth.
        _ = table.insert(2, at: 0)
        #expect(table.takeDue(at: 250).isEmpty)
        #expect(table.takeDue(at: 300).map(\.id) == [2])
    }
}
