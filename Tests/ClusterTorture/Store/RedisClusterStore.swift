import TestKit

/// Three masters of a Redis Cluster, with a replica each.
final class RedisClusterStore: TortureStore {
    private static let timeout = Duration.seconds(60)
    /// The time after which a master without contact is replaced.
    private static let failureTimeout = Duration.seconds(1)
    private let cluster: RedisClusterServers

    init(_ options: [String]) throws {
        self.cluster = try RedisClusterServers(failureTimeout: Self.failureTimeout, options)
    }

    var title: String { "Redis Cluster with three masters and their replicas" }
    var endpoint: StoreEndpoint {
        StoreEndpoint(url: self.cluster.url(), ports: self.servers.map(\.port))
    }
    var servers: [RedisServer] { self.cluster.servers }

    func master(_ choice: UInt64) throws -> RedisServer {
        try self.cluster.server(of: self.masterNode(choice))
    }

    private func masterNode(_ choice: UInt64) throws -> RedisClusterServers.RedisClusterNode {
        let masters = try self.masters()
        return masters[Int(choice % UInt64(masters.count))]
    }

    /// The masters with slots, in a stable order.
    private func masters() throws -> [RedisClusterServers.RedisClusterNode] {
        let masters = try self.cluster.nodes().filter {
            $0.isMaster && !$0.isFailed && !$0.slots.isEmpty
        }
        guard !masters.isEmpty else { throw TestFailure("no master has slots") }
        return masters.sorted { $0.slots[0].lowerBound < $1.slots[0].lowerBound }
    }

    func perform(_ fault: StoreFault, _ hooks: FaultHooks) throws {
        switch fault {
        case .clusterFailover(let choice, let timing):
            let old = try self.masterNode(choice)
            let replica = try self.cluster.replica(of: old)
            hooks.awaitTiming(timing)
            try self.cluster.failOver(to: replica)
            hooks.restartGapMeasurement()
            try self.awaitHealthy()
        case .kill(let choice, let time, let timing):
            let old = try self.masterNode(choice)
            let server = try self.cluster.server(of: old)
            hooks.awaitTiming(timing)
            try server.crash()
            hooks.restartGapMeasurement()
            try self.awaitSuccessor(of: old)
            hooks.wait(time)
            try server.restart()
            try self.awaitHealthy()
        case .freeze(let choice, let time): try self.freeze(choice, for: time, hooks)
        case .refuse(let choice, _, let time): try self.refuse(choice, .full, for: time, hooks)
        case .pubsubKill: try self.killSubscriptions()
        case .reshard(let first, let second, let pause):
            let source = try self.masterNode(first)
            let others = try self.masters().filter { $0.id != source.id }
            let target = others[Int(second % UInt64(others.count))]
            // Slots are left between two masters if one of them is replaced meanwhile.
            try self.cluster.setFailureTimeout(.seconds(60))
            defer { try? self.cluster.setFailureTimeout(Self.failureTimeout) }
            try SlotMove(cluster: self.cluster, source: source, target: target).run(second) {
                hooks.wait(pause)
            }
            hooks.restartGapMeasurement()
            try self.awaitHealthy()
        case .restart, .failover: throw TestFailure("a Redis Cluster does not support this fault")
        }
    }

    private func awaitSuccessor(of old: RedisClusterServers.RedisClusterNode) throws {
        try Deadline.wait(
            for: "the replica of \(old.port) to be master", within: Self.timeout,
            untilTrue: {
                try self.masters().allSatisfy { $0.id != old.id }
            })
    }

    func awaitHealthy() throws { try self.cluster.awaitHealthy(within: Self.timeout) }
}
