import ClusterTorture
import TestKit
import TestTraits
import Testing

extension TortureSuites {
    /// `script/torture --hostile` without the comparison of times, which depends on the machine.
    @Suite("a hostile member and a hostile stranger", .long)
    struct HostileClientTests {
        @Test("cost the others no message, and get nothing", arguments: StoreMode.allCases)
        func loseNothing(_ store: StoreMode) throws {
            var settings = TortureSettings(seed: 2)
            settings.store = store
            settings.nodes = store.isShared ? 3 : 1
            settings.hasHostileClients = true
            let torture = try Torture(settings)
            try torture.start()
            let effect = try torture.measureHostileClients([], for: .seconds(15))
            let result = try torture.finishKeepingLogs()

            #expect(result.violations == [])
            #expect(effect.during > .zero)
            #expect(result.counts.hostileActs.count == HostileAct.allCases.count)
            #expect(result.messages > 100)
        }
    }
}
