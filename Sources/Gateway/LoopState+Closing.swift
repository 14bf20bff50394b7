import Bytes
import ChatCore
import Configuration
import EventLoop
import HTTPWire
import Synchronization
import TLS
import Telemetry

/// Closes connections, or moves them to another loop.
extension LoopState {
    /// Closes a connection at once and removes its state.
    mutating func drop(_ connection: Connection) {
        guard connection.isConnected else { return }
        if case .webSocket(let webSocket) = connection.phase {
            self.endSession(webSocket, connection)
        }
        connection.tls?.close()
        self.users.removeConnection(self.table.hot[connection.slot].user)
        self.removeConnection(connection)
        if connection.listenerRole == .clients, !connection.isListener {
            self.shared.connectionCount.subtract(1, ordering: .relaxed)
        }
        self.loop.close(connection.token)
        switch connection.phase {
        case .webSocket(let webSocket) where webSocket.engine != nil || webSocket.isProbe:
            self.engineConnectionDropped(connection.token, webSocket)
        case .http(let exchange):
            if let engine = exchange.engineRequest {
                self.engineRequestAborted(connection.token, engine)
            }
        case .webSocket, .handshake, .listening: break
        }
    }

    /// Begins to close a connection after its unsent bytes.
    mutating func beginClose(_ connection: Connection, _ closeState: Connection.CloseState) {
        guard connection.isConnected else { return }
        connection.closeState = closeState
        self.table.hot[connection.slot].flags.insert(.isClosing)
        connection.unread = []
        connection.isReadingPaused = false
        self.continueClose(connection)
        guard connection.isConnected else { return }
        self.setDeadline(connection, after: Self.closeTimeout)
        // A connection with frames of this turn only is mostly gone after they are written. If some
        // remain unsent, `backlogChanged` updates the interest.
        let hasOnlyFrames =
            connection.backlog.isEmpty
            && !self.table.hot[connection.slot].flags.contains(.isPolling)
        if closeState != .closeWhenSent || !hasOnlyFrames { self.updateInterest(connection) }
    }

    mutating func continueClose(_ connection: Connection) {
        guard self.table.hot[connection.slot].flags.contains(.isClosing), connection.isConnected
        else { return }
        guard connection.backlog.isEmpty, self.table.hot[connection.slot].frameCount == 0 else {
            return
        }
        // A polling session ends itself after the last poll.
        guard !self.table.hot[connection.slot].flags.contains(.isPolling) else { return }
        switch connection.closeState {
        case .open, .lingering: return
        case .closeWhenSent: self.drop(connection)
        case .lingerWhenSent:
            connection.closeState = .lingering
            connection.tls?.close()
            Socket(descriptor: self.table.hot[connection.slot].descriptor).shutdownWriting()
        }
    }

    // MARK: Moving to another loop

    /// Moves a connection that has just become a WebSocket to the loop that owns its conversation.
    ///
    /// - Parameter response: the unsent response to the upgrade. The other loop sends it together
    ///   with the session's first frames.
    mutating func moveWebSocket(
        _ connection: Connection, to loop: Int, _ webSocket: WebSocketState, response: SharedFrame,
        unread: [UInt8]
    ) {
        guard connection.isConnected, let session = webSocket.session else { return }
        let handoff = ConnectionHandoff(
            socket: Socket(descriptor: self.table.hot[connection.slot].descriptor),
            peer: connection.peer,
            tls: connection.tls, session: session,
            dialect: webSocket.dialect, acceptsCompression: webSocket.acceptsCompression,
            isCompressed: webSocket.isCompressed, expiresAt: webSocket.expiresAt,
            response: response, unread: unread)
        self.removeConnection(connection)
        let shared = self.shared
        self.loop.detach(connection.token) { socket in
            if !shared.mailboxes[loop].post(.adopt(handoff)) {
                socket.close()
                shared.connectionCount.subtract(1, ordering: .relaxed)
            }
        }
    }

    /// Whether another loop can answer the connection's requests. Responses to earlier requests
    /// must have been sent.
    func canMove(_ connection: Connection) -> Bool {
        self.table.hot[connection.slot].frameCount == 0 && connection.backlog.isEmpty
    }

    /// Moves a connection to the loop that answers its request.
    mutating func moveRequest(_ connection: Connection, to loop: Int, _ unread: [UInt8]) {
        guard connection.isConnected else { return }
        let handoff = RequestHandoff(
            socket: Socket(descriptor: self.table.hot[connection.slot].descriptor),
            peer: connection.peer,
            isOverLimit: connection.isOverLimit,
            tls: connection.tls, unread: unread)
        self.removeConnection(connection)
        let shared = self.shared
        self.loop.detach(connection.token) { socket in
            if !shared.mailboxes[loop].post(.adoptRequest(handoff)) {
                socket.close()
                shared.connectionCount.subtract(1, ordering: .relaxed)
            }
        }
    }

    mutating func adoptRequest(_ handoff: RequestHandoff) {
        do throws(SocketError) {
            let token = try self.loop.register(handoff.socket.descriptor)
            let connection = Connection(
                token: token, peer: handoff.peer, listenerRole: .clients,
                isOverLimit: handoff.isOverLimit, tls: handoff.tls, phase: .http(HTTPExchange()))
            self.addConnection(connection, descriptor: handoff.socket.descriptor)
            self.setDeadline(connection, after: self.live.limits.header)
            connection.unread = handoff.unread
            self.pauseReading(connection)
            self.resumeReading(connection)
        } catch {
            self.shared.logger.warning(
                "connection handoff failed", ["reason": .text(error.description)])
            handoff.socket.close()
            self.shared.connectionCount.subtract(1, ordering: .relaxed)
        }
    }

    mutating func adopt(_ handoff: ConnectionHandoff) {
        do throws(SocketError) {
            let token = try self.loop.register(handoff.socket.descriptor)
            let webSocket = self.makeWebSocketState(
                handoff.session, dialect: handoff.dialect,
                acceptsCompression: handoff.acceptsCompression,
                isCompressed: handoff.isCompressed)
            webSocket.expiresAt = handoff.expiresAt
            let connection = Connection(
                token: token, peer: handoff.peer, listenerRole: .clients, tls: handoff.tls,
                phase: .webSocket(webSocket))
            self.addConnection(connection, descriptor: handoff.socket.descriptor)
            connection.unread = handoff.unread
            // The session must begin before its first frames are read.
            self.pauseReading(connection)
            self.send(connection, handoff.response)
            self.beginSession(webSocket, connection)
            if connection.isConnected { self.resumeReadingIfUnblocked(connection, webSocket) }
            // The connection was moving when the drain set the other clients' deadlines.
            if self.isDraining, connection.isConnected {
                webSocket.drainAt = self.now.monotonic + 1
                self.scheduleTimer(connection)
            }
        } catch {
            self.shared.logger.warning(
                "connection handoff failed", ["reason": .text(error.description)])
            handoff.socket.close()
            self.shared.connectionCount.subtract(1, ordering: .relaxed)
        }
    }
}
