public import Cluster
public import ClusterWire

extension NodeLink {
    /// A node as the other nodes see it.
    public struct PeerNode: Sendable, Equatable {
        public let incarnation: UInt64
        /// The node's own description; nil until it has been read.
        public let record: NodeRecord?
        /// It is handing its shards over, or has done so.
        public let isDraining: Bool
        /// The milliseconds since its last heartbeat, if it is overdue.
        public let silentFor: Int64?
        /// The milliseconds since its eviction.
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

        /// The state that operators see: `gone`, `suspect`, `draining` or `active`.
        public var state: String {
            if self.evictedFor != nil { return "gone" }
            if self.silentFor ?? 0 >= 1000 { return "suspect" }
            return self.isDraining ? "draining" : "active"
        }
    }

    /// A node's knowledge of its cluster.
    public struct ClusterStatus: Sendable {
        /// This node's incarnation.
        public var localNode: UInt64 = 0
        /// The view that this node follows.
        public var view: View?
        /// All nodes, including this one and recently evicted ones, sorted by name.
        public var peers: [PeerNode] = []
        /// The milliseconds since this node's own probe returned through its mailbox.
        public var lastDeliveryAge: Int64 = 0
        /// How often the mailbox was subscribed again because no probe returned.
        public var mailboxResubscriptions = 0
        /// `standalone`, `sentinel` or `cluster`.
        public var redisMode = ""
        /// The Redis servers that this node writes to, each as `host:port`.
        public var redisServers: [String] = []
        /// The milliseconds since Redis last answered this node; nil while it answers.
        public var redisSilence: Int64?
        /// The URL of Redis, without its password.
        public var redisURL = ""
        /// Whether the node shows Redis a password.
        public var hasRedisPassword = false
        /// Why this node has no connection to Redis, if that says more than its silence.
        public var redisOutage: String?
        /// Whether messages through Redis do not reach this node at present.
        public var isRedisSilent: Bool {
            self.redisSilence != nil || self.lastDeliveryAge > MailboxMonitor.silenceLimit
        }
        /// Where Redis keeps acknowledged writes, apart from replicas, such as "on the disk of
        /// Redis". Nil if Redis does not say.
        public var durability: String?
    }

    /// Answers requests of other nodes, each once, with a JSON document; nil if the node cannot.
    public typealias CallHandler = @Sendable (NodeRequest) async -> String?

    public func clusterStatus() async -> ClusterStatus {
        await withCheckedContinuation { continuation in
            self.agent.clusterStatus { continuation.resume(returning: $0) }
        }
    }

    /// Sends a request to another node. It fails after two seconds without a reply, or when its
    /// task is cancelled.
    public func call(_ node: UInt64, _ request: NodeRequest) async -> Result<
        String, NodeCallError
    > {
        let calls = self.agent.calls
        let handle = NodeCalls.Handle()
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                calls.call(node, request, handle: handle) { continuation.resume(returning: $0) }
            }
        } onCancel: {
            calls.cancel(handle)
        }
    }

    /// The `INFO` of this node's Redis, and the microseconds until its reply. Nil if Redis does not
    /// reply.
    public func inspectRedis() async -> (info: String, microseconds: Int64)? {
        await withCheckedContinuation { continuation in
            self.agent.inspector.info { continuation.resume(returning: $0) }
        }
    }
}

extension [NodeLink.PeerNode] {
    /// The name of a node for operators.
    public func name(of node: UInt64) -> String {
        self.first { $0.incarnation == node }?.name ?? ClusterRedisKeys.text(node)
    }

    /// An error sentence if several living nodes have the name; nil otherwise.
    public func ambiguity(of name: String) -> String? {
        let candidates = self.filter { $0.name == name && $0.evictedFor == nil }
        guard candidates.count > 1 else { return nil }
        let list = candidates.map {
            ClusterRedisKeys.text($0.incarnation) + " at "
                + ($0.record?.address ?? "an unknown address")
        }
        let endpoints = list.joined(separator: ", ")
        return "\(candidates.count) nodes have the name \(name): \(endpoints). "
            + "Restart all but one with another --node-id."
    }

    /// An error sentence for a name that no node has.
    public func absence(of name: String) -> String {
        "There is no node \(name); there are \(self.map(\.name).joined(separator: ", "))."
    }
}
