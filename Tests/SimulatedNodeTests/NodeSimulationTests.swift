import Foundation
import SimulatedNodes
import TestKit
import TestTraits
import Testing

@Suite("Simulated nodes", .ownThread)
struct NodeSimulationTests {
    private func play(
        _ seed: UInt64, _ change: (inout NodeSimulation.SimulationSettings) -> Void,
        _ prepare: (NodeSimulation) -> Void = { _ in }
    ) throws -> NodeSimulation.TrialOutcome {
        var settings = NodeSimulation.SimulationSettings()
        change(&settings)
        let simulation = NodeSimulation(seed: seed, settings)
        prepare(simulation)
        return try simulation.play()
    }

    @Test("serve a user alone")
    func alone() throws {
        let outcome = try self.play(1) {
            $0.nodes = 1
            $0.users = 1...1
            $0.hasFaults = false
            $0.seconds = 20
        }
        #expect(outcome.violation == nil)
        #expect(outcome.messages >= 8)
        #expect(outcome.connections == 2, "the user and the observer")
    }

    @Test("serve the users of three nodes, who never lose a connection without a fault")
    func cluster() throws {
        let outcome = try self.play(2) {
            $0.users = 6...6
            $0.hasFaults = false
            $0.seconds = 30
        }
        #expect(outcome.violation == nil)
        #expect(outcome.messages >= 80)
        #expect((7...9).contains(outcome.connections), "each user and each observer has one")
    }

    @Test("are judged: a Redis that loses its data breaks a promise")
    func judged() throws {
        let outcome = try self.play(3) {
            $0.hasFaults = false
            $0.seconds = 40
        } _: { simulation in
            simulation.loseData(after: 20)
        }
        #expect(outcome.violation != nil)
    }

    /// A node that was cut off does not know what another one, whose clock is ahead, has stored
    /// meanwhile. It must not tell a user who knows more that the history was reset.
    @Test("never report a reset of the history when the clocks of nodes differ", arguments: 1...2)
    func clocks(seed: UInt64) throws {
        let outcome = try self.play(seed) {
            $0.nodes = 2
            $0.hasFaults = false
            $0.seconds = 40
        } _: { simulation in
            simulation.isolateSecondNode(after: 15)
        }
        #expect(outcome.violation == nil)
    }

    /// Runs the program, which has the same order of all dictionaries in each run.
    private func trials(_ arguments: String...) throws -> String {
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let program = URL(filePath: own).deletingLastPathComponent().appending(path: "NodeTrials")
        return try run(program.path, arguments, within: .seconds(600)).output
    }

    @Test("keep their promises with faults of links, clocks, nodes and Redis")
    func faults() throws {
        let output = try self.trials("seeds", "3", "1")
        #expect(output.contains("3 seeds"), "\(output)")
    }

    @Test("keep their promises with faults that differ for each commit", .long)
    func manyFaults() throws {
        let first = ProcessInfo.processInfo.environment["CONFAB_SIMULATION_FIRST"] ?? "4"
        let output = try self.trials("seeds", "20", first)
        #expect(output.contains("20 seeds"), "\(output)")
    }

    @Test("send the same bytes at the same times for the same seed")
    func determinism() throws {
        let first = try self.trials("seeds", "1", "7")
        #expect(first.contains("hash"))
        #expect(try self.trials("seeds", "1", "7") == first)
        #expect(try self.trials("seeds", "1", "8") != first)
    }
}
