import ConfabClient
import EventLoop
import HTTPWire
import TLS

/// The connection of one member.
struct LoadConnection {
    enum State: Equatable {
        case notStarted
        /// The TCP connect is in progress.
        case connecting
        /// The TLS handshake is in progress.
        case tlsHandshake
        /// The WebSocket request was sent, and the response is outstanding.
        case upgrading
        /// The WebSocket is open, and the member has not joined yet.
        case joining
        case open
        /// Rejected or lost.
        case closed

        /// Whether frames are read and written.
        var isEstablished: Bool { self == .open || self == .joining }
    }

    var state = State.notStarted
    var token = SocketToken(slot: 0, generation: 0)
    var transport: OutgoingTransport?
    var reader = WebSocketReader(role: .client)
    /// Nil for a member with a WebSocket.
    var longPolling: LongPollingClient?
    /// Received bytes of an incomplete frame.
    var unread: [UInt8] = []
    var unsent = OutboundBytes(limitBytes: LoadConnection.unsentByteLimit)
    var connectedAt = MonotonicTime(nanoseconds: 0)

    /// A publisher stops at half of this. Messages count as sent only when the socket has accepted
    /// them.
    private static let unsentByteLimit = 4 << 20

    var isBackedUp: Bool { self.unsent.count > self.unsent.limitBytes / 2 }
}
