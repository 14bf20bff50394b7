import RedisClient

/// One master of a simulated Redis Cluster without replicas. Each master has an equal share of the
/// slots, which never move.
public struct SimulatedClusterMaster: Sendable {
    /// The addresses of all masters, in the order of their slots.
    let addresses: [String]
    let index: Int

    public init(_ index: Int, of addresses: [String]) {
        self.index = index
        self.addresses = addresses
    }

    private func slots(of master: Int) -> Range<Int> {
        let count = Int(RedisSlot.count)
        return count * master / self.addresses.count..<count * (master + 1) / self.addresses.count
    }

    /// The reply to CLUSTER SLOTS.
    var slots: RESPValue {
        .array(
            self.addresses.indices.map { master in
                let slots = self.slots(of: master)
                return .array([
                    .integer(Int64(slots.lowerBound)), .integer(Int64(slots.upperBound - 1)),
                    .array([
                        .text(self.addresses[master]), .integer(6379), .text("master-\(master)"),
                    ]),
                ])
            })
    }

    /// Throws if another master has the command's keys, or if they are in several slots.
    func check(_ command: CommandArguments) throws(RedisFailure) {
        let slots = Set(try Self.keys(of: command).map(Self.slot))
        guard let slot = slots.first else { return }
        guard slots.count == 1 else {
            throw RedisFailure("CROSSSLOT Keys in request don't hash to the same slot")
        }
        guard let owner = self.addresses.indices.first(where: { self.slots(of: $0).contains(slot) })
        else { return }
        if owner != self.index {
            throw RedisFailure("MOVED \(slot) \(self.addresses[owner]):6379")
        }
    }

    private static func slot(of key: [UInt8]) -> Int {
        Int(key.withUnsafeBytes { RedisSlot(key: $0) }.number)
    }

    private static func keys(of command: CommandArguments) throws(RedisFailure) -> ArraySlice<
        [UInt8]
    > {
        switch command.name {
        case "EVAL", "EVALSHA":
            let count = Int(try command.integer(2))
            return count > 0 ? try command.rest(from: 3).prefix(count) : []
        case "DEL", "EXISTS", "SSUBSCRIBE": return try command.rest(from: 1)
        case "AUTH", "CLIENT", "CLUSTER", "CONFIG", "DBSIZE", "FLUSHALL", "INFO", "PING",
            "PUBLISH", "ROLE", "SCAN", "SCRIPT", "SELECT", "SUBSCRIBE", "SUNSUBSCRIBE", "TIME",
            "UNSUBSCRIBE", "WAIT":
            return []
        case "MEMORY": return try command.rest(from: 2).prefix(1)
        default: return try command.rest(from: 1).prefix(1)
        }
    }
}
