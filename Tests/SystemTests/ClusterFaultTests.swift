import ClusterTorture
import TestKit
import TestTraits
import Testing

extension TortureSuites {
    /// Short runs of `script/torture`, with the same checker.
    @Suite("a cluster keeps its guarantees")
    struct ClusterFaultTests {
        private static let usualFaults: [ClusterFault] = [
            .kill("n2", restartAfter: .seconds(1)),
            .store(.restart(after: .seconds(1))),
            .cut("n1", .halfOpen(.both), for: .seconds(4)),
        ]
        private static let otherFaults: [ClusterFault] = [
            .freeze("n3", for: .seconds(4)),
            .drain("n1"),
            .join("n4"),
            .leave("n2"),
            .store(.freeze(0, for: .seconds(3))),
            .store(.pubsubKill),
            .cut("n2", .reset, for: .seconds(2)),
            .cut("n2", .halfOpen(.toServer), for: .seconds(4)),
            .cut("n3", .halfOpen(.toClient), for: .seconds(4)),
            .cut("n1", .stalled(.toServer), for: .seconds(2)),
            .cut("n2", .slow(.both, .milliseconds(100)), for: .seconds(3)),
        ]
        static let faults = usualFaults + (TestRun.isLong ? otherFaults : [])

        @Test("through a fault", arguments: Self.faults)
        func survives(_ fault: ClusterFault) throws {
            var settings = TortureSettings(seed: 1)
            settings.conversations = 6
            let torture = try Torture(settings)
            try torture.start()

            // Nil after 30 s without messages; the result then names the conversations that hang.
            let gap = try torture.inject(fault)
            let result = try torture.finishKeepingLogs()

            #expect(gap != nil)
            #expect(result.violations == [])
            // Each conversation has stored one message at the start and one after the fault. Some
            // faults end at once.
            #expect(result.messages >= 2 * settings.conversations)
        }

        @Test("through restarts of a Redis that syncs its file every second", .long)
        func everySecondSync() throws {
            var settings = TortureSettings(seed: 2)
            settings.conversations = 6
            #expect(settings.appendfsync == "everysec")
            let torture = try Torture(settings)
            try torture.start()
            #expect(try torture.inject(.store(.restart(after: .seconds(1)))) != nil)
            #expect(
                try torture.inject(.store(.kill(0, restartAfter: .seconds(1), .immediately))) != nil
            )
            #expect(try torture.finishKeepingLogs().violations == [])
        }

        @Test("beside another cluster on the same Redis", .long)
        func twoClusters() throws {
            var settings = TortureSettings(seed: 2)
            settings.conversations = 4
            settings.hasBackgroundCluster = true
            let torture = try Torture(settings)
            try torture.start()
            try torture.inject(.twoClusters)
            try torture.inject(.restartAll(isKilled: true))
            #expect(try torture.finishKeepingLogs().violations == [])
        }
    }
}
