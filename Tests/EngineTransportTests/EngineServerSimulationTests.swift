import SeededRandom
import TestTraits
import Testing

@Suite("Engine.IO servers of several loops and nodes")
struct EngineServerSimulationTests {
    @Test(
        "deliver every message once and in order, and forget the session",
        arguments: 0..<20)
    func simulation(_ seed: UInt64) {
        for run in 0..<5 { self.play(seed: seed * 1000 + UInt64(run)) }
    }

    private func play(seed: UInt64) {
        var simulation = EngineServerSimulation(seed: seed)
        simulation.run(steps: 400)
        #expect(simulation.failure == nil, "seed \(seed)")
    }

    @Test("do so in a thousand further runs", .long)
    func manySimulations() {
        for seed in UInt64(100_000)..<101_000 { self.play(seed: seed) }
    }

    @Test("are tried with lost messages, ended forwarders, upgrades and moves to another node")
    func coverage() {
        var (lost, killed, upgraded, moved) = (0, 0, 0, 0)
        for seed in UInt64(0)..<20 {
            var simulation = EngineServerSimulation(seed: seed)
            simulation.run(steps: 400)
            lost += simulation.lostMessages
            killed += simulation.killedForwarders
            upgraded += simulation.isUpgraded ? 1 : 0
            moved += simulation.hasMoved ? 1 : 0
        }
        #expect(
            lost > 100 && killed > 20 && upgraded > 5 && upgraded < 20 && moved > 3,
            """
            \(lost) messages were lost, \(killed) forwarders ended, \(upgraded) sessions \
            upgraded, and \(moved) moved
            """)
    }
}
