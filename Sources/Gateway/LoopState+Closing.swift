import Bytes
import ChatCore
import Configuration
import EventLoop
import HTTPWire
import Synchronization
import TLS
import Telemetry

/// How connections go: away, or to another loop.
extension LoopState {
    /// The connection is gone, or shall be at once.
    mutating func drop(_ slot: Int) {
        guard let connection = self.connections[slot] else { return }
        if case .webSocket(let talk) = connection.phase { self.endSession(talk, slot) }
        connection.tls?.close()
        self.users.removeConnection(self.table.hot[slot].user)
        self.table.close(slot)
        self.connections[slot] = nil
        if connection.listenerRole == .clients, !connection.isListener {
            self.shared.connectionCount.subtract(1, ordering: .relaxed)
        }
        self.loop.close(connection.token)
        switch connection.phase {
        case .webSocket(let talk) where talk.engine != nil || talk.isProbe:
            self.engineConnectionDropped(connection.token, talk)
        case .http(let exchange):
            if let engine = exchange.engineRequest {
                self.engineRequestAborted(connection.token, engine)
            }
        case .webSocket, .handshake, .listening: break
        }
    }

    /// What is unsent leaves; then the connection ends.
    mutating func beginClose(_ slot: Int, _ ending: Connection.CloseState) {
        guard self.isOccupied(slot) else { return }
        self.connections[slot]!.closeState = ending
        self.table.hot[slot].flags.insert(.isClosing)
        self.connections[slot]!.unread = []
        self.connections[slot]!.isReadingPaused = false
        self.continueClose(slot)
        guard self.isOccupied(slot) else { return }
        self.setDeadline(slot, after: Self.closeTimeout)
        // Who has only this turn's frames to get is mostly gone after them, and whatever is left of them then is watched for.
        let hasOnlyFrames =
            self.connections[slot]!.backlog.isEmpty
            && !self.table.hot[slot].flags.contains(.isPolling)
        if ending != .closeWhenSent || !hasOnlyFrames { self.updateInterest(slot) }
    }

    mutating func continueClose(_ slot: Int) {
        guard self.table.hot[slot].flags.contains(.isClosing), self.isOccupied(slot) else { return }
        guard self.connections[slot]!.backlog.isEmpty, self.table.hot[slot].frameCount == 0 else {
            return
        }
        // Its session ends it, when the last poll has come.
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

    // MARK: To another loop

    /// Gives a connection that has just become a WebSocket to the loop on which its conversation lives.
    ///
    /// - Parameter response: to the upgrade, still unsent: it leaves there, together with the session's first frames.
    mutating func moveWebSocket(
        _ slot: Int, to loop: Int, _ talk: WebSocketState, response: SharedFrame, unread: [UInt8]
    ) {
        guard let connection = self.connections[slot], let session = talk.session else { return }
        let handover = ConnectionHandoff(
            socket: Socket(descriptor: self.table.hot[slot].descriptor), peer: connection.peer,
            tls: connection.tls, session: session,
            dialect: talk.dialect, acceptsCompression: talk.acceptsCompression,
            isCompressed: talk.isCompressed, expiresAt: talk.expiresAt,
            response: response, unread: unread)
        self.table.close(slot)
        self.connections[slot] = nil
        let shared = self.shared
        self.loop.detach(connection.token) { socket in
            if !shared.mailboxes[loop].post(.adopt(handover)) {
                socket.close()
                shared.connectionCount.subtract(1, ordering: .relaxed)
            }
        }
    }

    /// Whether a connection's requests can be answered by another loop: answers to earlier ones must have left.
    func canMove(_ slot: Int) -> Bool {
        self.table.hot[slot].frameCount == 0 && self.connections[slot]!.backlog.isEmpty
    }

    /// Gives a connection to the loop that is to answer its request.
    mutating func moveRequest(_ slot: Int, to loop: Int, _ unread: [UInt8]) {
        guard let connection = self.connections[slot] else { return }
        let handover = RequestHandoff(
            socket: Socket(descriptor: self.table.hot[slot].descriptor), peer: connection.peer,
            isOverLimit: connection.isOverLimit,
            tls: connection.tls, unread: unread)
        self.table.close(slot)
        self.connections[slot] = nil
        let shared = self.shared
        self.loop.detach(connection.token) { socket in
            if !shared.mailboxes[loop].post(.adoptRequest(handover)) {
                socket.close()
                shared.connectionCount.subtract(1, ordering: .relaxed)
            }
        }
    }

    mutating func adoptRequest(_ handover: RequestHandoff) {
        do throws(SocketError) {
            let token = try self.loop.register(handover.socket.descriptor)
            self.addConnection(
                Connection(
                    token: token, peer: handover.peer, listenerRole: .clients,
                    isOverLimit: handover.isOverLimit, tls: handover.tls,
                    phase: .http(HTTPExchange())),
                descriptor: handover.socket.descriptor)
            let slot = Int(token.slot)
            self.setDeadline(slot, after: self.live.limits.header)
            self.connections[slot]!.unread = handover.unread
            self.pauseReading(slot)
            self.resumeReading(slot)
        } catch {
            self.shared.logger.warning(
                "connection not taken over", ["reason": .text(error.description)])
            handover.socket.close()
            self.shared.connectionCount.subtract(1, ordering: .relaxed)
        }
    }

    mutating func adopt(_ handover: ConnectionHandoff) {
        do throws(SocketError) {
            let token = try self.loop.register(handover.socket.descriptor)
            let talk = self.makeWebSocketState(
                handover.session, dialect: handover.dialect,
                acceptsCompression: handover.acceptsCompression,
                isCompressed: handover.isCompressed)
            talk.expiresAt = handover.expiresAt
            self.addConnection(
                Connection(
                    token: token, peer: handover.peer, listenerRole: .clients, tls: handover.tls,
                    phase: .webSocket(talk)),
                descriptor: handover.socket.descriptor)
            let slot = Int(token.slot)
            self.connections[slot]!.unread = handover.unread
            // Its first frames are read when it has begun.
            self.pauseReading(slot)
            self.send(slot, handover.response)
            self.beginSession(talk, slot)
            if self.isCurrent(token) { self.resumeReadingIfUnblocked(slot, talk) }
            // It was on its way while this loop's clients were told when to go.
            if self.isDraining, self.isCurrent(token) {
                talk.drainAt = self.now.monotonic + 1
                self.scheduleTimer(slot)
            }
        } catch {
            self.shared.logger.warning(
                "connection not taken over", ["reason": .text(error.description)])
            handover.socket.close()
            self.shared.connectionCount.subtract(1, ordering: .relaxed)
        }
    }
}
