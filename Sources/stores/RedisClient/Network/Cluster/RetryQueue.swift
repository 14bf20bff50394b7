/// Commands whose slot has no known master, or whose server has replied TRYAGAIN; in order.
///
/// Consulted before every command in a cluster. While the slot map is unknown, the queue can hold
/// many thousands of commands.
struct RetryQueue {
    private(set) var commands: [QueuedCommand] = []
    private(set) var byteCount = 0
    private var counts: [RedisSlot: Int] = [:]

    var isEmpty: Bool { self.commands.isEmpty }
    var count: Int { self.commands.count }

    /// Whether commands of this slot are queued. A new command must not overtake them.
    func contains(_ slot: RedisSlot) -> Bool {
        !self.commands.isEmpty && self.counts[slot] != nil
    }

    mutating func append(_ command: QueuedCommand) {
        self.commands.append(command)
        self.byteCount += command.bytes.count
        self.counts[command.slot, default: 0] += 1
    }

    mutating func append(contentsOf commands: [QueuedCommand]) {
        for command in commands { self.append(command) }
    }

    /// Removes and returns all commands; the caller appends those that must wait longer.
    mutating func drain() -> [QueuedCommand] {
        defer { self = RetryQueue() }
        return self.commands
    }
}
