import Bytes
import ChatCore
import Configuration
import DialectKit
import EngineIO
import EventLoop
import HTTPWire

/// Handles deadlines, keepalive and drains.
extension LoopState {
    /// The time for a close handshake, or for a slow reader to receive the close frame.
    static let closeTimeout = Duration.seconds(5)

    /// Sets the deadline of the connection's present phase.
    mutating func setDeadline(_ connection: Connection, after time: Duration) {
        guard connection.isConnected else { return }
        connection.deadline = self.now.after(time)
        self.scheduleTimer(connection)
    }

    /// Schedules the connection's next timer.
    mutating func scheduleTimer(_ connection: Connection) {
        guard connection.isConnected else { return }
        let deadline = connection.deadline
        var next = deadline == 0 ? Int64.max : deadline
        if let webSocket = connection.webSocket, !webSocket.hasSentClose {
            for time in [webSocket.pingAt, webSocket.expiresAt, webSocket.drainAt] where time != 0 {
                next = min(next, time)
            }
            if webSocket.isProbe {
                // The session that it is to take over has the deadline.
            } else if let engine = webSocket.engine {
                next = min(next, engine.session.deadline ?? .max, webSocket.session?.wakeAt ?? .max)
            } else {
                let idleTicks = Int64(
                    self.tickNumber &- self.table.hot[connection.slot].lastReceivedTick)
                next = min(next, self.now.monotonic + (Int64(self.idleLimit) - idleTicks) * 100)
            }
        }
        guard next != .max else { return }
        let tick = max(self.tickNumber(at: next), self.wheel.tick + 1)
        let scheduled = connection.nextTimerTick
        guard scheduled <= self.wheel.tick || tick < scheduled else { return }
        connection.nextTimerTick = tick
        self.wheel.schedule(
            UInt32(connection.slot), generation: connection.token.generation, at: tick)
    }

    /// The idle timeout, in ticks.
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
            // An entry that is not the connection's earliest is stale. The earlier entry has
            // scheduled another.
            guard let connection = self.connection(token),
                connection.nextTimerTick <= self.wheel.tick
            else { continue }
            self.timerFired(connection)
            self.scheduleTimer(connection)
        }
        swap(&expired, &self.expiredTimers)
    }

    private mutating func timerFired(_ connection: Connection) {
        if connection.deadline != 0, connection.deadline <= self.now.monotonic {
            self.deadlinePassed(connection)
            return
        }
        guard case .webSocket(let webSocket) = connection.phase, !webSocket.hasSentClose else {
            return
        }
        if webSocket.expiresAt != 0, webSocket.expiresAt <= self.now.monotonic {
            webSocket.expiresAt = 0
            webSocket.session?.tokenExpired(into: &self.steps)
            self.runSteps(connection, webSocket)
        } else if webSocket.drainAt != 0, webSocket.drainAt <= self.now.monotonic {
            self.closeForDrain(connection, webSocket)
        } else if webSocket.engine != nil || webSocket.isProbe {
            if let wakeAt = webSocket.session?.wakeAt, wakeAt <= self.now.monotonic {
                webSocket.session?.wake(into: &self.steps)
                self.runSteps(connection, webSocket)
            }
            let now = self.now.monotonic
            if let engine = webSocket.engine { self.expireRemoteRequests(connection.token, engine) }
            self.updateEngine(connection.token) { $0.tick(at: now, into: &$1) }
        } else if self.tickNumber &- self.table.hot[connection.slot].lastReceivedTick
            >= self.idleLimit
        {
            // This also applies if reading is paused because the client receives nothing. Receiving
            // counts as activity.
            self.closeWebSocket(
                connection, webSocket, .goingAway, "nothing was heard for \(self.live.limits.idle)")
        } else if webSocket.pingAt <= self.now.monotonic {
            webSocket.pingAt = self.now.monotonic + self.live.limits.ping.wholeMilliseconds
            self.ping(connection, webSocket)
        }
    }

    private mutating func closeForDrain(_ connection: Connection, _ webSocket: WebSocketState) {
        guard webSocket.unansweredCommandCount > 0 else {
            self.closeWebSocket(
                connection, webSocket, .serviceRestart, "the node is going down; connect again")
            return
        }
        // The client must still get the answers to its commands. Every command is answered in time,
        // and no more are read.
        self.pauseReading(connection)
        webSocket.drainAt = self.now.monotonic + 100
    }

    private mutating func ping(_ connection: Connection, _ webSocket: WebSocketState) {
        self.sendFrame(connection, .ping, UnsafeRawBufferPointer(start: nil, count: 0))
        guard webSocket.dialect >= 0,
            let heartbeat = self.shared.settings.dialects[webSocket.dialect].heartbeat
        else { return }
        self.sendFrame(
            connection, .text,
            UnsafeRawBufferPointer(start: heartbeat.utf8Start, count: heartbeat.utf8CodeUnitCount))
    }

    private mutating func deadlinePassed(_ connection: Connection) {
        connection.deadline = 0
        switch (connection.phase, connection.closeState) {
        case (.http(let exchange), .open)
        where !connection.isReadingPaused
            && (exchange.incompleteRequest != nil || !connection.unread.isEmpty):
            // A client that has sent nothing gets no response, because there is no request to
            // answer.
            let isHead = exchange.incompleteRequest?.responseContext.answersHead ?? false
            if exchange.incompleteRequest == nil {
                connection.unread.withUnsafeBytes {
                    self.setUnreadableRequestInfo(connection, exchange, $0)
                }
            }
            self.refuse(
                connection, .requestTimeout,
                HTTPResponseContext(answersHead: isHead, keepsAlive: false, date: self.date))
        default:
            self.drop(connection)
        }
    }

    // MARK: Drain

    /// Closes the clients one after the other, and refuses new ones.
    ///
    /// The listeners stay open until the end. A load balancer whose connection is refused would
    /// regard the node as dead and cut off its remaining clients.
    mutating func drain(over time: Duration) {
        self.beginTurn()
        self.isDraining = true
        let clients = self.connections.filter { $0.listenerRole == .clients && !$0.isListener }
        for (index, connection) in clients.enumerated() {
            switch connection.phase {
            case .webSocket(let webSocket):
                let end =
                    self.now.monotonic + time.wholeMilliseconds * Int64(index)
                    / Int64(clients.count) + 1
                // If there are two drains, the earlier deadline applies.
                webSocket.drainAt = webSocket.drainAt == 0 ? end : min(webSocket.drainAt, end)
                self.scheduleTimer(connection)
            case .http(let exchange)
            where exchange.incompleteRequest == nil && !exchange.isResponsePending
                && exchange.engineRequest == nil && connection.unread.isEmpty:
                // Not closed at once, because the last response or the next request may be in
                // transit.
                if connection.closeState == .open {
                    self.beginClose(connection, .lingerWhenSent)
                }
            case .http, .handshake, .listening:
                break
            }
        }
    }
    /// Keeps the connections that are still open.
    mutating func endDrain() {
        self.beginTurn()
        self.isDraining = false
        for connection in self.connections {
            guard case .webSocket(let webSocket) = connection.phase,
                webSocket.drainAt != 0,
                !webSocket.hasSentClose
            else { continue }
            webSocket.drainAt = 0
            self.resumeReadingIfUnblocked(connection, webSocket)
        }
    }
}
