/// What keeps the messages of a torture, as it is named on the command line.
public enum StoreMode: String, Sendable, CaseIterable {
    /// One server.
    case redis
    /// A master, two replicas, and three sentinels that watch them.
    case sentinel
    /// Three masters of a Redis Cluster, with a replica each.
    case cluster

    /// What can be done with it.
    public var faults: [FaultKind] { FaultKind.allCases.filter { $0.stores.contains(self) } }
}

extension FaultKind {
    /// Where it makes sense.
    public var stores: [StoreMode] {
        switch self {
        case .kill, .freeze, .drain, .join, .leave, .restartAll, .twoClusters: StoreMode.allCases
        case .redisKill, .redisFreeze, .redisRefuse, .pubsubKill: StoreMode.allCases
        // A server that is away for longer than a second is replaced: that is redis-kill.
        case .redisRestart: [.redis]
        // Between a node and a server that it was told of by others stands no proxy of ours.
        case .cut: [.redis]
        case .failover: [.sentinel]
        case .clusterFailover, .reshard: [.cluster]
        }
    }

    /// Why it cannot be done with this store, as a sentence that names the options; nil where it can.
    public func refusal(for store: StoreMode) -> String? {
        guard !self.stores.contains(store) else { return nil }
        let others = self.stores.map { "--store \($0.rawValue)" }.joined(separator: " or ")
        return
            "--faults \(self.rawValue) needs \(others) and cannot be played with --store \(store.rawValue)"
    }
}
