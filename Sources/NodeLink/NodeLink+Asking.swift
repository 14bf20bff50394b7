public import Cluster
public import ClusterWire

extension NodeLink {
    /// A node as the others see it.
    public struct Peer: Sendable, Equatable {
        public let incarnation: UInt64
        /// What it says of itself; nil while that has not been read yet.
        public let record: NodeRecord?
        /// It hands its shards over, or has done so.
        public let isDraining: Bool
        /// For so many milliseconds it has not said that it lives, where that is longer than it should be.
        public let silentFor: Int64?
        /// It was taken for dead so many milliseconds ago.
        public let goneFor: Int64?

        public init(incarnation: UInt64, record: NodeRecord?, isDraining: Bool, silentFor: Int64?, goneFor: Int64?) {
            self.incarnation = incarnation
            self.record = record
            self.isDraining = isDraining
            self.silentFor = silentFor
            self.goneFor = goneFor
        }

        public var name: String { self.record?.name ?? LinkNames.text(self.incarnation) }

        /// As operators are shown it: `gone`, `suspect`, `draining` or `active`.
        public var state: String {
            if self.goneFor != nil { return "gone" }
            if self.silentFor ?? 0 >= 1000 { return "suspect" }
            return self.isDraining ? "draining" : "active"
        }
    }

    /// What a node knows of its cluster.
    public struct Surroundings: Sendable {
        /// This node.
        public var me: UInt64 = 0
        /// What holds, as this node last heard.
        public var view: View?
        /// Everybody, this node too, and those who have died lately; by name.
        public var peers: [Peer] = []
        /// So many milliseconds ago this node's own mailbox brought it what it had sent there.
        public var lastDeliveryAge: Int64 = 0
        /// How often it had to listen anew because nothing came.
        public var rebuilds = 0
        /// `standalone`, `sentinel` or `cluster`.
        public var redisMode = ""
        /// Where the Redis servers are that this node writes to, `host:port` each.
        public var redisServers: [String] = []
        /// Where a write is that Redis has answered, its replicas apart: "on the disk of Redis". Nil where Redis does not say.
        public var safety: String?
    }

    /// Answers the questions of other nodes, each once; nil for one that it does not understand.
    public typealias Answering = @Sendable (_ topic: String, _ body: String) async -> String?

    public func surroundings() async -> Surroundings {
        await withCheckedContinuation { continuation in self.agent.survey { continuation.resume(returning: $0) } }
    }

    /// Asks another node; it has two seconds to answer.
    public func ask(_ node: UInt64, _ topic: String, _ body: String) async -> Result<String, LinkError> {
        await withCheckedContinuation { continuation in
            self.agent.ask(node, topic, body) { continuation.resume(returning: $0) }
        }
    }

    /// Asks several nodes at once; who does not answer in time is missing.
    public func askAll(_ nodes: [UInt64], _ topic: String, _ body: String) async -> [UInt64: String] {
        await withTaskGroup(of: (UInt64, String?).self) { group in
            for node in nodes { group.addTask { (node, try? await self.ask(node, topic, body).get()) } }
            var answers: [UInt64: String] = [:]
            for await (node, answer) in group { answers[node] = answer }
            return answers
        }
    }

    /// What `INFO` says of the Redis that this node talks to, and how long that took, in microseconds. Nil when it does not answer.
    public func inspectRedis() async -> (info: String, microseconds: Int64)? {
        await withCheckedContinuation { continuation in self.agent.inspectRedis { continuation.resume(returning: $0) } }
    }
}

extension [NodeLink.Peer] {
    /// What operators call a node.
    public func name(of node: UInt64) -> String { self.first { $0.incarnation == node }?.name ?? LinkNames.text(node) }

    /// A sentence for who asks for a node by a name that several living nodes have; nil where one at most has it.
    public func ambiguity(of name: String) -> String? {
        let candidates = self.filter { $0.name == name && $0.goneFor == nil }
        guard candidates.count > 1 else { return nil }
        let list = candidates.map { "\(LinkNames.text($0.incarnation)) at \($0.record?.address ?? "an unknown address")" }
        let places = list.joined(separator: ", ")
        return "\(candidates.count) nodes have the name \(name): \(places). Restart all but one with another --node-id."
    }

    /// A sentence for who asks for a node of a name that none has.
    public func absence(of name: String) -> String {
        "There is no node \(name); there are \(self.map(\.name).joined(separator: ", "))."
    }
}
