import ChatCore
import Telemetry

/// The counters of a loop. They are plain integers, published once a second.
struct LoopCounters {
    /// By dialect; index 0 is the echo.
    var connections: [Int]
    var messagesIn: [UInt64]
    var stored: [UInt64]
    var delivered: [UInt64]
    var accepted: UInt64 = 0
    var httpRequests: UInt64 = 0
    /// By the index of `RefusalReason`.
    var refusals = [UInt64](repeating: 0, count: RefusalReason.allCases.count)
    /// HTTP responses by status code, 100 to 599.
    var responses = [UInt64](repeating: 0, count: 600)
    var lostEnvelopes: UInt64 = 0
    var droppedEphemeral: UInt64 = 0
    var rateLimited: UInt64 = 0
    /// Connections closed by the server, by close code.
    var closes: [UInt16: UInt64] = [:]
    /// The recovery counts that are already in the log.
    var loggedRestored = RecoveryCounts()
    var bytesIn: UInt64 = 0
    var bytesOut: UInt64 = 0
    /// The longest turn of each second.
    var turnTimes = Histogram()
    /// The time from submitting a batch to the store's reply.
    var storeTimes = Histogram()
    /// Changes that the store has acknowledged.
    var storedWrites: UInt64 = 0
    /// Bytes of contents and metadata in the changes submitted to the store.
    var submittedBytes: UInt64 = 0
    /// The time from accepting a message on any node to writing it to sockets of this loop.
    var deliveryTimes = Histogram()

    init(dialectCount: Int) {
        self.connections = Array(repeating: 0, count: dialectCount + 1)
        self.messagesIn = Array(repeating: 0, count: dialectCount + 1)
        self.stored = Array(repeating: 0, count: dialectCount + 1)
        self.delivered = Array(repeating: 0, count: dialectCount + 1)
    }
}
