import ChatCore
import Telemetry

/// What a loop counts: plain numbers, published once a second.
struct LoopCounters {
    /// By dialect.
    var connections: [Int]
    var messagesIn: [UInt64]
    var stored: [UInt64]
    var delivered: [UInt64]
    var accepted: UInt64 = 0
    var httpRequests: UInt64 = 0
    var refusedConnections: UInt64 = 0
    var lostEnvelopes: UInt64 = 0
    var droppedEphemeral: UInt64 = 0
    var rateLimited: UInt64 = 0
    /// Connections closed by the server, by code.
    var closes: [UInt16: UInt64] = [:]
    /// What the log says already of changes that the store had forgotten.
    var loggedRestored = RecoveryCounts()
    var bytesIn: UInt64 = 0
    var bytesOut: UInt64 = 0
    /// The longest turn of each second.
    var turnTimes = Histogram()
    /// From handing a batch to the store to its answer.
    var storeTimes = Histogram()

    init(dialectCount: Int) {
        self.connections = Array(repeating: 0, count: dialectCount + 1)
        self.messagesIn = Array(repeating: 0, count: dialectCount + 1)
        self.stored = Array(repeating: 0, count: dialectCount + 1)
        self.delivered = Array(repeating: 0, count: dialectCount + 1)
    }
}
