import ChatCore
import ChatModel
import Configuration
import EventLoop
import TLS
import Telemetry

/// Accepts connections.
extension ConnectionPool {
    func listen(_ listener: ListeningSocket, _ role: ListenerRole) throws(SocketError) {
        let token = try self.context.loop.register(listener.descriptor)
        self.add(
            Connection(
                token: token, peer: listener.address, listenerRole: role,
                phase: .listening(listener)), descriptor: listener.descriptor)
        self.listeners.append(token)
    }

    func accept(from listener: ListeningSocket, _ role: ListenerRole) {
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
                self.context.shared.logger.error("accept failed", ["errno": .integer(Int64(code))])
                self.pauseAccepting()
                return
            }
        }
    }

    private func pauseAccepting() {
        if self.resumeAcceptingAt == 0 {
            self.context.shared.logger.warning(
                "accepting paused", ["reason": "no file descriptors left"])
        }
        self.resumeAcceptingAt = self.context.now.monotonic + 1000
        for listener in self.listeners {
            self.context.loop.setInterest(listener, read: false, write: false)
        }
    }

    func resumeAcceptingIfDue() {
        guard self.resumeAcceptingAt != 0, self.context.now.monotonic >= self.resumeAcceptingAt
        else { return }
        self.resumeAcceptingAt = 0
        for listener in self.listeners {
            self.context.loop.setInterest(listener, read: true, write: false)
        }
    }

    private func openConnection(
        _ socket: Socket, from peer: SocketAddress, at role: ListenerRole
    ) {
        var tls: TLSConnection?
        if role == .clients, let context = self.context.live.tls {
            do throws(TLSError) {
                tls = try TLSConnection(accepting: socket.descriptor, context)
            } catch {
                self.context.shared.logger.error(
                    "TLS setup failed", ["reason": .text(error.description)])
                socket.close()
                return
            }
        }
        do throws(SocketError) {
            let token = try self.context.loop.register(socket.descriptor)
            self.context.counters.accepted += 1
            var exceededLimit: ConnectionLimit?
            var addressShare: AddressShare?
            if role == .clients {
                self.makeRoomForUnidentified()
                if self.context.shared.connectionCount.add() > self.context.live.limits.connections
                {
                    exceededLimit = .node
                }
                // The clients of a proxy count when their requests say who they are.
                if !self.context.settings.isTrustedProxy(peer.ip) {
                    addressShare = self.admit(peer.ip, hasToken: false)
                    if addressShare == nil { exceededLimit = exceededLimit ?? .address }
                }
            }
            let connection = Connection(
                token: token, peer: peer, listenerRole: role, exceededLimit: exceededLimit,
                addressShare: addressShare, tls: tls,
                phase: tls == nil ? .http(HTTPExchange()) : .handshake)
            self.add(connection, descriptor: socket.descriptor)
            self.setDeadline(connection, after: self.context.live.limits.header)
        } catch {
            self.context.shared.logger.warning(
                "connection rejected", ["reason": .text(error.description)])
            socket.close()
        }
    }

    /// Continues a TLS handshake.
    ///
    /// - Returns: whether it is complete, so that the connection can be read.
    func performHandshake(_ connection: Connection) -> Bool {
        guard let tls = connection.tls else { return false }
        switch tls.handshake() {
        case .done:
            connection.phase = .http(HTTPExchange())
            self.setDeadline(connection, after: self.context.live.limits.header)
            self.context.loop.setInterest(connection.token, read: true, write: false)
            return true
        case .wantRead:
            self.context.loop.setInterest(connection.token, read: true, write: false)
        case .wantWrite:
            self.context.loop.setInterest(connection.token, read: true, write: true)
        case .failed(let error):
            self.context.shared.logger.debug(
                "TLS handshake failed",
                [
                    "address": .text(connection.address), "reason": .text(error.description),
                ])
            self.drop(connection)
        }
        return false
    }
}
