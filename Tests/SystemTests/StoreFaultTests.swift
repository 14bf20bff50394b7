import ClusterTorture
import TestKit
import Testing

/// As `ClusterFaultTests`, where Redis has replicas: half a minute of `script/torture --store sentinel` and `--store cluster` each.
@Suite("A cluster on a Redis with replicas keeps its promises", .serialized)
struct StoreFaultTests {
    /// Without `failover`, of which docs/reliability.md tells the limit: while shards still move to their nodes it may lose something.
    static let stores: [(StoreMode, [StoreFault])] = [
        (
            .sentinel,
            [
                .kill(1, restartAfter: .milliseconds(500), .beforeAmendment),
                .pubsubKill,
            ]
        ),
        (
            .cluster,
            [
                .kill(0, restartAfter: .milliseconds(500), .beforeAmendment),
                .clusterFailover(1, .immediately),
                .reshard(from: 2, to: 1, pause: .milliseconds(50)),
                .clusterFailover(0, .beforeAmendment),
            ]
        ),
    ]

    @Test("through the loss of masters and moves of slots", arguments: Self.stores)
    func survives(_ store: StoreMode, _ faults: [StoreFault]) throws {
        var settings = TortureSettings(seed: 1)
        settings.store = store
        settings.conversations = 6
        let torture = try Torture(settings)
        try torture.start()

        // Nil after half a minute: then something hangs, and the verdict says what.
        for fault in faults { #expect(try torture.inject(.store(fault)) != nil, "\(fault)") }
        let verdict = try torture.finish()

        #expect(verdict.violations == [])
        #expect(verdict.messages > 100)
        #expect(verdict.counts.amended > 10)
    }
}
