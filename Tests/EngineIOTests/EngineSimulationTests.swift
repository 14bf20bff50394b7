import EngineIO
import Testing

@Suite("An Engine.IO session with a correct client")
struct EngineSimulationTests {
    @Test(
        "loses, repeats and reorders no message, over polling and across upgrades",
        arguments: 0..<200 as Range<UInt64>)
    func order(_ seed: UInt64) {
        var trial = EngineSimulation(seed: seed)
        trial.run(steps: 400)
        #expect(trial.failure == nil, "seed \(seed)")
    }

    @Test("is tested with upgrades that succeed and upgrades that fail")
    func coverage() {
        var upgrades = 0
        var losses = 0
        var most = 0
        for seed in 0..<50 as Range<UInt64> {
            var trial = EngineSimulation(seed: seed)
            trial.run(steps: 400)
            upgrades += trial.upgradeCount
            losses += trial.lostProbeCount
            most = max(most, trial.maxWaitingPackets)
        }
        #expect(upgrades > 25 && losses > 25 && most > 100, "\(upgrades) \(losses) \(most)")
    }
}
