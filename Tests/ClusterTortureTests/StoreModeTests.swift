import ClusterTorture
import Testing

@Suite("The stores of a torture run")
struct StoreModeTests {
    @Test("reject unsupported faults with an error that names both options")
    func refusals() {
        #expect(FaultKind.redisRestart.refusal(for: .redis) == nil)
        #expect(
            FaultKind.failover.refusal(for: .cluster)
                == "--faults failover needs --store sentinel and is impossible with --store cluster"
        )
        #expect(
            FaultKind.redisRestart.refusal(for: .sentinel)
                == "--faults redis-restart needs --store redis and is impossible with "
                + "--store sentinel")
        #expect(
            FaultKind.reshard.refusal(for: .sqlite)
                == "--faults reshard needs --store cluster and is impossible with --store sqlite")
        #expect(FaultKind.cut.refusal(for: .sqlite) != nil)
    }

    @Test("support all other faults, and each fault has a store", arguments: StoreMode.allCases)
    func faults(of store: StoreMode) {
        #expect(store.faults.allSatisfy { $0.refusal(for: store) == nil })
        #expect(
            Set(StoreMode.allCases.flatMap(\.faults))
                == Set(FaultKind.allCases.filter { !$0.needsKits }))
    }
}
