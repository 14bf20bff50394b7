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
        let outcome = Simulation.play(seed)
        if outcome.violation != nil {
            let lines = SimulationSeeds.only == nil ? outcome.log.suffix(200) : outcome.log[...]
            let hint =
                lines.count < outcome.log.count
                ? ", its end; CONFAB_SIMULATION_SEED=\(seed) tells all of it" : ""
            print("The story of seed \(seed)\(hint):")
            for line in lines { print(line) }
        }
        #expect(outcome.violation == nil)
        #expect(outcome.answers > 0)
    }

    @Test("The same seed has the same log")
    func repetition() {
        let tellings = (0..<2).map { _ in Simulation(seed: 7, isLogged: true).run().log }
        #expect(tellings[0] == tellings[1])
        #expect(tellings[0].count > 100)
    }
}
