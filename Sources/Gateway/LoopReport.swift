public import ChatCore

/// What a loop says of itself to operators.
public struct LoopReport: Sendable {
    /// Open WebSockets.
    public var connections = 0
    /// Users with a connection on this loop.
    public var users = 0
    /// Conversations in memory that this loop owns.
    public var conversations = 0
    /// Messages a second from clients and to them, over the last second.
    public var messagesIn = 0.0
    public var messagesOut = 0.0
    /// Connections for which more than `LoopState.slowConnectionBytes` wait, and the bytes that wait for all of them.
    public var slowConnections = 0
    public var pendingBytes = 0
    /// The longest turn of each of the last seconds, in nanoseconds.
    public var turns: [UInt64] = []
    /// The process's share of a core over the last second; of the first loop only.
    public var cpu = 0.0
    /// What the store lacked although it had been given it, and what became of it.
    public var restored = RecoveryCounts()
}

/// What a loop measures from second to second, for operators.
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
    ///   - into: messages from clients so far; `out`: to clients.
    ///   - cpu: the process's time so far, in nanoseconds.
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
