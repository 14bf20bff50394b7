/// Why a connection must be closed.
public enum SocketClosure: Sendable, Hashable, CustomStringConvertible {
    /// The received bytes are not a packet, or not the announced attachment.
    case malformed(SocketPacketError)
    /// No CONNECT arrived within the timeout.
    case connectTimeout
    /// A second CONNECT arrived.
    case connectedTwice
    /// A packet for a namespace that the client has not connected to.
    case notConnected
    /// A packet type that only servers send.
    case unexpected(SocketPacketKind)

    /// A sentence that fits into a close frame.
    public var description: String {
        switch self {
        case .malformed(let error): error.description
        case .connectTimeout: "no CONNECT packet came in time"
        case .connectedTwice: "a CONNECT packet came a second time"
        case .notConnected: "a packet came for a namespace that was not connected to"
        case .unexpected(let kind): "a packet of type \(kind.rawValue) is for servers to send"
        }
    }
}
