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

    mutating func addConnection(_ connection: consuming Connection, descriptor: Int32) {
        let slot = Int(connection.token.slot)
        self.connections.ensureSlot(slot)
        self.table.open(
            connection.token, descriptor: descriptor, isTLS: connection.tls != nil,
            at: self.tickNumber)
        self.connections[slot] = connection
    }

    // Some functions that only read are inlined or marked as mutating, here and elsewhere. A
    // mutating function would otherwise pass them a copy of the loop's state, which has thousands
    // of bytes.

    /// Whether the slot has a connection. It does not read the optional connection, which would be
    /// copied.
    @inline(__always)
    func isOccupied(_ slot: Int) -> Bool { self.table.hot[slot].generation != 0 }

    @inline(__always)
    func isCurrent(_ token: SocketToken) -> Bool {
        self.table.isOpen(token)
    }

    mutating func accept(from listener: ListeningSocket, _ token: SocketToken) {
        let role = self.connections[Int(token.slot)]!.listenerRole
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
            self.addConnection(
                Connection(
                    token: token, peer: peer, listenerRole: role, isOverLimit: isOverLimit,
                    tls: tls,
                    phase: tls == nil ? .http(HTTPExchange()) : .handshake),
                descriptor: socket.descriptor)
            self.setDeadline(Int(token.slot), after: self.live.limits.header)
        } catch {
            self.shared.logger.warning("connection rejected", ["reason": .text(error.description)])
            socket.close()
        }
    }

    mutating func performHandshake(_ slot: Int) {
        guard let tls = self.connections[slot]?.tls, let token = self.connections[slot]?.token
        else { return }
        switch tls.handshake() {
        case .done:
            self.connections[slot]?.phase = .http(HTTPExchange())
            self.setDeadline(slot, after: self.live.limits.header)
            self.loop.setInterest(token, read: true, write: false)
            self.read(token)
        case .wantRead: self.loop.setInterest(token, read: true, write: false)
        case .wantWrite: self.loop.setInterest(token, read: true, write: true)
        case .failed(let error):
            self.shared.logger.debug(
                "TLS handshake failed",
                [
                    "address": .text(self.connections[slot]!.address),
                    "reason": .text(error.description),
                ])
            self.drop(slot)
        }
    }
}
