import Bytes
import ChatCore
import ChatEngine
import DialectKit
import EngineIO
import EngineTransport
import EventLoop
import HTTPWire
import TLS

/// WebSockets that take over a session: of this loop, or of another node.
extension LoopState {
    // MARK: Probes

    /// Answers the pending request with the upgrade. The WebSocket is to take over a session.
    mutating func acceptProbe(_ token: SocketToken, timeout: Int64?) {
        guard let connection = self.pool[token], case .http(let exchange) = connection.phase,
            case .engine(let pending) = exchange.state, let upgrade = pending.upgrade
        else { return }
        self.context.countResponse(.switchingProtocols)
        self.pool.send(connection, self.pool.frames.encodeResponse(of: upgrade.uncompressed))
        connection.phase = .webSocket(
            self.bridge.makeWebSocketState(
                nil, dialect: -1, acceptsCompression: false, isCompressed: false, content: .probe))
        connection.deadline = 0
        if let timeout {
            self.pool.setDeadline(connection, after: .milliseconds(timeout))
        }
        if !connection.unread.isEmpty { self.pool.readBufferedInput(connection) }
    }

    // MARK: Takeovers on this loop

    /// The socket moves at the end of the turn, when its input has been stored.
    mutating func scheduleTakeover(_ socket: SocketToken, of session: SocketToken) {
        if let connection = self.pool[socket] { self.pool.pauseReading(connection) }
        self.engineIO?.takeovers.append((socket, session))
    }

    mutating func moveSocketsOfTakeovers() {
        guard let engineIO = self.engineIO, !engineIO.takeovers.isEmpty else { return }
        let takeovers = engineIO.takeovers
        engineIO.takeovers = []
        for (socket, session) in takeovers { self.moveSocket(socket, to: session) }
    }

    private mutating func moveSocket(_ socket: SocketToken, to session: SocketToken) {
        guard let connection = self.pool[socket], let probe = connection.webSocket else {
            // The WebSocket is closed, and so the session ends.
            if let owner = self.pool[session] { self.pool.drop(owner) }
            return
        }
        guard let owner = self.pool[session] else { return self.pool.drop(connection) }
        self.pool.writeTurn(connection.slot)
        guard connection.isConnected else { return }
        // Frames that waited for a poll come before those that waited for the queue.
        connection.backlog.append(contentsOf: owner.backlog)
        owner.backlog = connection.backlog
        let handoff = SocketHandoff(
            session: session, tls: connection.tls, reader: probe.reader, unread: connection.unread)
        self.context.shared.connectionCount.subtract()
        let mailbox = self.context.shared.controlMailboxes[self.context.index]
        self.pool.detach(connection) { _ = mailbox.post(.attachSocket($0, handoff)) }
    }

    mutating func attachSocket(_ socket: Socket, _ handoff: SocketHandoff) {
        guard let connection = self.pool[handoff.session], let webSocket = connection.webSocket
        else { return socket.close() }
        do throws(SocketError) {
            try self.context.loop.attach(socket.descriptor, to: handoff.session)
        } catch {
            socket.close()
            return self.pool.drop(connection)
        }
        webSocket.reader = handoff.reader
        self.pool.attach(socket, handoff.tls, to: connection)
        self.engineIO?.server.socketAttached(handoff.session)
        self.engineSessionUpdated(handoff.session)
        connection.unread = handoff.unread
        self.pool.recordActivity(connection)
        self.pool.updateInterest(connection)
        if !connection.backlog.isEmpty { self.pool.drainBacklog(connection) }
        guard connection.isConnected, !connection.isReadingPaused else { return }
        self.pool.readBufferedInput(connection)
    }

    // MARK: Takeovers between nodes

    /// Continues a session of another node on the WebSocket of this one.
    mutating func adoptSession(_ token: SocketToken, _ transfer: TransferredSession) {
        guard let engineIO = self.engineIO, let connection = self.pool[token],
            let probe = connection.webSocket
        else { return }
        let now = self.context.now.monotonic
        guard
            let session = self.context.settings.dialects[engineIO.endpoint.dialect].resume(
                transfer.state, allowsAnonymous: self.context.settings.allowsAnonymous, at: now)
        else { return self.updateEngine { $0.adoptionFailed(token, into: &$1) } }
        let webSocket = self.bridge.makeWebSocketState(
            session, dialect: engineIO.endpoint.dialect, acceptsCompression: false,
            isCompressed: false, content: .packets)
        webSocket.reader = probe.reader
        if transfer.expiresAfter != 0 { webSocket.expiresAt = now + transfer.expiresAfter }
        connection.phase = .webSocket(webSocket)
        engineIO.server.adopted(token, at: now)
        webSocket.transportDeadline = engineIO.server.deadline(token)
        for packet in transfer.packets {
            Array(packet.utf8).withUnsafeBytes { self.pool.sendFrame(connection, .text, $0) }
        }
        self.bridge.beginSession(webSocket, connection)
        if connection.isConnected { self.bridge.resumeReadingIfUnblocked(connection, webSocket) }
    }

    /// Transfers a session to the node with its WebSocket, unless it has pending requests or this
    /// loop has deliveries. The other node repeats its request.
    mutating func transferSession(_ token: SocketToken, _ request: EngineTransferRequest) {
        guard let connection = self.pool[token], let webSocket = connection.webSocket,
            webSocket.unansweredCommandCount == 0, webSocket.blockingReplyCount == 0,
            // The feeds count these as delivered, although the connection has not got them yet.
            !self.bridge.chat.hasDeliveries
        else { return }
        // Moves everything that the feeds have delivered into the queue or the backlog.
        self.pool.writeTurn(connection.slot)
        guard connection.isConnected, let session = webSocket.session else { return }
        let now = self.context.now.monotonic
        let snapshot = session.snapshot(at: self.bridge.positions(of: webSocket), now: now)
        let expiresAfter = webSocket.expiresAt == 0 ? 0 : max(1, webSocket.expiresAt - now)
        let backlog = self.backlogPackets(connection)
        self.updateEngine {
            $0.transfer(
                token, for: request, snapshot: snapshot, expiresAfter: expiresAfter,
                backlog: backlog, at: now, into: &$1)
        }
    }

    /// The packets of the backlog.
    private func backlogPackets(_ connection: Connection) -> [SharedPacket] {
        var bytes = ByteBuffer()
        connection.backlog.gather(upTo: .max, into: &bytes)
        return bytes.bytes.withUnsafeBytes { bytes in
            var packets: [SharedPacket] = []
            var offset = 0
            while let frame = WrittenFrame(bytes, at: offset) {
                offset = frame.end
                if frame.opcode == .text {
                    packets.append(SharedPacket(SharedFrame(Array(bytes[frame.payload]))))
                }
            }
            return packets
        }
    }
}

/// A WebSocket that moves to the connection of the session which it carries.
///
/// Unchecked because a TLS connection belongs to one thread, and it stays on its thread.
struct SocketHandoff: @unchecked Sendable {
    let session: SocketToken
    let tls: TLSConnection?
    let reader: WebSocketReader
    let unread: [UInt8]
}
