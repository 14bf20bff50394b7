import ChatModel
import ChatSimulation
import SeededRandom
import Testing

@testable import ChatCore

private let loops = (0..<5).map { LoopID(incarnation: 1, loop: UInt16($0)) }

@Suite("The loops of a user")
struct LoopSetTests {
    @Test("behave like a set", arguments: [1, 2] as [UInt64])
    func oracle(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var set = LoopSet()
        var oracle = Set<LoopID>()
        for _ in 0..<1000 {
            let loop = loops[random.number(0...4)]
            if random.happens(perMille: 500) {
                set.insert(loop)
                oracle.insert(loop)
            } else {
                set.remove(loop)
                oracle.remove(loop)
            }
            #expect(set.isEmpty == oracle.isEmpty)
            #expect(loops.filter(set.contains) == loops.filter(oracle.contains))
            var visited: [LoopID] = []
            set.forEach { visited.append($0) }
            #expect(visited.count == oracle.count)
            #expect(Set(visited) == oracle)
        }
    }
}

@Suite("The subscribed loops")
struct SubscriberLoopsTests {
    @Test("have the feed slot that each reported last", arguments: [1, 2] as [UInt64])
    func oracle(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var subscribers = SubscriberLoops()
        var oracle: [LoopID: UInt32] = [:]
        for feedSlot in 0..<UInt32(1000) {
            let loop = loops[random.number(0...4)]
            if random.happens(perMille: 500) {
                subscribers.insert(loop, feedSlot: feedSlot, attachedAtRevision: 0)
                oracle[loop] = feedSlot
            } else {
                subscribers.remove(loop)
                oracle[loop] = nil
            }
            #expect(subscribers.isEmpty == oracle.isEmpty)
            #expect(subscribers.count == oracle.count)
            #expect(loops.filter(subscribers.contains) == loops.filter { oracle[$0] != nil })
            let pairs = (0..<subscribers.count).map {
                (subscribers[$0].loop, subscribers[$0].feedSlot)
            }
            #expect(Dictionary(pairs) { first, _ in first } == oracle)
        }
    }
}
