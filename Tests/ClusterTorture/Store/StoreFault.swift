/// What is done to servers of Redis.
public enum StoreFault: Sendable, CustomStringConvertible {
    /// `kill -9` of a master, and a start after so long.
    case kill(UInt64, restartAfter: Duration, FaultTiming)
    /// SIGSTOP of a master. Where it has replicas one of them takes over meanwhile, and the old master does not know it when it goes on.
    case freeze(UInt64, for: Duration)
    /// A master answers, and takes no writes for so long.
    case refuse(UInt64, RejectionCause, for: Duration)
    /// Every subscription is cut off, and mail with it.
    case pubsubKill
    /// SIGTERM, and a start with its data after so long.
    case restart(after: Duration)
    /// SENTINEL FAILOVER: for seconds the old master takes writes that nobody will keep.
    case failover(FaultTiming)
    /// CLUSTER FAILOVER of a master's replica: the two agree.
    case clusterFailover(UInt64, FaultTiming)
    /// Slots with conversations in them move from a master to another, key by key, with so long between two keys.
    case reshard(from: UInt64, to: UInt64, pause: Duration)

    /// When it strikes.
    public enum FaultTiming: Sendable {
        case immediately
        /// Somebody's message was just answered, and its author is about to edit or delete it.
        case beforeAmendment
    }

    /// Why a server takes no writes.
    public enum RejectionCause: String, Sendable {
        /// It has more than `maxmemory` (OOM).
        case full
        /// It is a replica of a server that is not there (READONLY). Where others decide who is master, it is full instead.
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
        case .kill(_, let time, let moment):
            "\(name)\(moment.text), start it \(seconds(time)) after it is replaced or gone"
        case .freeze(_, let time): "\(name) for \(seconds(time))"
        case .refuse(_, let why, let time): "\(name) for \(seconds(time)): \(why.rawValue)"
        case .pubsubKill: name
        case .restart(let time): "\(name), away for \(seconds(time))"
        case .failover(let moment): "\(name)\(moment.text)"
        case .clusterFailover(_, let moment): "\(name)\(moment.text)"
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
