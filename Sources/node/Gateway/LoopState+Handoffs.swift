import Bytes
import ChatCore
import ChatModel
import Configuration
import DialectKit
import EventLoop
import HTTPWire
import TLS
import Telemetry

/// Moves connections to other loops, and adopts connections of other loops.
extension LoopState {
    /// Moves a connection that has just become a WebSocket to the loop of this node on which the
    /// subscribers of its conversation gather (`View.preferredLoop`).
    ///
    /// - Parameter response: the unsent response to the upgrade. The other loop sends it together
    ///   with the session's first frames.
    mutating func moveWebSocket(
        _ connection: Connection, to loop: Int, _ webSocket: WebSocketState,
        _ session: any DialectSession, response: SharedFrame, unread: [UInt8], trace: TraceParent?
    ) {
        let handoff = ConnectionHandoff(
            socket: self.pool.socket(of: connection),
            peer: connection.peer, addressShare: connection.addressShare,
            tls: connection.tls, session: session,
            dialect: webSocket.dialect, acceptsCompression: webSocket.acceptsCompression,
            isCompressed: webSocket.isCompressed, expiresAt: webSocket.expiresAt,
            response: response, unread: unread, trace: trace)
        let shared = self.context.shared
        self.pool.detach(connection) { socket in
            if !shared.mailboxes[loop].post(.adopt(handoff)) {
                socket.close()
                shared.connectionCount.subtract()
            }
        }
    }

    /// Moves a connection to the loop that answers its request.
    mutating func moveRequest(_ connection: Connection, to loop: Int, _ unread: [UInt8]) {
        guard connection.isConnected else { return }
        let handoff = RequestHandoff(
            socket: self.pool.socket(of: connection),
            peer: connection.peer,
            exceededLimit: connection.exceededLimit, addressShare: connection.addressShare,
            tls: connection.tls, unread: unread)
        let shared = self.context.shared
        self.pool.detach(connection) { socket in
            if !shared.mailboxes[loop].post(.adoptRequest(handoff)) {
                socket.close()
                shared.connectionCount.subtract()
            }
        }
    }

    mutating func adoptRequest(_ handoff: RequestHandoff) {
        do throws(SocketError) {
            let token = try self.context.loop.register(handoff.socket.descriptor)
            let connection = Connection(
                token: token, peer: handoff.peer, listenerRole: .clients,
                exceededLimit: handoff.exceededLimit, addressShare: handoff.addressShare,
                tls: handoff.tls, phase: .http(HTTPExchange()))
            self.pool.add(connection, descriptor: handoff.socket.descriptor)
            self.pool.setDeadline(connection, after: self.context.live.limits.header)
            connection.unread = handoff.unread
            self.pool.readBufferedInput(connection)
        } catch {
            self.context.shared.logger.warning(
                "connection handoff failed", ["reason": .text(error.description)])
            handoff.socket.close()
            self.context.shared.connectionCount.subtract()
        }
    }

    mutating func adopt(_ handoff: ConnectionHandoff) {
        do throws(SocketError) {
            let token = try self.context.loop.register(handoff.socket.descriptor)
            let webSocket = self.bridge.makeWebSocketState(
                handoff.session, dialect: handoff.dialect,
                acceptsCompression: handoff.acceptsCompression,
                isCompressed: handoff.isCompressed)
            webSocket.expiresAt = handoff.expiresAt
            let connection = Connection(
                token: token, peer: handoff.peer, listenerRole: .clients,
                addressShare: handoff.addressShare, tls: handoff.tls,
                phase: .webSocket(webSocket))
            self.pool.add(connection, descriptor: handoff.socket.descriptor)
            connection.unread = handoff.unread
            // The session must begin before its first frames are read.
            self.pool.pauseReading(connection)
            self.context.logDetails[token.slot] = ConnectionLogDetails(trace: handoff.trace)
            self.pool.hold(connection, handoff.response)
            self.bridge.beginSession(webSocket, connection)
            if connection.isConnected {
                self.bridge.resumeReadingIfUnblocked(connection, webSocket)
            }
        } catch {
            self.context.shared.logger.warning(
                "connection handoff failed", ["reason": .text(error.description)])
            handoff.socket.close()
            self.context.shared.connectionCount.subtract()
        }
    }
}
