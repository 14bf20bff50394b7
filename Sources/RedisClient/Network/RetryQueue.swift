/// Commands whose slot has no master that is known, or whose server has put them off; in their order.
///
/// Asked before each command of a cluster, and while the cluster is not known there may be many thousands.
struct RetryQueue {
    private(set) var commands: [QueuedCommand] = []
    private(set) var byteCount = 0
    private var counts: [RedisSlot: Int] = [:]

    var isEmpty: Bool { self.commands.isEmpty }
    var count: Int { self.commands.count }

    /// Whether anything of a slot waits: nothing goes before it.
    func contains(_ slot: RedisSlot) -> Bool {
        !self.commands.isEmpty && self.counts[slot] != nil
    }

    mutating func append(_ parcel: QueuedCommand) {
        self.commands.append(parcel)
        self.byteCount += parcel.bytes.count
        self.counts[parcel.slot, default: 0] += 1
    }

    mutating func append(contentsOf parcels: [QueuedCommand]) {
        for parcel in parcels { self.append(parcel) }
    }

    /// Takes everything out; what goes on waiting is to be put in again.
    mutating func drain() -> [QueuedCommand] {
        defer { self = RetryQueue() }
        return self.commands
    }
}
