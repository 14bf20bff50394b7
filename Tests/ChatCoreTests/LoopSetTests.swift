import ChatModel
import ChatSimulation
import SeededRandom
import Testing

@testable import ChatCore

private let loops = (0..<5).map { LoopID(incarnation: 1, loop: UInt16($0)) }

@Suite("The loops of a user")
struct LoopSetTests {
    @Test("are a set, whatever comes and goes", arguments: [1, 2] as [UInt64])
    func oracle(seed: UInt64) {
        var chance = SeededGenerator(seed: seed)
        var set = LoopSet()
        var oracle = Set<LoopID>()
        for _ in 0..<1000 {
            let loop = loops[chance.number(0...4)]
            if chance.happens(perMille: 500) {
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

@Suite("The loops that listen")
struct SubscriberLoopsTests {
    @Test("are known with the place that each named last", arguments: [1, 2] as [UInt64])
    func oracle(seed: UInt64) {
        var chance = SeededGenerator(seed: seed)
        var listeners = SubscriberLoops()
        var oracle: [LoopID: UInt32] = [:]
        for place in 0..<UInt32(1000) {
            let loop = loops[chance.number(0...4)]
            if chance.happens(perMille: 500) {
                listeners.insert(loop, feedSlot: place, attachedAtRevision: 0)
                oracle[loop] = place
            } else {
                listeners.remove(loop)
                oracle[loop] = nil
            }
            #expect(listeners.isEmpty == oracle.isEmpty)
            #expect(listeners.count == oracle.count)
            #expect(loops.filter(listeners.contains) == loops.filter { oracle[$0] != nil })
            let pairs = (0..<listeners.count).map { (listeners[$0].loop, listeners[$0].feedSlot) }
            #expect(Dictionary(pairs) { first, _ in first } == oracle)
        }
    }
}
