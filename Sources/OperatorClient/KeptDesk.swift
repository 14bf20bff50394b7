internal import Bytes
internal import ChatModel
internal import Cluster
internal import ClusterWire
internal import JSON
internal import NodeLink

/// Says what stands in Redis, in the documents that a node's desk gives: for operators when no node answers. What only nodes know is missing.
struct KeptDesk: Desk {
    private let reader: ClusterReader

    init(_ reader: ClusterReader) {
        self.reader = reader
    }

    func nodes() throws(AdminProblem) -> JSONTree {
        try Self.translating { () throws(ClusterReader.Failure) in
            let members = try self.reader.members()
            let shards = members.view.shardCounts
            let rows = members.peers.map { peer in
                JSONTree.object([
                    .init("node", .string(peer.name)), .init("state", .string(Self.state(peer))),
                    .init("address", peer.record.map { .string($0.address) } ?? .null),
                    .init("admin_address", peer.record?.adminAddress.map { .string($0) } ?? .null),
                    .init("version", peer.record.map { .string($0.version) } ?? .null),
                    .init("silent", peer.goneFor.map { .integer(Int($0 / 1000)) } ?? .null),
                    .init(
                        "uptime",
                        peer.goneFor == nil
                            ? peer.record.map { .integer(Int((members.now - $0.startedAt.milliseconds) / 1000)) } ?? .null : .null),
                    .init("shards", .integer(shards[peer.incarnation, default: 0])),
                ])
            }
            return Self.document([.init("view", .integer(members.view.number)), .init("nodes", .array(rows))])
        }
    }

    /// Nobody is there who would take it for dead, so its silence alone says so.
    private static func state(_ peer: NodeLink.Peer) -> String {
        if peer.goneFor != nil { return "gone" }
        if peer.silentFor ?? 0 >= 1000 { return "suspect" }
        return peer.isDraining ? "draining" : "active"
    }

    func shards(of node: String?) throws(AdminProblem) -> JSONTree {
        if let node { try self.check(node) }
        return try Self.translating { () throws(ClusterReader.Failure) in
            let members = try self.reader.members()
            let leases = try self.reader.leases(of: Array(0..<Shard.count))
            let rows = (0..<Shard.count).compactMap { shard -> JSONTree? in
                let owner = members.view.owner(of: shard)
                let name = members.name(of: owner.incarnation)
                guard node == nil || name == node else { return nil }
                return [
                    "shard": .integer(shard), "owner": .string(name), "loop": .integer(Int(owner.loop)),
                    "epoch": Self.epoch(leases[shard], owner), "state": .string(members.view.isMoving(shard) ? "moving" : "stable"),
                ]
            }
            return Self.document([.init("view", .integer(members.view.number)), .init("shards", .array(rows))])
        }
    }

    private func check(_ node: String) throws(AdminProblem) {
        let names = try Self.translating { () throws(ClusterReader.Failure) in try self.reader.members().peers.map(\.name) }
        guard names.contains(node) else {
            throw .refusal(status: 404, "There is no node \(node); there are \(names.joined(separator: ", ")).")
        }
    }

    func owner(of key: ConversationKey) throws(AdminProblem) -> JSONTree {
        let stored = try Self.translating { () throws(ClusterReader.Failure) in
            (members: try self.reader.members(), head: try self.reader.head(of: key), leases: try self.reader.leases(of: [Shard.of(key)]))
        }
        guard let head = stored.head else { throw .refusal(status: 404, "There is no conversation \(key.id) in tenant \(key.tenant).") }
        let (members, shard) = (stored.members, Shard.of(key))
        let owner = members.view.owner(of: shard)
        return Self.document([
            .init("conversation", .string(key.id.string)), .init("tenant", .string(key.tenant.string)), .init("shard", .integer(shard)),
            .init("owner", .string(members.name(of: owner.incarnation))), .init("loop", .integer(Int(owner.loop))),
            .init("epoch", Self.epoch(stored.leases[shard], owner)),
            .init("state", .string(members.view.isMoving(shard) ? "moving" : "stable")), .init("head", .integer(head.head)),
            .init("revision", .integer(head.revision)), .init("view", .integer(members.view.number)),
            .init("why", .string(members.view.reason(for: shard, naming: members.name))),
        ])
    }

    /// Of the owner that the view names; another's says nothing of it.
    private static func epoch(_ lease: (epoch: Int, owner: String)?, _ owner: OwnerID) -> JSONTree {
        lease.map { $0.owner == owner.description ? .integer($0.epoch) : .null } ?? .null
    }

    func redis() throws(AdminProblem) -> JSONTree {
        try Self.translating { () throws(ClusterReader.Failure) in
            let rows = try self.reader.servers().map { place, server in
                JSONTree.object(
                    [
                        .init("node", .null), .init("mode", .string(self.reader.mode)), .init("servers", .string(place)),
                        .init("round_trip", .number(Wording.decimal(Double(server.microseconds) / 1000))),
                    ] + server.info.row)
            }
            return Self.document([.init("redis", .array(rows))])
        }
    }

    private static func document(_ members: [JSONTree.Member]) -> JSONTree { .object([.init("schema_version", 1)] + members) }

    private static func translating<Value>(_ work: () throws(ClusterReader.Failure) -> Value) throws(AdminProblem) -> Value {
        do throws(ClusterReader.Failure) {
            return try work()
        } catch {
            throw error.isAnswer ? .refusal(status: 400, "--via: \(error)") : .silence("--via: \(error)")
        }
    }
}
