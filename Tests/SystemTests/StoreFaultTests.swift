import ClusterTorture
import TestKit
import Testing

extension TortureSuites {
    /// As `ClusterFaultTests`, with replicas: `script/torture --store sentinel` and
    /// `--store cluster`, with the loss of a master, or for 30 s with several faults.
    @Suite("a cluster on a replicated Redis keeps its guarantees")
    struct StoreFaultTests {
        /// Without `failover`, which may lose messages while shards are moving; docs/reliability.md
        /// describes that limit.
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

        @Test("through lost masters and moving slots", arguments: Self.stores)
        func survives(_ store: StoreMode, _ faults: [StoreFault]) throws {
            var settings = TortureSettings(seed: 1)
            settings.store = store
            settings.conversations = 6
            let torture = try Torture(settings)
            try torture.start()

            // Nil after 30 s without messages; the result then names the conversations that hang.
            for fault in TestRun.isLong ? faults : Array(faults.prefix(1)) {
                #expect(try torture.inject(.store(fault)) != nil, "\(fault)")
            }
            let result = try torture.finishKeepingLogs()

            #expect(result.violations == [])
            #expect(result.messages >= 2 * settings.conversations)
            // The master dies between a message and its edit or deletion.
            #expect(result.counts.amended > 0)
            guard TestRun.isLong else { return }
            #expect(result.messages > 100)
            #expect(result.counts.amended > 10)
        }
    }
}
