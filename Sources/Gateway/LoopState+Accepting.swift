import ChatCore
import Configuration
import EventLoop
import Synchronization
import TLS
import Telemetry

/// Accepts connections.
extension LoopState {
    mutating func listen(_ listener: ListeningSocket, _ role: ListenerRole) throws(SocketError) {
        let token = try self.loop.register(listener.descriptor)
        self.addConnection(
            Connection(
                token: token, peer: listener.address, listenerRole: role,
                phase: .listening(listener)), descriptor: listener.descriptor)
        self.listeners.append(token)
    }

    mutating func addConnection(_ connection: Connection, descriptor: Int32) {
        self.table.open(
            connection.token, descriptor: descriptor, isTLS: connection.tls != nil,
            at: self.tickNumber)
        self.connections.insert(connection)
    }

    /// Removes a connection from the loop's tables. Its socket stays open.
    mutating func removeConnection(_ connection: Connection) {
        connection.isConnected = false
        self.table.close(connection.slot)
        self.connections.remove(connection)
    }

    // Some functions that only read are inlined or marked as mutating, here and elsewhere. A
    // mutating function would otherwise pass them a copy of the loop's state, which has thousands
    // of bytes.

    /// The connection of a token; nil if it is closed.
    @inline(__always)
    func connection(_ token: SocketToken) -> Connection? { self.connections[token] }

    /// The WebSocket of a token, unless it is closing.
    @inline(__always)
    func openWebSocket(_ token: SocketToken) -> (connection: Connection, webSocket: WebSocketState)?
    {
        self.connection(token) == nil ? nil : self.openWebSocket(at: token.slot)
    }

    /// The WebSocket in a slot, unless it is closing.
    @inline(__always)
    func openWebSocket(at slot: UInt32) -> (connection: Connection, webSocket: WebSocketState)? {
        guard let connection = self.connections[slot],
            case .webSocket(let webSocket) = connection.phase,
            !webSocket.hasSentClose
        else { return nil }
        return (connection, webSocket)
    }

    mutating func accept(from listener: ListeningSocket, _ role: ListenerRole) {
        // The limit leaves time for the open connections.
        for _ in 0..<64 {
            switch listener.accept() {
            case .accepted(let socket, let peer):
                self.openConnection(socket, from: peer, at: role)
            case .wouldBlock:
                return
            case .tooManyDescriptors:
                self.pauseAccepting()
                return
            case .failed(let code):
                self.shared.logger.error("accept failed", ["errno": .integer(Int64(code))])
                self.pauseAccepting()
                return
            }
        }
    }

    private mutating func pauseAccepting() {
        if self.resumeAcceptingAt == 0 {
            self.shared.logger.warning("accepting paused", ["reason": "no file descriptors left"])
        }
        self.resumeAcceptingAt = self.now.monotonic + 1000
        for listener in self.listeners {
            self.loop.setInterest(listener, read: false, write: false)
        }
    }

    mutating func resumeAccepting() {
        self.resumeAcceptingAt = 0
        for listener in self.listeners { self.loop.setInterest(listener, read: true, write: false) }
    }

    private mutating func openConnection(
        _ socket: Socket, from peer: SocketAddress, at role: ListenerRole
    ) {
        var tls: TLSConnection?
        if role == .clients, let context = self.live.tls {
            do throws(TLSError) {
                tls = try TLSConnection(accepting: socket.descriptor, context)
            } catch {
                self.shared.logger.error("TLS setup failed", ["reason": .text(error.description)])
                socket.close()
                return
            }
        }
        do throws(SocketError) {
            let token = try self.loop.register(socket.descriptor)
            self.counters.accepted += 1
            var isOverLimit = false
            if role == .clients {
                isOverLimit =
                    self.shared.connectionCount.add(1, ordering: .relaxed).newValue
                    > self.live.limits.connections
            }
            let connection = Connection(
                token: token, peer: peer, listenerRole: role, isOverLimit: isOverLimit, tls: tls,
                phase: tls == nil ? .http(HTTPExchange()) : .handshake)
            self.addConnection(connection, descriptor: socket.descriptor)
            self.setDeadline(connection, after: self.live.limits.header)
        } catch {
            self.shared.logger.warning("connection rejected", ["reason": .text(error.description)])
            socket.close()
        }
    }

    mutating func performHandshake(_ connection: Connection) {
        guard let tls = connection.tls else { return }
        switch tls.handshake() {
        case .done:
            connection.phase = .http(HTTPExchange())
            self.setDeadline(connection, after: self.live.limits.header)
            self.loop.setInterest(connection.token, read: true, write: false)
            self.read(connection)
        case .wantRead: self.loop.setInterest(connection.token, read: true, write: false)
        case .wantWrite: self.loop.setInterest(connection.token, read: true, write: true)
        case .failed(let error):
            self.shared.logger.debug(
                "TLS handshake failed",
                [
                    "address": .text(connection.address),
                    "reason": .text(error.description),
                ])
            self.drop(connection)
        }
    }
}
