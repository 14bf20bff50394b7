import ChatCore
import Configuration
import EventLoop
import HTTPWire

/// Closes the clients of a node that drains.
extension LoopState {
    /// Closes the clients one after the other, and refuses new ones.
    ///
    /// The listeners stay open until the end. A load balancer whose connection is refused would
    /// regard the node as dead and cut off its remaining clients.
    mutating func drain(over time: Duration) {
        self.beginTurn()
        self.context.isDraining = true
        let now = self.context.now.monotonic
        let clients = self.pool.all.filter { $0.isClient && !$0.isListener }
        for (index, connection) in clients.enumerated() {
            switch connection.phase {
            case .webSocket(let webSocket):
                let end =
                    now + time.wholeMilliseconds * Int64(index) / Int64(clients.count) + 1
                self.scheduleClose(connection, webSocket, at: end)
            case .http(let exchange)
            where exchange.isReadingNextHead && connection.unread.isEmpty:
                // Not closed at once, because the last response or the next request may be in
                // transit.
                if connection.closeState == .open {
                    self.pool.beginClose(connection, .lingerWhenSent)
                }
            case .http, .handshake, .listening:
                break
            }
        }
    }

    /// If there are two reasons to close it, the earlier time applies.
    private func scheduleClose(
        _ connection: Connection, _ webSocket: WebSocketState, at time: Int64
    ) {
        webSocket.drainAt = webSocket.drainAt == 0 ? time : min(webSocket.drainAt, time)
        self.pool.scheduleTimer(connection)
    }

    /// Closes the clients one after the other, because other nodes serve them, and refuses new
    /// ones.
    mutating func sendClientsElsewhere() {
        self.beginTurn()
        self.context.isEvicted = true
        let clients = self.pool.all.compactMap { connection in
            connection.isClient ? connection.webSocket.map { (connection, $0) } : nil
        }
        for (index, (connection, webSocket)) in clients.enumerated() {
            let offset = Self.evictionMilliseconds * Int64(index) / Int64(clients.count)
            self.scheduleClose(connection, webSocket, at: self.context.now.monotonic + offset + 1)
        }
    }

    /// The time over which the clients of an evicted node are closed.
    private static let evictionMilliseconds: Int64 = 5000

    /// The node is about to return to its cluster: it keeps the clients that it still has.
    mutating func keepClients() {
        self.context.isEvicted = false
        if !self.context.isDraining { self.endDrain() }
    }

    /// Closes some clients one after the other, so that they connect to other nodes.
    ///
    /// Clients that are already leaving count, because they are part of the numbers from which
    /// operators calculate a surplus. So two orders for the same surplus close it once.
    mutating func closeClients(_ count: Int, over time: Duration) {
        self.beginTurn()
        let clients = self.pool.all.compactMap { connection in
            connection.isClient ? connection.webSocket.map { (connection, $0) } : nil
        }
        let staying = clients.filter { $0.1.drainAt == 0 && !$0.1.hasSentClose }
        let count = max(0, count - (clients.count - staying.count))
        let now = self.context.now.monotonic
        for (index, (connection, webSocket)) in staying.prefix(count).enumerated() {
            webSocket.drainAt = now + time.wholeMilliseconds * Int64(index) / Int64(count) + 1
            self.pool.scheduleTimer(connection)
        }
    }

    /// Keeps the connections that are still open.
    mutating func endDrain() {
        self.beginTurn()
        self.context.isDraining = false
        for connection in self.pool.all {
            guard let webSocket = connection.webSocket, webSocket.drainAt != 0,
                !webSocket.hasSentClose
            else { continue }
            webSocket.drainAt = 0
            self.bridge.resumeReadingIfUnblocked(connection, webSocket)
        }
    }

    func closeForDrain(_ connection: Connection, _ webSocket: WebSocketState) {
        guard webSocket.unansweredCommandCount > 0 else {
            if self.context.isEvicted, !self.context.isDraining {
                return self.pool.closeWebSocket(
                    connection, webSocket, .tryAgainLater,
                    "the node has lost its cluster; connect again")
            }
            return self.pool.closeWebSocket(
                connection, webSocket, .serviceRestart,
                self.context.isDraining
                    ? "the node is going down; connect again"
                    : "the cluster spreads its clients; connect again")
        }
        // The client must still get the answers to its commands. Every command is answered in time,
        // and no more are read. The next tick checks again.
        self.pool.pauseReading(connection)
    }
}
