import Bytes
import ChatCore
import ChatModel
import Configuration
import DialectKit
import EngineIO
import EngineTransport
import EventLoop
import HTTPWire

/// Handles what happens to connections: they end, they accept output again, and their timers
/// expire.
extension LoopState {
    /// Handles the pool's events, and the connections that are read again.
    mutating func handleConnectionEvents() {
        while self.pool.hasEvents {
            var events: [PoolEvent] = []
            swap(&events, &self.pool.events)
            for event in events {
                switch event {
                case .dropped(let connection, let user):
                    self.connectionDropped(connection, user)
                    self.pool.forget(connection)
                case .closing(let connection, let webSocket):
                    self.bridge.unsubscribeAll(webSocket, connection)
                case .drained(let connection): self.connectionDrained(connection)
                }
            }
            var resumed: [Connection] = []
            swap(&resumed, &self.pool.resumed)
            for connection in resumed { self.readUnread(connection) }
        }
    }

    /// The client does not wait for its answer any more.
    mutating func clientGone(_ token: SocketToken) {
        self.bridge.cancelSearch(of: token)
        self.http.cancelResponse(to: token)
    }

    private mutating func connectionDropped(_ connection: Connection, _ user: UInt32) {
        self.clientGone(connection.token)
        switch connection.phase {
        case .webSocket(let webSocket):
            self.bridge.endSession(webSocket, connection)
            self.bridge.users.removeConnection(user)
            if webSocket.content != .frames { self.engineConnectionDropped(connection) }
        case .http(let exchange):
            if case .engine = exchange.state { self.engineConnectionDropped(connection) }
        case .handshake, .listening: break
        }
    }

    private mutating func engineConnectionDropped(_ connection: Connection) {
        let (token, now) = (connection.token, self.context.now.monotonic)
        self.updateEngine { $0.connectionDropped(token, at: now, into: &$1) }
    }

    private mutating func connectionDrained(_ connection: Connection) {
        guard connection.isConnected else { return }
        switch connection.phase {
        case .webSocket(let webSocket) where !webSocket.hasSentClose:
            self.bridge.socketDrained(connection, webSocket)
        case .http(let exchange):
            exchange.rate?.setWaiting(0)
            self.http.resumeReadingIfAnswered(connection, exchange)
        case .webSocket, .handshake, .listening: break
        }
    }

    // MARK: Timers

    mutating func fireTimers() {
        self.pool.fireTimers { self.timerFired($0) }
    }

    private mutating func timerFired(_ connection: Connection) {
        let now = self.context.now.monotonic
        if connection.deadline != 0, connection.deadline <= now {
            return self.deadlinePassed(connection)
        }
        guard let webSocket = connection.webSocket, !webSocket.hasSentClose else { return }
        if webSocket.expiresAt != 0, webSocket.expiresAt <= now {
            self.bridge.tokenExpired(connection, webSocket)
        } else if webSocket.isDrainDue(at: now) {
            self.closeForDrain(connection, webSocket)
        } else if let input = connection.unfinishedInput, input.messageDeadline != 0,
            input.messageDeadline <= now
        {
            self.unfinishedMessageExpired(connection, webSocket, input)
        } else {
            self.bridge.updateRate(of: webSocket, connection)
            self.bridge.wakeIfDue(connection, webSocket)
            self.checkActivity(connection, webSocket, at: now)
        }
    }

    private mutating func deadlinePassed(_ connection: Connection) {
        connection.deadline = 0
        guard case .http(let exchange) = connection.phase, connection.closeState == .open,
            !connection.isReadingPaused
        else { return self.pool.drop(connection) }
        var isHead = false
        switch exchange.state {
        case .receivingBody(_, _, let responseContext): isHead = responseContext.answersHead
        case .engine(let pending) where pending.body != nil: break
        case .readingHead where !connection.unread.isEmpty:
            connection.unread.withUnsafeBytes {
                self.http.setUnreadableRequestInfo(connection, exchange, $0)
            }
        // A client that has sent nothing gets no response, because there is no request to answer.
        case .readingHead, .awaitingResponse, .awaitingUpgradeDecision, .engine:
            return self.pool.drop(connection)
        }
        self.http.refuse(
            connection, .requestTimeout,
            HTTPResponseContext(answersHead: isHead, keepsAlive: false, date: self.context.date))
    }
}
