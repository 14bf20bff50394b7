import ChatSimulation
import Foundation
import TestKit
import TestTraits
import Testing

/// The seeds: `CONFAB_SIMULATION_SEED=17` runs and logs one, `CONFAB_SIMULATION_SEEDS=5000` runs
/// that many. `CONFAB_SIMULATION_FIRST` is the first of the ten of an everyday run; `script/test`
/// derives it from the commit, so that the runs of many commits try many seeds.
enum SimulationSeeds {
    static let only = number("CONFAB_SIMULATION_SEED")

    static let all: [UInt64] = {
        if let only { return [only] }
        let count = Self.number("CONFAB_SIMULATION_SEEDS") ?? (TestRun.isLong ? 50 : nil)
        if let count { return Array(1...max(1, count)) }
        let first = Self.number("CONFAB_SIMULATION_FIRST") ?? 1
        print("The simulation plays the seeds \(first)...\(first &+ 9).")
        return (0..<10).map { first &+ $0 }
    }()

    private static func number(_ variable: String) -> UInt64? {
        ProcessInfo.processInfo.environment[variable].flatMap { UInt64($0) }
    }
}

@Suite("Simulation", .ownThread)
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
