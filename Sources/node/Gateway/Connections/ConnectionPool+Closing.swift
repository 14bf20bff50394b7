import EventLoop
import HTTPWire
import Telemetry

/// Closes WebSockets.
extension ConnectionPool {
    /// Begins the close handshake (RFC 6455 section 7.1.2). The peer has `closeTimeout(of:)` to
    /// answer.
    func closeWebSocket(
        _ connection: Connection, _ webSocket: WebSocketState, _ code: WebSocketCloseCode,
        _ reason: String
    ) {
        guard connection.isConnected, !webSocket.hasSentClose else { return }
        self.sendClose(connection, webSocket, code, reason)
        // Reading continues, because the answer is a frame.
        webSocket.blockingReplyCount = 0
        self.resumeReading(connection)
        self.setDeadline(connection, after: self.closeTimeout(of: connection))
    }

    private func sendClose(
        _ connection: Connection, _ webSocket: WebSocketState, _ code: WebSocketCloseCode,
        _ reason: String
    ) {
        self.send(connection, self.frames.encodeClose(code, reason: reason))
        self.closeSent(connection, webSocket, code, reason)
    }

    /// Records a close frame. Nothing is sent after it, and events are no longer delivered.
    func closeSent(
        _ connection: Connection, _ webSocket: WebSocketState, _ code: WebSocketCloseCode,
        _ reason: String
    ) {
        self.context.recordClose(connection, reason)
        self.stopDelivery(connection, webSocket, code.rawValue)
        self.context.counters.closes[code.rawValue, default: 0] += 1
    }

    private func stopDelivery(
        _ connection: Connection, _ webSocket: WebSocketState, _ code: UInt16
    ) {
        webSocket.hasSentClose = true
        webSocket.closeCode = code
        self.table.hot[connection.slot].flags.remove(.isOpen)
        self.events.append(.closing(connection, webSocket))
        self.release(connection)
    }

    /// Answers a close frame, and closes the connection.
    func closeReceived(
        _ connection: Connection, _ webSocket: WebSocketState, _ code: WebSocketCloseCode?
    ) {
        if !webSocket.hasSentClose {
            self.send(connection, self.frames.encodeClose(code))
            // RFC 6455 section 7.1.5: 1005 if the close frame has no code.
            self.stopDelivery(connection, webSocket, code?.rawValue ?? 1005)
        }
        self.beginClose(connection, .closeWhenSent)
    }

    /// Closes a WebSocket that has violated the protocol.
    func failWebSocket(
        _ connection: Connection, _ webSocket: WebSocketState, _ error: WebSocketError
    ) {
        guard connection.isConnected else { return }
        if !webSocket.hasSentClose {
            self.context.shared.logger.debug(
                "protocol error",
                [
                    "connection": .text(self.context.name(of: connection)),
                    "address": .text(connection.address), "reason": .text(error.description),
                ])
            self.sendClose(connection, webSocket, error.closeCode, error.description)
        }
        self.beginClose(connection, .lingerWhenSent)
    }

    /// Closes a WebSocket whose client has sent too much of an unfinished message, or for too long,
    /// and forgets what it has sent.
    func refuseUnfinishedMessage(
        _ connection: Connection, _ webSocket: WebSocketState, _ code: WebSocketCloseCode,
        _ reason: String
    ) {
        guard connection.isConnected else { return }
        if !webSocket.hasSentClose { self.sendClose(connection, webSocket, code, reason) }
        connection.unread = []
        webSocket.reader = WebSocketReader(
            role: .server, acceptsCompression: webSocket.acceptsCompression)
        connection.unfinishedInput = nil
        self.beginClose(connection, .lingerWhenSent)
    }
}
