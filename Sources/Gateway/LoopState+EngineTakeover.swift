import EngineIO
import EventLoop
import HTTPWire
import Synchronization
import TLS

/// Moves the socket of a WebSocket that takes over a polling session to the session's connection.
extension LoopState {
    /// Begins a takeover. The socket moves at the end of the turn, when its input has been stored.
    mutating func takeOver(_ socket: SocketToken, for session: SocketToken) {
        guard self.isCurrent(session),
            case .webSocket(let webSocket) = self.connections[Int(session.slot)]!.phase,
            let engine = webSocket.engine,
            self.isCurrent(socket)
        else { return }
        engine.socket = EngineSocketID(socket)
        engine.isAttachingSocket = true
        self.pauseReading(Int(socket.slot))
        self.upgradedSockets.append((socket, session))
    }

    mutating func moveUpgradedSockets() {
        guard !self.upgradedSockets.isEmpty else { return }
        let sockets = self.upgradedSockets
        self.upgradedSockets = []
        for (socket, session) in sockets { self.moveSocket(socket, to: session) }
    }

    private mutating func moveSocket(_ socket: SocketToken, to session: SocketToken) {
        guard self.isCurrent(socket),
            case .webSocket(let probe) = self.connections[Int(socket.slot)]!.phase
        else {
            // The WebSocket is closed, and so the session ends.
            if self.isCurrent(session) { self.drop(Int(session.slot)) }
            return
        }
        guard self.isCurrent(session) else { return self.drop(Int(socket.slot)) }
        let slot = Int(socket.slot)
        self.writeTurn(slot)
        guard self.isCurrent(socket) else { return }
        let connection = self.connections[slot]!
        // Frames that waited for a poll come before those that waited for the outbox.
        var backlog = connection.backlog
        backlog.append(contentsOf: self.connections[Int(session.slot)]!.backlog)
        self.connections[Int(session.slot)]!.backlog = backlog
        let handoff = SocketHandoff(
            session: session, tls: connection.tls, reader: probe.reader, unread: connection.unread)
        self.table.close(slot)
        self.connections[slot] = nil
        self.shared.connectionCount.subtract(1, ordering: .relaxed)
        let mailbox = self.shared.controlMailboxes[self.index]
        self.loop.detach(connection.token) { _ = mailbox.post(.attachSocket($0, handoff)) }
    }

    mutating func attachSocket(_ socket: Socket, _ handoff: SocketHandoff) {
        let slot = Int(handoff.session.slot)
        guard self.isCurrent(handoff.session),
            case .webSocket(let webSocket) = self.connections[slot]!.phase,
            let engine = webSocket.engine
        else {
            return socket.close()
        }
        do throws(SocketError) {
            try self.loop.attach(socket.descriptor, to: handoff.session)
        } catch {
            socket.close()
            return self.drop(slot)
        }
        engine.isAttachingSocket = false
        webSocket.reader = handoff.reader
        self.table.hot[slot].descriptor = socket.descriptor
        self.table.hot[slot].flags.remove(.isPolling)
        self.clearUnpolledIfEmpty(slot)
        if let tls = handoff.tls {
            self.connections[slot]!.tls = tls
            self.table.hot[slot].flags.insert(.isTLS)
        }
        self.connections[slot]!.unread = handoff.unread
        self.table.hot[slot].lastReceivedTick = self.tickNumber
        self.updateInterest(slot)
        if !self.connections[slot]!.backlog.isEmpty { self.drainBacklog(slot) }
        guard self.isCurrent(handoff.session), !self.connections[slot]!.isReadingPaused else {
            return
        }
        self.pauseReading(slot)
        self.resumeReading(slot)
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
