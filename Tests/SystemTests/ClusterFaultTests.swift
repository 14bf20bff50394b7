import ClusterTorture
import TestKit
import Testing

/// A few seconds each of what `script/torture` does for hours, with the same judge. One after the other: three nodes, Redis and two
/// dozen clients are enough for the machine.
@Suite("A cluster keeps its promises", .serialized)
struct ClusterFaultTests {
    static let faults: [Fault] = [
        .kill("n2", restartAfter: .seconds(1)),
        .freeze("n3", for: .seconds(4)),
        .drain("n1"),
        .store(.restart(after: .seconds(1))),
        .store(.pubsubKill),
        .cut("n2", .cut, for: .seconds(2)),
        .cut("n1", .halfOpen(.both), for: .seconds(4)),
    ]

    @Test("through a fault", arguments: Self.faults)
    func survives(_ fault: Fault) throws {
        var settings = TortureSettings(seed: 1)
        settings.conversations = 6
        let torture = try Torture(settings)
        try torture.start()

        // Nil after half a minute: then something hangs, and the verdict says what.
        let gap = try torture.strike(fault)
        let verdict = try torture.finish()

        #expect(gap != nil)
        #expect(verdict.violations == [])
        // Every conversation has taken one at the start, and one after the fault; some faults are over in no time.
        #expect(verdict.messages >= 2 * settings.conversations)
    }

    @Test("beside another one in the same Redis")
    func twoClusters() throws {
        var settings = TortureSettings(seed: 2)
        settings.conversations = 4
        settings.hasNeighbour = true
        let torture = try Torture(settings)
        try torture.start()
        try torture.strike(.twoClusters)
        try torture.strike(.restartAll(isKilled: true))
        #expect(try torture.finish().violations == [])
    }
}
