public import ChatCore

/// A loop's statistics for operators.
public struct LoopReport: Sendable {
    /// Open WebSockets.
    public var connections = 0
    /// Users with a connection on this loop.
    public var users = 0
    /// Conversations in memory that this loop owns.
    public var conversations = 0
    /// Messages per second from and to clients, over the last second.
    public var messagesIn = 0.0
    public var messagesOut = 0.0
    /// Connections with more than `LoopStatistics.slowConnectionBytes` unsent bytes, and the unsent
    /// bytes of all connections.
    public var slowConnections = 0
    public var pendingBytes = 0
    /// The longest turn of each of the last seconds, in nanoseconds.
    public var turns: [UInt64] = []
    /// The process's share of one CPU core over the last second. Only the first loop reports it.
    public var cpu = 0.0
    /// How many stored changes the store had lost, and how they were recovered.
    public var restored = RecoveryCounts()
}

/// A loop's rates, measured once a second for operators.
struct LoopRates {
    static let turnLimit = 100

    private var measuredAt: Int64 = 0
    private var counted: (into: UInt64, out: UInt64, cpu: Int64) = (0, 0, 0)
    private(set) var messagesIn = 0.0
    private(set) var messagesOut = 0.0
    private(set) var cpu = 0.0
    private(set) var turns: [UInt64] = []
    private var nextTurn = 0

    /// - Parameters:
    ///   - messagesIn: the total number of messages from clients.
    ///   - messagesOut: the total number of messages to clients.
    ///   - cpu: the total CPU time of the process, in nanoseconds.
    mutating func record(
        messagesIn into: UInt64, messagesOut out: UInt64, cpu: Int64, turn: UInt64, at now: Int64
    ) {
        if self.measuredAt > 0, now > self.measuredAt {
            let seconds = Double(now - self.measuredAt) / 1000
            self.messagesIn = Double(into - self.counted.into) / seconds
            self.messagesOut = Double(out - self.counted.out) / seconds
            self.cpu = Double(cpu - self.counted.cpu) / 1e9 / seconds
        }
        self.measuredAt = now
        self.counted = (into, out, cpu)
        if self.turns.count < Self.turnLimit {
            self.turns.append(turn)
        } else {
            self.turns[self.nextTurn] = turn
            self.nextTurn = (self.nextTurn + 1) % Self.turnLimit
        }
    }
}
