import TestKit

/// Moves some used slots from one master of a Redis Cluster to another. Pauses between keys let
/// messages arrive while a conversation's keys are split.
struct SlotMove {
    /// The maximum number of slots per move.
    private static let slotLimit = 4
    let cluster: RedisClusterServers
    let source: RedisClusterServers.RedisClusterNode
    let target: RedisClusterServers.RedisClusterNode

    /// - Parameters:
    ///    - choice: selects the slots.
    ///    - pause: called before each key.
    func run(_ choice: UInt64, _ pause: () -> Void) throws {
        let server = try self.cluster.server(of: self.source)
        let keys = try server.execute("KEYS", "*").split(whereSeparator: \.isNewline)
        // The channels of the nodes belong to slots as well.
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
