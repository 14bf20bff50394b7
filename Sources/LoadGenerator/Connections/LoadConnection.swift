import ChatClient
import EventLoop
import HTTPWire
import TLS

/// One member's connection.
struct LoadConnection {
    enum State: Equatable {
        case notStarted
        /// The kernel connects.
        case connecting
        /// TLS shakes hands.
        case tlsHandshake
        /// The WebSocket's request is sent, its response awaited.
        case upgrading
        /// The WebSocket is open; what comes in by words is not in yet.
        case joining
        case open
        /// Never let in, or lost.
        case closed

        /// Whether what it says is read, and bytes leave.
        var isEstablished: Bool { self == .open || self == .joining }
    }

    var state = State.notStarted
    var token = SocketToken(slot: 0, generation: 0)
    var transport: OutgoingTransport?
    var reader = WebSocketReader(role: .client)
    /// Of a member that has no WebSocket.
    var longPolling: LongPollingClient?
    /// The beginning of a frame whose end has not come.
    var unread: [UInt8] = []
    var unsent = OutboundBytes(limitBytes: LoadConnection.unsentByteLimit)
    var connectedAt = MonotonicTime(nanoseconds: 0)

    /// A publisher that has so much waiting publishes no more: its messages count as sent only when they are on their way.
    private static let unsentByteLimit = 4 << 20

    var isBackedUp: Bool { self.unsent.count > self.unsent.limitBytes / 2 }
}
