import ChatSimulation
import Foundation
import Testing

/// The seeds: `CONFAB_SIMULATION_SEED=17` runs and logs one, `CONFAB_SIMULATION_SEEDS=5000` runs
/// that many.
enum SimulationSeeds {
    static let only = ProcessInfo.processInfo.environment["CONFAB_SIMULATION_SEED"].flatMap {
        UInt64($0)
    }

    static var all: [UInt64] {
        if let only { return [only] }
        let count =
            ProcessInfo.processInfo.environment["CONFAB_SIMULATION_SEEDS"].flatMap { UInt64($0) }
            ?? 50
        return Array(1...max(1, count))
    }
}

@Suite("Simulation")
struct SimulationTests {
    @Test(
        "A cluster that loses, duplicates and delays envelopes keeps every promise",
        arguments: SimulationSeeds.all)
    func promises(seed: UInt64) {
        let result = Simulation.play(seed)
        if result.violation != nil {
            let lines = SimulationSeeds.only == nil ? result.log.suffix(200) : result.log[...]
            let hint =
                lines.count < result.log.count
                ? ", its end; CONFAB_SIMULATION_SEED=\(seed) tells all of it" : ""
            print("The story of seed \(seed)\(hint):")
            for line in lines { print(line) }
        }
        #expect(result.violation == nil)
        #expect(result.answers > 0)
    }

    @Test("The same seed has the same log")
    func repetition() {
        let logs = (0..<2).map { _ in Simulation(seed: 7, isLogged: true).run().log }
        #expect(logs[0] == logs[1])
        #expect(logs[0].count > 100)
    }
}
