/// Why a connection must be ended.
public enum SocketClosure: Sendable, Hashable, CustomStringConvertible {
    /// What came is no packet, or not the one that was announced.
    case malformed(SocketPacketError)
    /// CONNECT did not come in time.
    case connectTimeout
    /// CONNECT came while the client was in, or about to be let in.
    case connectedTwice
    /// A packet for a namespace that the client is not in.
    case notConnected
    /// A packet that only servers send.
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
