import SeededRandom
public import TestKit

/// The kind of a fault, as named on the command line.
public enum FaultKind: String, Sendable, CaseIterable {
    case kill, freeze, drain, join, leave
    case restartAll = "restart-all"
    case redisRestart = "redis-restart"
    case redisFreeze = "redis-freeze"
    case redisKill = "redis-kill"
    case redisRefuse = "redis-refuse"
    case pubsubKill = "pubsub-kill"
    case cut
    case failover
    case clusterFailover = "cluster-failover"
    case reshard
    case twoClusters = "two-clusters"
    case clientCut = "client-cut"
    case clientFreeze = "client-freeze"
}

/// A fault of a cluster, with its random parameters.
public enum ClusterFault: Sendable, CustomStringConvertible {
    /// `kill -9`, and a restart after this time.
    case kill(String, restartAfter: Duration)
    /// SIGSTOP, and SIGCONT after this time.
    case freeze(String, for: Duration)
    /// SIGTERM, and a restart after the process has ended.
    case drain(String)
    case join(String)
    /// SIGTERM without a restart.
    case leave(String)
    case restartAll(isKilled: Bool)
    case store(StoreFault)
    case cut(String, FaultProxy.Condition, for: Duration)
    /// A node of another cluster starts on the same Redis and is killed with `kill -9`.
    case twoClusters
    /// The connections of all kits are reset for this time.
    case clientCut(for: Duration)
    /// The connections of all kits lose all bytes. After this time they are reset too if
    /// `isReset`; otherwise the kits have to notice it themselves.
    case clientFreeze(FaultProxy.TrafficDirection, for: Duration, isReset: Bool)

    public var kind: FaultKind {
        switch self {
        case .kill: .kill
        case .freeze: .freeze
        case .drain: .drain
        case .join: .join
        case .leave: .leave
        case .restartAll: .restartAll
        case .store(let fault): fault.kind
        case .cut: .cut
        case .twoClusters: .twoClusters
        case .clientCut: .clientCut
        case .clientFreeze: .clientFreeze
        }
    }

    public var description: String {
        switch self {
        case .kill(let node, let time): "kill \(node), start it \(seconds(time)) later"
        case .freeze(let node, let time): "freeze \(node) for \(seconds(time))"
        case .drain(let node): "drain \(node) and start it again"
        case .join(let node): "join \(node)"
        case .leave(let node): "leave \(node)"
        case .restartAll(let isKilled): "restart-all, \(isKilled ? "killed" : "drained")"
        case .store(let fault): fault.description
        case .cut(let node, let condition, let time):
            "cut \(node) from Redis for \(seconds(time)): \(Self.text(condition))"
        case .twoClusters: "two-clusters: a node of the other cluster starts and is killed"
        case .clientCut(let time): "client-cut: no connections of clients for \(seconds(time))"
        case .clientFreeze(let direction, let time, let isReset):
            "client-freeze: connections of clients lose bytes \(direction.rawValue) for "
                + seconds(time) + (isReset ? " and are reset" : "")
        }
    }

    private static func text(_ condition: FaultProxy.Condition) -> String {
        switch condition {
        case .normal: "nothing"
        case .reset: "reset"
        case .halfOpen(let direction): "half-open, bytes are dropped \(direction.rawValue)"
        case .stalled(let direction): "bytes are stalled \(direction.rawValue)"
        case .slow(let direction, let time): "slow by \(seconds(time)) \(direction.rawValue)"
        }
    }

    /// Whether the fault affects other clusters on the same Redis.
    var affectsRedis: Bool {
        if case .store = self { true } else { false }
    }

    /// A random fault of a kind; nil if it is impossible at present.
    ///
    /// - Parameter limit: the maximum number of nodes; the minimum is two.
    static func random(
        _ kind: FaultKind, among nodes: [String], upTo limit: Int,
        using random: inout SeededGenerator
    ) -> ClusterFault? {
        // The number of draws is always the same, so that later faults do not depend on this one.
        let first = random.next()
        let time = random.number(0...1000)
        let choice = random.next(below: 8)
        let node = nodes[Int(first % UInt64(nodes.count))]
        switch kind {
        case .kill: return .kill(node, restartAfter: .milliseconds(time * 4))
        case .freeze: return .freeze(node, for: .milliseconds(1000 + time * 19))
        case .drain: return .drain(node)
        case .join:
            return (1...limit).map { "n\($0)" }.first { !nodes.contains($0) }.map { .join($0) }
        case .leave: return nodes.count > 2 ? .leave(node) : nil
        case .restartAll: return .restartAll(isKilled: choice % 2 == 0)
        case .redisRestart: return .store(.restart(after: .milliseconds(time * 5)))
        case .redisFreeze: return .store(.freeze(first, for: .milliseconds(500 + time * 8)))
        case .redisRefuse:
            return .store(
                .refuse(first, self.rejectionCause(choice), for: .milliseconds(500 + time * 8)))
        case .redisKill:
            return .store(.kill(first, restartAfter: .milliseconds(time * 4), self.timing(choice)))
        case .pubsubKill: return .store(.pubsubKill)
        case .failover: return .store(.failover(self.timing(choice)))
        case .clusterFailover: return .store(.clusterFailover(first, self.timing(choice)))
        case .reshard:
            return .store(.reshard(from: first, to: UInt64(time), pause: .milliseconds(time / 5)))
        case .cut:
            return .cut(node, self.condition(choice, time), for: .milliseconds(1000 + time * 9))
        case .twoClusters: return .twoClusters
        case .clientCut: return .clientCut(for: .milliseconds(time))
        case .clientFreeze:
            let direction = FaultProxy.TrafficDirection.allCases[
                time % FaultProxy.TrafficDirection.allCases.count]
            return .clientFreeze(direction, for: .milliseconds(500 + time), isReset: choice < 6)
        }
    }

    private static func rejectionCause(_ choice: Int) -> StoreFault.RejectionCause {
        choice < 4 ? .full : .readOnly
    }

    private static func timing(_ choice: Int) -> StoreFault.FaultTiming {
        choice < 4 ? .immediately : .beforeAmendment
    }

    private static func condition(_ choice: Int, _ time: Int) -> FaultProxy.Condition {
        let direction = FaultProxy.TrafficDirection.allCases[
            time % FaultProxy.TrafficDirection.allCases.count]
        return switch choice {
        case 0, 1: .reset
        case 2, 3: .halfOpen(direction)
        case 4, 5: .stalled(direction)
        default: .slow(direction, .milliseconds(20 + time / 2))
        }
    }
}

/// Formats a duration: `1.53 s`.
func seconds(_ time: Duration) -> String {
    let (seconds, attoseconds) = time.components
    let hundredths = seconds * 100 + attoseconds / 10_000_000_000_000_000
    return "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100) s"
}
