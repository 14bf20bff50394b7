import TestKit

/// Moves some slots with keys in them from one master of a Redis Cluster to another, slowly: between two keys of a conversation there is
/// time for messages.
struct SlotMove {
    /// At most so many at a time.
    private static let slotLimit = 4
    let cluster: RedisClusterServers
    let source: RedisClusterServers.RedisClusterNode
    let target: RedisClusterServers.RedisClusterNode

    /// - Parameters:
    ///   - choice: which of the slots.
    ///   - pause: between two keys.
    func run(_ choice: UInt64, _ pause: () -> Void) throws {
        let server = try self.cluster.server(of: self.source)
        let keys = try server.execute("KEYS", "*").split(whereSeparator: \.isNewline)
        // What is published to nodes goes by slots as well.
        let channels = try server.execute("PUBSUB", "SHARDCHANNELS").split(
            whereSeparator: \.isNewline)
        let slots = Set(
            try (keys + channels).map { try server.execute("CLUSTER", "KEYSLOT", String($0)) }
        ).sorted()
        guard !slots.isEmpty else { return }
        let first = Int(choice % UInt64(slots.count))
        for slot in (slots[first...] + slots[..<first]).prefix(Self.slotLimit) {
            try self.cluster.move(slot: slot, from: self.source, to: self.target, pause: pause)
        }
    }
}
