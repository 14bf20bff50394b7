internal import Configuration
internal import NodeLink

/// Names the causes of a cluster's problems, from what one node knows and what the others answered.
///
/// It is a value without a clock. A problem that follows from another one is left out: while Redis
/// is silent, every node reports a degraded store, and the cause is stated once.
struct ClusterDiagnosis {
    /// The asked node's knowledge about Redis.
    struct Redis: Sendable, Equatable {
        /// `host:port` of the servers.
        let address: String
        /// The milliseconds since its last answer to the asked node; nil while it answers.
        let silence: Int64?
        /// Why there is no connection, if that says more than the silence.
        let reason: String?
        /// The asked node's own probe is overdue, although Redis answers.
        var isPubSubSilent = false

        var isSilent: Bool { self.silence != nil || self.isPubSubSilent }
    }

    enum Contact: Sendable, Equatable {
        case answered
        /// With the failure at its admin address, if it was asked there.
        case unanswered(DirectCallError?)
        case evicted(milliseconds: Int64)
    }

    /// The asked node's knowledge about one node.
    struct NodeCondition: Sendable, Equatable {
        let name: String
        var contact = Contact.answered
        /// The milliseconds since its last heartbeat, if it is overdue.
        var heartbeatAge: Int64?
        var isDraining = false
        /// It has handed over its shards and closed its clients.
        var isDrained = false
        var shards = 0
        var connections: Int?
        /// The milliseconds since Redis last answered this node; nil while it does.
        var redisSilence: Int64?
        /// Why its health is degraded.
        var degradation: String?
        var renumbered = 0
        var lost = 0
        var unresponsiveLoops = 0
        var version: String?
    }

    /// The node that was asked.
    let asked: String
    var redis: Redis?
    var nodes: [NodeCondition]
    var movingShards = 0
    /// The set of nodes has changed, and shards are about to move.
    var isUnbalanced = false
    /// Sentences about names that several nodes have.
    var ambiguities: [String] = []

    /// Sentences for operators, the most important one first.
    var problems: [String] {
        var list = self.redisProblems
        for node in self.nodes { list += self.problems(of: node) }
        if self.movingShards > 0 {
            list.append("\(self.movingShards) shards are moving to other nodes")
        } else if self.isUnbalanced {
            list.append("shards are about to move: the set of nodes has changed")
        }
        list += self.ambiguities
        let versions = Set(
            self.nodes.compactMap { node -> String? in
                if case .evicted = node.contact { return nil }
                return node.version
            })
        if versions.count > 1 {
            list.append(
                "nodes run different versions: \(versions.sorted().joined(separator: ", "))")
        }
        return list
    }

    // MARK: Redis

    private var redisProblems: [String] {
        guard let redis else { return [] }
        let others = self.nodes.filter { $0.name != self.asked && $0.contact == .answered }
        if let silence = redis.silence {
            let connected = others.filter { $0.redisSilence == nil }.map(\.name)
            let cause = redis.reason.map { ". Cause: \($0)" } ?? ""
            let since = "has not answered\(connected.isEmpty ? "" : " \(self.asked)")"
            let head = "Redis at \(redis.address) \(since) for \(Self.seconds(silence))"
            guard connected.isEmpty else {
                return [
                    """
                    \(head), but it answers \(Self.list(connected)): sends through \(self.asked) \
                    are refused. Check the network between \(self.asked) and Redis\(cause)
                    """
                ]
            }
            return [
                """
                \(head): sends are refused, and nodes deliver no messages to each other. Open \
                connections stay, and sends work again as soon as Redis answers\(cause)
                """
            ]
        }
        let cutOff = others.filter { $0.redisSilence != nil }
        var list = cutOff.map { node in
            """
            Redis at \(redis.address) has not answered \(node.name) for \
            \(Self.seconds(node.redisSilence ?? 0)), but it answers \(self.asked): sends through \
            \(node.name) are refused. Check the network between \(node.name) and Redis
            """
        }
        if redis.isPubSubSilent {
            list.append(
                """
                Redis at \(redis.address) answers, but its Pub/Sub delivers nothing to \
                \(self.asked): messages of other nodes arrive late. \(self.asked) subscribes again
                """)
        }
        return list
    }

    // MARK: Nodes

    private func problems(of node: NodeCondition) -> [String] {
        var list: [String] = []
        switch node.contact {
        case .evicted(let age):
            list.append(
                """
                \(node.name) has been gone for \(Self.seconds(age)): its heartbeats stopped, and \
                the other nodes took over its shards. It joins again when it runs
                """)
        case .unanswered(let failure): list.append(self.silence(of: node, failure))
        case .answered:
            if self.redis?.isSilent != true, let age = node.heartbeatAge, node.redisSilence == nil {
                list.append(
                    """
                    \(node.name) answers, but its last heartbeat in Redis is \(Self.seconds(age)) \
                    old; it is evicted after 3 s without one
                    """)
            }
        }
        if node.isDrained {
            let rest = node.shards == 0 ? "" : ", keeps its shards because no other node takes them"
            list.append(
                """
                \(node.name) is drained\(rest) and accepts no clients until \
                `confab resume \(node.name)`
                """)
        } else if node.isDraining {
            let shards = OperatorText.count(node.shards, "shard")
            let clients =
                node.connections.map { OperatorText.count($0, "client") } ?? "its clients"
            list.append("\(node.name) is draining: \(shards) and \(clients) left")
        }
        if let reason = node.degradation, !self.isConsequence(reason, of: node) {
            list.append("\(node.name): \(reason)")
        }
        for (count, outcome) in [
            (node.renumbered, "stored under new numbers"), (node.lost, "lost"),
        ] where count > 0 {
            list.append(
                "\(node.name): Redis lost acknowledged changes; \(count) of them are \(outcome)")
        }
        if node.unresponsiveLoops > 0 {
            list.append("\(node.name): \(node.unresponsiveLoops) of its loops do not answer")
        }
        return list
    }

    private func silence(of node: NodeCondition, _ failure: DirectCallError?) -> String {
        if let redis = self.redis, redis.isSilent {
            guard let failure else { return "\(node.name) does not answer" }
            return failure.isUnasked
                ? "\(node.name) was not asked: \(failure)"
                : "\(node.name) does not answer at its admin address \(failure)"
        }
        let heartbeat =
            node.heartbeatAge.map { "its last heartbeat is \(Self.seconds($0)) old" }
            ?? "its last heartbeat is less than 1 s old"
        return """
            \(node.name) does not answer; \(heartbeat). After 3 s without one it is evicted, and \
            its \(node.shards) shards move to the other nodes
            """
    }

    /// Whether a node is degraded only because Redis is silent. The node's health names the part
    /// that fails: its store or its link to the cluster.
    private func isConsequence(_ reason: String, of node: NodeCondition) -> Bool {
        guard node.redisSilence != nil || self.redis?.isSilent == true else { return false }
        return reason.hasPrefix("store: ") || reason.hasPrefix("cluster: ")
    }

    // MARK: Text

    static func seconds(_ milliseconds: Int64) -> String {
        milliseconds < 10_000
            ? "\(milliseconds / 1000).\(milliseconds % 1000 / 100) s" : "\(milliseconds / 1000) s"
    }

    private static func list(_ names: [String]) -> String {
        names.count < 2
            ? names.joined()
            : "\(names.dropLast().joined(separator: ", ")) and \(names[names.count - 1])"
    }
}
