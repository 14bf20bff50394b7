public import Cluster
public import ClusterWire

extension NodeLink {
    /// A node as the others see it.
    public struct PeerNode: Sendable, Equatable {
        public let incarnation: UInt64
        /// What it says of itself; nil while that has not been read yet.
        public let record: NodeRecord?
        /// It hands its shards over, or has done so.
        public let isDraining: Bool
        /// For so many milliseconds it has not said that it lives, where that is longer than it should be.
        public let silentFor: Int64?
        /// It was taken for dead so many milliseconds ago.
        public let evictedFor: Int64?

        public init(
            incarnation: UInt64, record: NodeRecord?, isDraining: Bool, silentFor: Int64?,
            evictedFor goneFor: Int64?
        ) {
            self.incarnation = incarnation
            self.record = record
            self.isDraining = isDraining
            self.silentFor = silentFor
            self.evictedFor = goneFor
        }

        public var name: String { self.record?.name ?? ClusterRedisKeys.text(self.incarnation) }

        /// As operators are shown it: `gone`, `suspect`, `draining` or `active`.
        public var state: String {
            if self.evictedFor != nil { return "gone" }
            if self.silentFor ?? 0 >= 1000 { return "suspect" }
            return self.isDraining ? "draining" : "active"
        }
    }

    /// What a node knows of its cluster.
    public struct ClusterStatus: Sendable {
        /// This node.
        public var localNode: UInt64 = 0
        /// What holds, as this node last heard.
        public var view: View?
        /// Everybody, this node too, and those who have died lately; by name.
        public var peers: [PeerNode] = []
        /// So many milliseconds ago this node's own mailbox brought it what it had sent there.
        public var lastDeliveryAge: Int64 = 0
        /// How often it had to listen anew because nothing came.
        public var mailboxResubscriptions = 0
        /// `standalone`, `sentinel` or `cluster`.
        public var redisMode = ""
        /// Where the Redis servers are that this node writes to, `host:port` each.
        public var redisServers: [String] = []
        /// Where a write is that Redis has answered, its replicas apart: "on the disk of Redis". Nil where Redis does not say.
        public var durability: String?
    }

    /// Answers the questions of other nodes, each once; nil for one that it does not understand.
    public typealias CallHandler = @Sendable (_ topic: String, _ body: String) async -> String?

    public func clusterStatus() async -> ClusterStatus {
        await withCheckedContinuation { continuation in
            self.agent.clusterStatus { continuation.resume(returning: $0) }
        }
    }

    /// Asks another node; it has two seconds to answer.
    public func call(_ node: UInt64, _ topic: String, _ body: String) async -> Result<
        String, NodeCallError
    > {
        await withCheckedContinuation { continuation in
            self.agent.call(node, topic, body) { continuation.resume(returning: $0) }
        }
    }

    /// Asks several nodes at once; who does not answer in time is missing.
    public func callAll(_ nodes: [UInt64], _ topic: String, _ body: String) async -> [UInt64:
        String]
    {
        await withTaskGroup(of: (UInt64, String?).self) { group in
            for node in nodes {
                group.addTask { (node, try? await self.call(node, topic, body).get()) }
            }
            var answers: [UInt64: String] = [:]
            for await (node, answer) in group { answers[node] = answer }
            return answers
        }
    }

    /// What `INFO` says of the Redis that this node talks to, and how long that took, in microseconds. Nil when it does not answer.
    public func inspectRedis() async -> (info: String, microseconds: Int64)? {
        await withCheckedContinuation { continuation in
            self.agent.inspectRedis { continuation.resume(returning: $0) }
        }
    }
}

extension [NodeLink.PeerNode] {
    /// What operators call a node.
    public func name(of node: UInt64) -> String {
        self.first { $0.incarnation == node }?.name ?? ClusterRedisKeys.text(node)
    }

    /// A sentence for who asks for a node by a name that several living nodes have; nil where one at most has it.
    public func ambiguity(of name: String) -> String? {
        let candidates = self.filter { $0.name == name && $0.evictedFor == nil }
        guard candidates.count > 1 else { return nil }
        let list = candidates.map {
            "\(ClusterRedisKeys.text($0.incarnation)) at \($0.record?.address ?? "an unknown address")"
        }
        let places = list.joined(separator: ", ")
        return
            "\(candidates.count) nodes have the name \(name): \(places). Restart all but one with another --node-id."
    }

    /// A sentence for who asks for a node of a name that none has.
    public func absence(of name: String) -> String {
        "There is no node \(name); there are \(self.map(\.name).joined(separator: ", "))."
    }
}
