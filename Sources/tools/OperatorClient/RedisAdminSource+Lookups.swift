internal import Bytes
internal import ChatModel
internal import Cluster
internal import Configuration
internal import JSON
internal import NodeLink

/// The documents about one conversation, one user, and bans. Connections and presence exist only in
/// the memory of nodes, so they are null.
extension RedisAdminSource {
    func conversation(_ values: [JSONTree.ObjectMember]) throws(AdminProblem) -> JSONTree {
        let key = Self.conversation(values)
        let limit = Self.number("members", values) ?? OperatorVerb.defaultRowLimit
        let loaded = try self.read { reader throws(ClusterReader.ClusterReadError) in
            try reader.conversation(key)
        }
        guard let loaded else {
            throw .rejected(
                status: 404, "There is no conversation \(key.id) in tenant \(key.tenant).")
        }
        let shard = Shard.of(key)
        // If all nodes have left, the conversation has no owner.
        let members = try self.read { reader throws(ClusterReader.ClusterReadError) in
            try reader.membersIfAny()
        }
        let owner = members?.view.owner(of: shard)
        let name = owner.flatMap { owner in members?.name(of: owner.incarnation) }
        var document: [JSONTree.ObjectMember] = [
            .init("conversation", .string(key.id.string)),
            .init("tenant", .string(key.tenant.string)), .init("shard", .integer(shard)),
            .init("owner", name.map { .string($0) } ?? .null),
            .init("loop", owner.map { .integer(Int($0.loop)) } ?? .null),
        ]
        document += loaded.record.tree.members ?? []
        document += [
            .init("updated", .string(loaded.record.updatedAt.text)),
            .init("head", .integer(loaded.head)), .init("oldest", .integer(loaded.oldest)),
            .init("revision", .integer(loaded.revision)),
            .init("pinned_count", .integer(loaded.pins.count)),
            .init("member_count", .integer(loaded.currentMembers.count)),
            .init(
                "members", .array(loaded.currentMembers.prefix(limit).map { $0.tree(nodes: nil) })),
            .init(
                "bans",
                try self.bans { $0.tenant == key.tenant && $0.conversation == key.id }.rows),
        ]
        return Self.document(document)
    }

    func user(_ values: [JSONTree.ObjectMember]) throws(AdminProblem) -> JSONTree {
        let user = ByteString(Self.text("user", values) ?? "")
        let tenant = ByteString(Self.text("tenant", values) ?? "default")
        let limit = Self.number("limit", values) ?? OperatorVerb.defaultRowLimit
        let memberships = try self.read { reader throws(ClusterReader.ClusterReadError) in
            try reader.memberships(of: user, in: tenant, limit: limit)
        }
        let bans = try self.bans { $0.tenant == tenant && $0.user == user }
        let found = memberships.newest
        if found.isEmpty, memberships.damage == nil, bans.rows.elements?.isEmpty == true {
            throw .rejected(
                status: 404,
                """
                There is no user \(user) in tenant \(tenant): no conversation with this member, \
                and no ban.
                """)
        }
        return Self.document([
            .init("user", .string(user.string)), .init("tenant", .string(tenant.string)),
            .init("conversations", .array(found.map(\.tree))),
            .init("store_error", memberships.damage.map { .string($0.description) } ?? .null),
            .init("bans", bans.rows),
        ])
    }

    func bans(_ values: [JSONTree.ObjectMember]) throws(AdminProblem) -> JSONTree {
        let tenant = Self.text("tenant", values).map { ByteString($0) }
        let user = Self.text("user", values).map { ByteString($0) }
        let bans = try self.bans {
            (tenant == nil || $0.tenant == tenant) && (user == nil || $0.user == user)
        }
        if let damage = bans.damage {
            throw .rejected(status: 409, "--via: \(damage)")
        }
        return Self.document([.init("bans", bans.rows)])
    }

    /// The rows of the active bans of some subjects; null if a ban cannot be read, because it may
    /// concern them.
    private func bans(where concerns: (Ban.Subject) -> Bool) throws(AdminProblem)
        -> (rows: JSONTree, damage: StoreFailure?)
    {
        let stored = try self.read { reader throws(ClusterReader.ClusterReadError) in
            try reader.bans()
        }
        if let damage = stored.damaged.first { return (.null, damage) }
        return (
            .array(Ban.rows(of: stored.bans, at: WallClock.now, where: concerns)), nil
        )
    }
}
