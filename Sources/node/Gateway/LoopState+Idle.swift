import Bytes
import ChatCore
import ChatModel
import Configuration
import DialectKit
import EngineTransport
import EventLoop
import HTTPWire

/// Pings WebSockets, and closes those that were idle for too long.
extension LoopState {
    /// A timer of this WebSocket expired. Engine.IO has pings of its own.
    mutating func checkActivity(
        _ connection: Connection, _ webSocket: WebSocketState, at now: Int64
    ) {
        guard connection.isConnected, !webSocket.hasSentClose else { return }
        if webSocket.content != .frames {
            let token = connection.token
            self.updateEngine { $0.tick(token, at: now, into: &$1) }
        } else if self.pool.isIdle(connection) {
            // This also applies if reading is paused because the client receives nothing. Receiving
            // counts as activity.
            self.pool.closeWebSocket(
                connection, webSocket, .goingAway,
                "nothing was heard for \(self.context.live.limits.idle)")
        } else if webSocket.pingAt <= now {
            webSocket.pingAt = now + self.context.live.limits.ping.wholeMilliseconds
            webSocket.pingSent(at: now)
            self.ping(connection, webSocket)
        }
    }

    private func ping(_ connection: Connection, _ webSocket: WebSocketState) {
        self.pool.sendFrame(connection, .ping, UnsafeRawBufferPointer(start: nil, count: 0))
        guard webSocket.dialect >= 0,
            let heartbeat = self.context.settings.dialects[webSocket.dialect].heartbeat
        else { return }
        self.pool.sendText(connection, heartbeat)
    }
}
