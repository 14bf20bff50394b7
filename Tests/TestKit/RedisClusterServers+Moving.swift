import Foundation

extension RedisClusterServers {
    /// Lets a replica take over by agreement, and waits until it is a master. Redis refuses that
    /// while the replica and its master have lost contact, and gives up after five seconds, for
    /// example if the master pauses. So the command is repeated. A replica whose request for votes
    /// failed asks again after four times the failure timeout.
    public func failOver(to replica: RedisClusterNode) throws {
        let server = try self.server(of: replica)
        try Deadline.wait(
            for: "\(replica.port) to be a master", repeatedAfter: .seconds(6),
            order: { try server.execute("CLUSTER", "FAILOVER") == "OK" },
            untilTrue: {
                try self.nodes().contains { $0.id == replica.id && $0.isMaster }
            })
    }

    /// Does the same in a thread of its own, so that a load can run meanwhile. If it fails, the
    /// replica never becomes a master.
    public func beginFailover(to replica: RedisClusterNode) {
        nonisolated(unsafe) let cluster = self
        Thread.detachNewThread { try? cluster.failOver(to: replica) }
    }

    /// Moves a slot to another master as `redis-cli --cluster reshard` does, but in the order of
    /// the key names and with a pause before each key.
    public func move(
        slot: String, from source: RedisClusterNode, to target: RedisClusterNode, pause: () -> Void
    ) throws {
        let (from, to) = try (self.server(of: source), self.server(of: target))
        try Self.set(slot, at: to, "IMPORTING", source.id)
        try Self.set(slot, at: from, "MIGRATING", target.id)
        while true {
            let keys = try from.execute("CLUSTER", "GETKEYSINSLOT", slot, "100").split(
                whereSeparator: \.isNewline
            ).map(String.init).sorted()
            if keys.isEmpty { break }
            for key in keys {
                pause()
                let answer = try from.execute(
                    "MIGRATE", "127.0.0.1", "\(target.port)", key, "0", "5000", "REPLACE")
                // The key may have been deleted meanwhile.
                guard answer == "OK" || answer == "NOKEY" else {
                    throw TestFailure("\(key) does not move: \(answer)")
                }
            }
        }
        // The new master comes first, because it informs the other nodes.
        let others = try self.nodes().filter {
            $0.isMaster && !$0.isFailed && $0.id != source.id && $0.id != target.id
        }
        for server in try [to, from] + others.map(self.server) {
            try Self.set(slot, at: server, "NODE", target.id)
        }
    }

    private static func set(_ slot: String, at server: RedisServer, _ state: String, _ node: String)
        throws
    {
        let answer = try server.execute("CLUSTER", "SETSLOT", slot, state, node)
        guard answer == "OK" else {
            throw TestFailure("slot \(slot) is not \(state) \(node) at \(server.port): \(answer)")
        }
    }
}
