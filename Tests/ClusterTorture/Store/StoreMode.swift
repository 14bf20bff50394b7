/// The store, as named on the command line.
public enum StoreMode: String, Sendable, CaseIterable {
    /// One node with its own database.
    case sqlite
    /// One server.
    case redis
    /// A master, two replicas, and three sentinels.
    case sentinel
    /// Three masters of a Redis Cluster, with a replica each.
    case cluster

    /// Whether the store serves several nodes.
    public var isShared: Bool { self != .sqlite }

    /// Whether a replica may replace a master, which discards what only the master had.
    public var hasReplicas: Bool { self == .sentinel || self == .cluster }

    /// The faults that this store supports, without those of kits.
    public var faults: [FaultKind] {
        FaultKind.allCases.filter { $0.stores.contains(self) && !$0.needsKits }
    }
}

extension FaultKind {
    /// Whether the fault affects only the connections of kits.
    public var needsKits: Bool { self == .clientCut || self == .clientFreeze }

    /// The faults of a run with kits, unless others are named.
    public static let kitFaults: [FaultKind] = [.kill, .drain, .clientCut, .clientFreeze]

    /// The stores that support this fault.
    public var stores: [StoreMode] {
        switch self {
        case .kill, .freeze, .drain, .restartAll, .clientCut, .clientFreeze: StoreMode.allCases
        case .join, .leave, .cut, .twoClusters, .redisKill, .redisFreeze, .redisRefuse, .pubsubKill:
            StoreMode.allCases.filter(\.isShared)
        // With replicas, a server that is unavailable for more than a second is replaced: that is
        // redis-kill.
        case .redisRestart: [.redis]
        case .failover: [.sentinel]
        case .clusterFailover, .reshard: [.cluster]
        }
    }

    /// The reason why this store does not support the fault, with the names of the options; nil if
    /// it does.
    public func refusal(for store: StoreMode) -> String? {
        guard !self.stores.contains(store) else { return nil }
        let others = self.stores.map { "--store \($0.rawValue)" }.joined(separator: " or ")
        return
            "--faults \(self.rawValue) needs \(others) "
            + "and is impossible with --store \(store.rawValue)"
    }
}
