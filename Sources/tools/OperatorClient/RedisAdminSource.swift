internal import Bytes
internal import ChatEngine
internal import ChatModel
internal import Cluster
internal import ClusterWire
import Configuration
internal import JSON
internal import NodeLink

/// Reads the cluster's state from Redis, for operators when no node answers.
///
/// The documents have the same form as a node's. Data that only nodes have is null.
struct RedisAdminSource: AdminSource {
    private let reader: ClusterReader

    init(_ reader: ClusterReader) {
        self.reader = reader
    }

    func get(_ path: String, _ values: [JSONTree.ObjectMember]) throws(AdminProblem) -> JSONTree {
        guard let verb = OperatorVerb.all.first(where: { $0.path == path && $0.readsRedis }) else {
            preconditionFailure("Redis does not have the data of \(path)")
        }
        return verb.completed(try self.known(path, values))
    }

    /// The document without the values that Redis does not know.
    private func known(_ path: String, _ values: [JSONTree.ObjectMember]) throws(AdminProblem)
        -> JSONTree
    {
        switch path {
        case "nodes": return try self.nodes()
        case "shards": return try self.shards(of: Self.text("node", values))
        case "owner":
            return try self.owner(of: Self.conversation(values))
        case "redis": return try self.redis()
        case "conversation": return try self.conversation(values)
        case "user": return try self.user(values)
        case "bans": return try self.bans(values)
        case "history": return try self.history(values)
        case "verify": return try self.verify(values)
        case "events": return try self.events(values)
        default: preconditionFailure("the row of \(path) says that Redis has its data")
        }
    }

    static func text(_ name: String, _ values: [JSONTree.ObjectMember]) -> String? {
        values.first { $0.name == name }?.value.stringValue
    }

    static func number(_ name: String, _ values: [JSONTree.ObjectMember]) -> Int? {
        values.first { $0.name == name }?.value.integerValue
    }

    static func conversation(_ values: [JSONTree.ObjectMember]) -> ConversationKey {
        ConversationKey(
            tenant: ByteString(self.text("tenant", values) ?? "default"),
            id: ByteString(self.text("conversation", values) ?? ""))
    }

    private func nodes() throws(AdminProblem) -> JSONTree {
        let members = try self.members()
        let shards = members.view.shardCounts
        let rows = members.peers.map { peer in
            let startedAt = peer.evictedFor == nil ? peer.record?.startedAt : nil
            return OperatorVerb.completed(
                nodeRow: .object([
                    .init("node", .string(peer.name)), .init("state", .string(peer.state)),
                    .init("address", peer.record.map { .string($0.address) } ?? .null),
                    .init("admin_address", peer.record?.adminAddress.map { .string($0) } ?? .null),
                    .init("version", peer.record.map { .string($0.version) } ?? .null),
                    .init(
                        "unreachable_for", peer.evictedFor.map { .integer(Int($0 / 1000)) } ?? .null
                    ),
                    .init(
                        "uptime",
                        startedAt.map { .integer(Int((members.now - $0.milliseconds) / 1000)) }
                            ?? .null
                    ),
                    .init("shards", .integer(shards[peer.incarnation, default: 0])),
                ]))
        }
        return Self.document([
            .init("view", .integer(members.view.number)), .init("nodes", .array(rows)),
        ])
    }

    private func shards(of node: String?) throws(AdminProblem) -> JSONTree {
        let members = try self.members()
        if let node, !members.peers.contains(where: { $0.name == node }) {
            throw .rejected(status: 404, members.peers.absence(of: node))
        }
        if let node, let message = members.peers.ambiguity(of: node) {
            throw .rejected(status: 409, message)
        }
        let visible = (0..<Shard.count).filter {
            node == nil || members.name(of: members.view.owner(of: $0).incarnation) == node
        }
        let leases = try self.read { reader throws(ClusterReader.ClusterReadError) in
            try reader.leases(of: visible)
        }
        let rows = visible.map { shard -> JSONTree in
            let owner = members.view.owner(of: shard)
            return [
                "shard": .integer(shard), "owner": .string(members.name(of: owner.incarnation)),
                "loop": .integer(Int(owner.loop)),
                "epoch": Self.epoch(leases[shard], owner),
                "state": .string(members.view.state(of: shard)),
            ]
        }
        return Self.document([
            .init("view", .integer(members.view.number)), .init("shards", .array(rows)),
        ])
    }

    private func owner(of key: ConversationKey) throws(AdminProblem) -> JSONTree {
        let shard = Shard.of(key)
        let members = try self.members()
        let head = try self.read { reader throws(ClusterReader.ClusterReadError) in
            try reader.head(of: key)
        }
        guard let head else {
            throw .rejected(
                status: 404, "There is no conversation \(key.id) in tenant \(key.tenant).")
        }
        let leases = try self.read { reader throws(ClusterReader.ClusterReadError) in
            try reader.leases(of: [shard])
        }
        let owner = members.view.owner(of: shard)
        return Self.document([
            .init("conversation", .string(key.id.string)),
            .init("tenant", .string(key.tenant.string)), .init("shard", .integer(shard)),
            .init("owner", .string(members.name(of: owner.incarnation))),
            .init("loop", .integer(Int(owner.loop))),
            .init("epoch", Self.epoch(leases[shard], owner)),
            .init("state", .string(members.view.state(of: shard))),
            .init("head", .integer(head.head)), .init("revision", .integer(head.revision)),
            .init("view", .integer(members.view.number)),
            .init("reason", .string(members.view.reason(for: shard, naming: members.name))),
        ])
    }

    /// The epoch, if the lease belongs to the owner in the view.
    private static func epoch(_ lease: (epoch: Int, owner: String)?, _ owner: LoopID) -> JSONTree {
        lease.map { $0.owner == owner.description ? .integer($0.epoch) : .null } ?? .null
    }

    private func redis() throws(AdminProblem) -> JSONTree {
        let servers = try self.read { reader throws(ClusterReader.ClusterReadError) in
            try reader.servers()
        }
        let rows = servers.map { server in
            JSONTree.object(
                [
                    .init("node", .null), .init("mode", .string(self.reader.mode)),
                    .init("servers", .string(server.endpoint)),
                    .init(
                        "round_trip",
                        .number(OperatorText.decimal(Double(server.microseconds) / 1000))),
                ] + server.info.row)
        }
        return Self.document([.init("redis", .array(rows))])
    }

    private func members() throws(AdminProblem) -> ClusterReader.Members {
        try self.read { reader throws(ClusterReader.ClusterReadError) in try reader.members() }
    }

    static func document(_ members: [JSONTree.ObjectMember]) -> JSONTree {
        .object([.init("schema_version", 1)] + members)
    }

    func read<Value>(_ ask: (ClusterReader) throws(ClusterReader.ClusterReadError) -> Value)
        throws(AdminProblem) -> Value
    {
        do throws(ClusterReader.ClusterReadError) {
            return try ask(self.reader)
        } catch {
            throw error.isPermanent
                ? .rejected(status: 400, "--via: \(error)") : .noAnswer("--via: \(error)")
        }
    }
}
