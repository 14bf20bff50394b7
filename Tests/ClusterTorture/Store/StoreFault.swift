/// A fault of the Redis servers.
public enum StoreFault: Sendable, CustomStringConvertible {
    /// `kill -9` of a master, and a restart after this time.
    case kill(UInt64, restartAfter: Duration, FaultTiming)
    /// SIGSTOP of a master. A replica takes over if there is one, and the old master does not know
    /// that when it continues.
    case freeze(UInt64, for: Duration)
    /// A master answers, and rejects writes for this time.
    case refuse(UInt64, RejectionCause, for: Duration)
    /// All subscriptions are cut, which stops the messages between nodes.
    case pubsubKill
    /// SIGTERM, and a restart with its data after this time.
    case restart(after: Duration)
    /// SENTINEL FAILOVER: for some seconds the old master accepts writes that will be lost.
    case failover(FaultTiming)
    /// CLUSTER FAILOVER of a master's replica, which the two servers coordinate.
    case clusterFailover(UInt64, FaultTiming)
    /// Slots with conversations move from one master to another, key by key, with this pause
    /// between keys.
    case reshard(from: UInt64, to: UInt64, pause: Duration)

    /// The time at which the fault starts.
    public enum FaultTiming: Sendable {
        case immediately
        /// After a message was answered, and before its author edits or deletes it.
        case beforeAmendment
    }

    /// The reason why a server rejects writes.
    public enum RejectionCause: String, Sendable {
        /// It uses more than `maxmemory` (OOM).
        case full
        /// It is a replica of a missing server (READONLY). With sentinels or a Redis Cluster, it is
        /// full instead.
        case readOnly = "read-only"
    }

    public var kind: FaultKind {
        switch self {
        case .kill: .redisKill
        case .freeze: .redisFreeze
        case .refuse: .redisRefuse
        case .pubsubKill: .pubsubKill
        case .restart: .redisRestart
        case .failover: .failover
        case .clusterFailover: .clusterFailover
        case .reshard: .reshard
        }
    }

    public var description: String {
        let name = self.kind.rawValue
        return switch self {
        case .kill(_, let time, let timing):
            "\(name)\(timing.text), start it \(seconds(time)) after its replacement or end"
        case .freeze(_, let time): "\(name) for \(seconds(time))"
        case .refuse(_, let cause, let time): "\(name) for \(seconds(time)): \(cause.rawValue)"
        case .pubsubKill: name
        case .restart(let time): "\(name), unavailable for \(seconds(time))"
        case .failover(let timing): "\(name)\(timing.text)"
        case .clusterFailover(_, let timing): "\(name)\(timing.text)"
        case .reshard(_, _, let pause): "\(name), a key every \(seconds(pause))"
        }
    }
}

extension StoreFault.FaultTiming {
    fileprivate var text: String {
        switch self {
        case .immediately: ""
        case .beforeAmendment: " between a message and its edit or deletion"
        }
    }
}
