import Bytes
import ChatCore
import ChatEngine
import ChatModel
import DialectKit
import EventLoop
import HTTPWire
import Telemetry

/// The values that the parts of one loop share: its number, clock, settings and counters.
///
/// A class, because each part needs it and none of them owns it. Only the loop's thread uses it.
final class LoopContext {
    let index: Int
    let loop: EventLoop
    let shared: GatewayShared
    /// Settings that a reload replaces.
    @exclusivity(unchecked) private(set) var live: LiveSettings
    /// Those of `live`. To check a message, a copy of all limits would cost more than the check.
    @exclusivity(unchecked) private(set) var userLimits: UserLimits
    @exclusivity(unchecked) var counters: LoopCounters
    /// The bans that this loop enforces.
    @exclusivity(unchecked) var bans = BanList()
    /// The connection to other nodes; nil without a cluster.
    @exclusivity(unchecked) var relay: (any Relay)?
    /// New clients are refused, and the open connections are closing.
    @exclusivity(unchecked) var isDraining = false
    /// As `isDraining`, because other nodes serve the clients of this one.
    @exclusivity(unchecked) var isEvicted = false
    var refusesClients: Bool { self.isDraining || self.isEvicted }
    /// The time at which the turn began, and its text for HTTP responses.
    @exclusivity(unchecked) private(set) var now: ClockReading
    @exclusivity(unchecked) private(set) var date: HTTPDate
    private let startedAt: Int64
    /// By the slots of connections.
    @exclusivity(unchecked) var logDetails: [UInt32: ConnectionLogDetails] = [:]
    @exclusivity(unchecked) var refusalLimiter = LogLimiter<RefusalReason>(
        lineLimit: LoopContext.refusalLineLimit, periodMilliseconds: LoopContext.refusalPeriod)

    init(index: Int, loop: EventLoop, shared: GatewayShared, live: LiveSettings) {
        self.index = index
        self.loop = loop
        self.shared = shared
        self.live = live
        self.userLimits = live.limits.ofUser
        self.counters = LoopCounters(dialectCount: shared.settings.dialects.count)
        let now = shared.settings.readClocks()
        self.now = now
        self.startedAt = now.monotonic
        self.date = HTTPDate(now.wall)
    }

    func reload(_ live: LiveSettings) {
        self.live = live
        self.userLimits = live.limits.ofUser
    }

    var settings: GatewaySettings {
        // Not `get`, which would copy all settings to read one.
        @inline(__always) _read { yield self.shared.settings }
    }

    /// Reads the clocks.
    ///
    /// - Returns: the milliseconds since the clocks were read before.
    func updateClocks() -> Int64 {
        let before = self.now.monotonic
        self.now = self.settings.readClocks()
        if self.now.wall.seconds != self.date.seconds { self.date = HTTPDate(self.now.wall) }
        return self.now.monotonic - before
    }

    /// The number of ticks of 100 ms since the loop's start.
    var tickNumber: UInt32 { self.tickNumber(at: self.now.monotonic) }

    func tickNumber(at monotonic: Int64) -> UInt32 {
        UInt32(clamping: (monotonic - self.startedAt + 99) / 100)
    }

    /// The beginning of a tick, in monotonic milliseconds.
    func time(ofTick number: UInt32) -> Int64 { self.startedAt + max(0, Int64(number) - 1) * 100 }
}
