import EngineIO
import EventLoop
import HTTPWire
import Synchronization
import TLS

/// Moves the socket of a WebSocket that takes over a polling session to the session's connection.
extension LoopState {
    /// Begins a takeover. The socket moves at the end of the turn, when its input has been stored.
    mutating func takeOver(_ socket: SocketToken, for session: SocketToken) {
        guard let connection = self.pool[session],
            case .webSocket(let webSocket) = connection.phase,
            let engine = webSocket.engine,
            let socketConnection = self.pool[socket]
        else { return }
        engine.socket = EngineSocketID(socket)
        engine.isAttachingSocket = true
        self.pool.pauseReading(socketConnection)
        self.engine.upgradedSockets.append((socket, session))
    }

    mutating func moveUpgradedSockets() {
        guard !self.engine.upgradedSockets.isEmpty else { return }
        let sockets = self.engine.upgradedSockets
        self.engine.upgradedSockets = []
        for (socket, session) in sockets { self.moveSocket(socket, to: session) }
    }

    private mutating func moveSocket(_ socket: SocketToken, to session: SocketToken) {
        guard let connection = self.pool[socket],
            case .webSocket(let probe) = connection.phase
        else {
            // The WebSocket is closed, and so the session ends.
            if let owner = self.pool[session] { self.pool.drop(owner) }
            return
        }
        guard let owner = self.pool[session] else { return self.pool.drop(connection) }
        self.pool.writeTurn(connection.slot)
        guard connection.isConnected else { return }
        // Frames that waited for a poll come before those that waited for the outbox.
        connection.backlog.append(contentsOf: owner.backlog)
        owner.backlog = connection.backlog
        let handoff = SocketHandoff(
            session: session, tls: connection.tls, reader: probe.reader, unread: connection.unread)
        self.pool.remove(connection)
        self.context.shared.connectionCount.subtract(1, ordering: .relaxed)
        let mailbox = self.context.shared.controlMailboxes[self.context.index]
        self.context.loop.detach(connection.token) { _ = mailbox.post(.attachSocket($0, handoff)) }
    }

    mutating func attachSocket(_ socket: Socket, _ handoff: SocketHandoff) {
        guard let connection = self.pool[handoff.session],
            case .webSocket(let webSocket) = connection.phase,
            let engine = webSocket.engine
        else {
            return socket.close()
        }
        do throws(SocketError) {
            try self.context.loop.attach(socket.descriptor, to: handoff.session)
        } catch {
            socket.close()
            return self.pool.drop(connection)
        }
        engine.isAttachingSocket = false
        webSocket.reader = handoff.reader
        self.pool.table.hot[connection.slot].descriptor = socket.descriptor
        self.pool.table.hot[connection.slot].flags.remove(.isPolling)
        self.clearUnpolledIfEmpty(connection)
        if let tls = handoff.tls {
            connection.tls = tls
            self.pool.table.hot[connection.slot].flags.insert(.isTLS)
        }
        connection.unread = handoff.unread
        self.pool.table.hot[connection.slot].lastReceivedTick = self.context.tickNumber
        self.pool.updateInterest(connection)
        if !connection.backlog.isEmpty { self.pool.drainBacklog(connection) }
        guard connection.isConnected, !connection.isReadingPaused else {
            return
        }
        self.pool.pauseReading(connection)
        self.pool.resumeReading(connection)
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
