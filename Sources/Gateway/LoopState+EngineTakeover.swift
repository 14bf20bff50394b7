import EngineIO
import EventLoop
import HTTPWire
import Synchronization
import TLS

/// A WebSocket that takes over a session from polling comes to the session's connection.
extension LoopState {
    /// A WebSocket carries the session from here on. Its socket comes to the session's connection when what was read of it has been kept.
    mutating func takeOver(_ socket: SocketToken, for session: SocketToken) {
        guard self.isCurrent(session),
            case .webSocket(let talk) = self.connections[Int(session.slot)]!.phase,
            let engine = talk.engine,
            self.isCurrent(socket)
        else { return }
        engine.socket = EngineSocketID(socket)
        engine.isAttachingSocket = true
        self.pauseReading(Int(socket.slot))
        self.upgradedSockets.append((socket, session))
    }

    mutating func moveUpgradedSockets() {
        guard !self.upgradedSockets.isEmpty else { return }
        let upgraded = self.upgradedSockets
        self.upgradedSockets = []
        for (socket, session) in upgraded { self.moveSocket(socket, to: session) }
    }

    private mutating func moveSocket(_ socket: SocketToken, to session: SocketToken) {
        guard self.isCurrent(socket),
            case .webSocket(let probe) = self.connections[Int(socket.slot)]!.phase
        else {
            // It is gone already: so is what it carried.
            if self.isCurrent(session) { self.drop(Int(session.slot)) }
            return
        }
        guard self.isCurrent(session) else { return self.drop(Int(socket.slot)) }
        let slot = Int(socket.slot)
        self.writeTurn(slot)
        guard self.isCurrent(socket) else { return }
        let connection = self.connections[slot]!
        // What waited for a poll goes before what waited for room.
        var backlog = connection.backlog
        backlog.append(contentsOf: self.connections[Int(session.slot)]!.backlog)
        self.connections[Int(session.slot)]!.backlog = backlog
        let arrival = SocketHandoff(
            session: session, tls: connection.tls, reader: probe.reader, unread: connection.unread)
        self.table.close(slot)
        self.connections[slot] = nil
        self.shared.connectionCount.subtract(1, ordering: .relaxed)
        let orders = self.shared.controlMailboxes[self.index]
        self.loop.detach(connection.token) { _ = orders.post(.attachSocket($0, arrival)) }
    }

    mutating func attachSocket(_ socket: Socket, _ arrival: SocketHandoff) {
        let slot = Int(arrival.session.slot)
        guard self.isCurrent(arrival.session),
            case .webSocket(let talk) = self.connections[slot]!.phase, let engine = talk.engine
        else {
            return socket.close()
        }
        do throws(SocketError) {
            try self.loop.attach(socket.descriptor, to: arrival.session)
        } catch {
            socket.close()
            return self.drop(slot)
        }
        engine.isAttachingSocket = false
        talk.reader = arrival.reader
        self.table.hot[slot].descriptor = socket.descriptor
        self.table.hot[slot].flags.remove(.isPolling)
        self.clearUnpolledIfEmpty(slot)
        if let tls = arrival.tls {
            self.connections[slot]!.tls = tls
            self.table.hot[slot].flags.insert(.isTLS)
        }
        self.connections[slot]!.unread = arrival.unread
        self.table.hot[slot].lastReceivedTick = self.tickNumber
        self.updateInterest(slot)
        if !self.connections[slot]!.backlog.isEmpty { self.drainBacklog(slot) }
        guard self.isCurrent(arrival.session), !self.connections[slot]!.isReadingPaused else {
            return
        }
        self.pauseReading(slot)
        self.resumeReading(slot)
    }
}

/// A WebSocket on its way to the connection of the session that it carries.
///
/// Unchecked because a TLS connection belongs to one thread, and it stays there.
struct SocketHandoff: @unchecked Sendable {
    let session: SocketToken
    let tls: TLSConnection?
    let reader: WebSocketReader
    let unread: [UInt8]
}
