import Bytes
import ChatCore
import Configuration
import DialectKit
import EventLoop
import HTTPWire
import Synchronization
import TLS
import Telemetry

/// Closes connections, or moves them to another loop.
extension LoopState {
    /// Closes a connection at once and removes its state.
    mutating func drop(_ slot: Int) {
        guard let connection = self.connections[slot] else { return }
        if case .webSocket(let webSocket) = connection.phase { self.endSession(webSocket, slot) }
        connection.tls?.close()
        self.users.removeConnection(self.table.hot[slot].user)
        self.table.close(slot)
        self.connections[slot] = nil
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
    mutating func beginClose(_ slot: Int, _ closeState: Connection.CloseState) {
        guard self.isOccupied(slot) else { return }
        self.connections[slot]!.closeState = closeState
        self.table.hot[slot].flags.insert(.isClosing)
        self.connections[slot]!.unread = []
        self.connections[slot]!.isReadingPaused = false
        self.continueClose(slot)
        guard self.isOccupied(slot) else { return }
        self.setDeadline(slot, after: Self.closeTimeout)
        // A connection with frames of this turn only is mostly gone after they are written. If some
        // remain unsent, `backlogChanged` updates the interest.
        let hasOnlyFrames =
            self.connections[slot]!.backlog.isEmpty
            && !self.table.hot[slot].flags.contains(.isPolling)
        if closeState != .closeWhenSent || !hasOnlyFrames { self.updateInterest(slot) }
    }

    mutating func continueClose(_ slot: Int) {
        guard self.table.hot[slot].flags.contains(.isClosing), self.isOccupied(slot) else { return }
        guard self.connections[slot]!.backlog.isEmpty, self.table.hot[slot].frameCount == 0 else {
            return
        }
        // A polling session ends itself after the last poll.
        guard !self.table.hot[slot].flags.contains(.isPolling) else { return }
        switch self.connections[slot]!.closeState {
        case .open, .lingering: return
        case .closeWhenSent: self.drop(slot)
        case .lingerWhenSent:
            self.connections[slot]!.closeState = .lingering
            self.connections[slot]!.tls?.close()
            Socket(descriptor: self.table.hot[slot].descriptor).shutdownWriting()
        }
    }

    // MARK: Moving to another loop

    /// Moves a connection that has just become a WebSocket to the loop that owns its conversation.
    ///
    /// - Parameter response: the unsent response to the upgrade. The other loop sends it together
    ///   with the session's first frames.
    mutating func moveWebSocket(
        _ slot: Int, to loop: Int, _ webSocket: WebSocketState, response: SharedFrame,
        unread: [UInt8]
    ) {
        guard let connection = self.connections[slot], let session = webSocket.session else {
            return
        }
        let handoff = ConnectionHandoff(
            socket: Socket(descriptor: self.table.hot[slot].descriptor), peer: connection.peer,
            tls: connection.tls, session: session.base,
            dialect: webSocket.dialect, acceptsCompression: webSocket.acceptsCompression,
            isCompressed: webSocket.isCompressed, expiresAt: webSocket.expiresAt,
            response: response, unread: unread)
        self.table.close(slot)
        self.connections[slot] = nil
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
    func canMove(_ slot: Int) -> Bool {
        self.table.hot[slot].frameCount == 0 && self.connections[slot]!.backlog.isEmpty
    }

    /// Moves a connection to the loop that answers its request.
    mutating func moveRequest(_ slot: Int, to loop: Int, _ unread: [UInt8]) {
        guard let connection = self.connections[slot] else { return }
        let handoff = RequestHandoff(
            socket: Socket(descriptor: self.table.hot[slot].descriptor), peer: connection.peer,
            isOverLimit: connection.isOverLimit,
            tls: connection.tls, unread: unread)
        self.table.close(slot)
        self.connections[slot] = nil
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
            self.addConnection(
                Connection(
                    token: token, peer: handoff.peer, listenerRole: .clients,
                    isOverLimit: handoff.isOverLimit, tls: handoff.tls,
                    phase: .http(HTTPExchange())),
                descriptor: handoff.socket.descriptor)
            let slot = Int(token.slot)
            self.setDeadline(slot, after: self.live.limits.header)
            self.connections[slot]!.unread = handoff.unread
            self.pauseReading(slot)
            self.resumeReading(slot)
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
            self.addConnection(
                Connection(
                    token: token, peer: handoff.peer, listenerRole: .clients, tls: handoff.tls,
                    phase: .webSocket(webSocket)),
                descriptor: handoff.socket.descriptor)
            let slot = Int(token.slot)
            self.connections[slot]!.unread = handoff.unread
            // The session must begin before its first frames are read.
            self.pauseReading(slot)
            self.send(slot, handoff.response)
            self.beginSession(webSocket, slot)
            if self.isCurrent(token) { self.resumeReadingIfUnblocked(slot, webSocket) }
            // The connection was moving when the drain set the other clients' deadlines.
            if self.isDraining, self.isCurrent(token) {
                webSocket.drainAt = self.now.monotonic + 1
                self.scheduleTimer(slot)
            }
        } catch {
            self.shared.logger.warning(
                "connection handoff failed", ["reason": .text(error.description)])
            handoff.socket.close()
            self.shared.connectionCount.subtract(1, ordering: .relaxed)
        }
    }
}
