import Bytes
import ChatCore
import Configuration
import DialectKit
import EngineIO
import EventLoop
import HTTPWire

/// What happens because time has passed.
extension LoopState {
    /// How long a close handshake, or the last words to a slow reader, may take.
    static let closeTimeout = Duration.seconds(5)

    /// The present stage of a connection must have ended by then.
    mutating func setDeadline(_ slot: Int, after time: Duration) {
        guard self.isOccupied(slot) else { return }
        self.connections[slot]!.deadline = self.now.after(time)
        self.scheduleTimer(slot)
    }

    /// Looks at the connection again when the next of its times has come.
    mutating func scheduleTimer(_ slot: Int) {
        guard let deadline = self.connections[slot]?.deadline else { return }
        var next = deadline == 0 ? Int64.max : deadline
        if let talk = self.connections[slot]!.webSocket, !talk.hasSentClose {
            for time in [talk.pingAt, talk.expiresAt, talk.drainAt] where time != 0 {
                next = min(next, time)
            }
            if talk.isProbe {
                // Its session looks after it.
            } else if let engine = talk.engine {
                next = min(next, engine.session.deadline ?? .max, talk.session?.wakeAt ?? .max)
            } else {
                let silence = Int64(self.tickNumber &- self.table.hot[slot].lastReceivedTick)
                next = min(next, self.now.monotonic + (Int64(self.idleLimit) - silence) * 100)
            }
        }
        guard next != .max else { return }
        let tick = max(self.tickNumber(at: next), self.wheel.tick + 1)
        let scheduled = self.connections[slot]!.nextTimerTick
        guard scheduled <= self.wheel.tick || tick < scheduled else { return }
        self.connections[slot]!.nextTimerTick = tick
        self.wheel.schedule(
            UInt32(slot), generation: self.connections[slot]!.token.generation, at: tick)
    }

    /// The longest silence, in ticks.
    private var idleLimit: UInt32 {
        UInt32(clamping: self.live.limits.idle.wholeMilliseconds / 100)
    }

    mutating func fireTimers() {
        var expired: [TimerWheel.Entry] = []
        swap(&expired, &self.expiredTimers)
        expired.clear(keepingCapacityUpTo: .max)
        self.wheel.advance(to: self.tickNumber, into: &expired)
        for entry in expired {
            let token = SocketToken(slot: entry.index, generation: entry.generation)
            // An entry that is not the connection's earliest is stale: the earlier one has set another.
            guard self.isCurrent(token),
                self.connections[Int(entry.index)]!.nextTimerTick <= self.wheel.tick
            else { continue }
            self.timerFired(Int(entry.index))
            if self.isCurrent(token) { self.scheduleTimer(Int(entry.index)) }
        }
        swap(&expired, &self.expiredTimers)
    }

    private mutating func timerFired(_ slot: Int) {
        let connection = self.connections[slot]!
        if connection.deadline != 0, connection.deadline <= self.now.monotonic {
            self.deadlinePassed(slot, connection)
            return
        }
        guard case .webSocket(let talk) = connection.phase, !talk.hasSentClose else { return }
        if talk.expiresAt != 0, talk.expiresAt <= self.now.monotonic {
            talk.expiresAt = 0
            talk.session?.tokenExpired(into: &self.steps)
            self.runSteps(slot, talk)
        } else if talk.drainAt != 0, talk.drainAt <= self.now.monotonic {
            self.closeForDrain(slot, talk)
        } else if talk.engine != nil || talk.isProbe {
            if let wakeAt = talk.session?.wakeAt, wakeAt <= self.now.monotonic {
                talk.session?.wake(into: &self.steps)
                self.runSteps(slot, talk)
            }
            let now = self.now.monotonic
            if let engine = talk.engine { self.expireRemoteRequests(connection.token, engine) }
            self.updateEngine(connection.token) { $0.tick(at: now, into: &$1) }
        } else if self.tickNumber &- self.table.hot[slot].lastReceivedTick >= self.idleLimit {
            // Also when nothing is read because it takes nothing: then taking counts as a sign of life.
            self.closeWebSocket(
                slot, talk, .goingAway, "nothing was heard for \(self.live.limits.idle)")
        } else if talk.pingAt <= self.now.monotonic {
            talk.pingAt = self.now.monotonic + self.live.limits.ping.wholeMilliseconds
            self.ping(slot, talk)
        }
    }

    private mutating func closeForDrain(_ slot: Int, _ talk: WebSocketState) {
        guard talk.unansweredCommandCount > 0 else {
            self.closeWebSocket(
                slot, talk, .serviceRestart, "the node is going down; connect again")
            return
        }
        // Closed now it would not hear that what it has sent is stored. Every command is answered in time, and no more are read.
        self.pauseReading(slot)
        talk.drainAt = self.now.monotonic + 100
    }

    private mutating func ping(_ slot: Int, _ talk: WebSocketState) {
        self.sendFrame(slot, .ping, UnsafeRawBufferPointer(start: nil, count: 0))
        guard talk.dialect >= 0,
            let heartbeat = self.shared.settings.dialects[talk.dialect].heartbeat
        else { return }
        self.sendFrame(
            slot, .text,
            UnsafeRawBufferPointer(start: heartbeat.utf8Start, count: heartbeat.utf8CodeUnitCount))
    }

    private mutating func deadlinePassed(_ slot: Int, _ connection: Connection) {
        self.connections[slot]!.deadline = 0
        switch (connection.phase, connection.closeState) {
        case (.http(let exchange), .open)
        where !connection.isReadingPaused
            && (exchange.incompleteRequest != nil || !connection.unread.isEmpty):
            // Whoever has said nothing at all is not told that it was too slow: there is no request to answer.
            let isHead = exchange.incompleteRequest?.responseContext.answersHead ?? false
            if exchange.incompleteRequest == nil {
                connection.unread.withUnsafeBytes {
                    self.setUnreadableRequestInfo(slot, exchange, $0)
                }
            }
            self.refuse(
                slot, .requestTimeout,
                HTTPResponseContext(answersHead: isHead, keepsAlive: false, date: self.date))
        default:
            self.drop(slot)
        }
    }

    // MARK: Drain

    /// The clients are closed one after the other; who comes is sent away.
    ///
    /// The listeners stay until the end: a load balancer that is refused takes the node for dead, and cuts off the clients that it
    /// has here.
    mutating func drain(over time: Duration) {
        self.beginTurn()
        self.isDraining = true
        let clients = self.connections.indices.filter {
            self.connections[$0].map { $0.listenerRole == .clients && !$0.isListener } ?? false
        }
        for (place, slot) in clients.enumerated() {
            switch self.connections[slot]!.phase {
            case .webSocket(let talk):
                let end =
                    self.now.monotonic + time.wholeMilliseconds * Int64(place)
                    / Int64(clients.count) + 1
                // Of two drains the quicker counts.
                talk.drainAt = talk.drainAt == 0 ? end : min(talk.drainAt, end)
                self.scheduleTimer(slot)
            case .http(let exchange)
            where exchange.incompleteRequest == nil && !exchange.isResponsePending
                && exchange.engineRequest == nil && self.connections[slot]!.unread.isEmpty:
                // Not closed at once: the last answer may be on its way, and the next request.
                if self.connections[slot]!.closeState == .open {
                    self.beginClose(slot, .lingerWhenSent)
                }
            case .http, .handshake, .listening:
                break
            }
        }
    }
    /// Whoever has not been closed yet stays after all.
    mutating func endDrain() {
        self.beginTurn()
        self.isDraining = false
        for slot in self.connections.indices {
            guard case .webSocket(let talk)? = self.connections[slot]?.phase, talk.drainAt != 0,
                !talk.hasSentClose
            else { continue }
            talk.drainAt = 0
            self.resumeReadingIfUnblocked(slot, talk)
        }
    }
}
