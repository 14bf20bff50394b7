import Bytes
import ChatCore
import ChatModel
import Configuration
import DialectKit
import EventLoop
import HTTPWire

/// Schedules the timers of connections.
extension ConnectionPool {
    /// Sets the deadline of the connection's present phase.
    func setDeadline(_ connection: Connection, after time: Duration) {
        guard connection.isConnected else { return }
        connection.deadline = self.context.now.after(time)
        self.scheduleTimer(connection)
    }

    /// Schedules the connection's next timer.
    func scheduleTimer(_ connection: Connection) {
        guard connection.isConnected else { return }
        let deadline = connection.deadline
        var next = deadline == 0 ? Int64.max : deadline
        if let webSocket = connection.webSocket, !webSocket.hasSentClose {
            for time in [webSocket.pingAt, webSocket.expiresAt, webSocket.drainAt] where time != 0 {
                next = min(next, time)
            }
            if let time = connection.unfinishedInput?.messageDeadline, time != 0 {
                next = min(next, time)
            }
            next = min(next, webSocket.session?.wakeAt ?? .max)
            next = min(next, webSocket.rate?.wakeAt ?? .max)
            if webSocket.content != .frames {
                next = min(next, webSocket.transportDeadline ?? .max)
            } else {
                let idleTicks = Int64(
                    self.context.tickNumber &- self.table.hot[connection.slot].lastReceivedTick)
                next = min(
                    next, self.context.now.monotonic + (Int64(self.idleLimit) - idleTicks) * 100)
            }
        }
        guard next != .max else { return }
        let tick = max(self.context.tickNumber(at: next), self.wheel.tick + 1)
        let scheduled = connection.nextTimerTick
        guard scheduled <= self.wheel.tick || tick < scheduled else { return }
        connection.nextTimerTick = tick
        self.wheel.schedule(
            UInt32(connection.slot), generation: connection.token.generation, at: tick)
    }

    /// How long an HTTP connection may do nothing: until its next request, or while its client
    /// receives nothing of a response.
    func httpIdleLimit(_ connection: Connection) -> Duration {
        let limits = self.context.live.limits
        return connection.backlog.isEmpty ? limits.httpIdle : limits.idle
    }

    /// The idle timeout, in ticks.
    var idleLimit: UInt32 {
        UInt32(clamping: self.context.live.limits.idle.wholeMilliseconds / 100)
    }

    /// Whether the connection has been inactive for the idle timeout.
    func isIdle(_ connection: Connection) -> Bool {
        self.context.tickNumber &- self.table.hot[connection.slot].lastReceivedTick
            >= self.idleLimit
    }

    /// Calls `body` with each connection whose timer has expired, and schedules its next timer.
    func fireTimers(_ body: (Connection) -> Void) {
        var expired: [TimerWheel.Entry] = []
        swap(&expired, &self.expiredTimers)
        expired.clear(keepingCapacityUpTo: .max)
        self.wheel.advance(to: self.context.tickNumber, into: &expired)
        for entry in expired {
            let token = SocketToken(slot: entry.index, generation: entry.generation)
            // An entry that is not the connection's earliest is stale. The earlier entry has
            // scheduled another.
            guard let connection = self[token], connection.nextTimerTick <= self.wheel.tick else {
                continue
            }
            body(connection)
            self.scheduleTimer(connection)
        }
        swap(&expired, &self.expiredTimers)
    }
}
