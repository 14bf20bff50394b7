/// Why a session is over.
public enum EngineClosure: Sendable, Hashable, CustomStringConvertible {
    /// The client sent a `close` packet.
    case byClient
    /// We wanted it; a WebSocket is closed with this code.
    case byServer(code: UInt16)
    /// The session's WebSocket ended, or the connection of a request that had not been answered.
    case transportClosed
    /// No pong came within `pingTimeout`.
    case pingTimeout
    /// A poll came while another one waited.
    case secondPoll
    /// A POST came while another one was under way.
    case secondPost
    /// What came is no packet. Over polling its POST is refused as well.
    case malformed(EnginePacketError)
    /// A packet that a client does not send, or not there.
    case unexpected(EnginePacketKind)
    /// More waits for a poll than may.
    case outboxFull

    /// The code to close the session's WebSocket with (RFC 6455 section 7.4).
    public var webSocketCode: UInt16 {
        switch self {
        case .byClient, .transportClosed, .pingTimeout: 1001
        case .byServer(let code): code
        case .secondPoll, .secondPost: 1008
        case .malformed(.notUTF8): 1007
        case .malformed, .unexpected: 1002
        case .outboxFull: 1013
        }
    }

    /// A sentence that fits into a close frame.
    public var description: String {
        switch self {
        case .byClient: "the client closed the session"
        case .byServer: "the server closed the session"
        case .transportClosed: "the transport was closed"
        case .pingTimeout: "no pong came in time"
        case .secondPoll: "a poll came while another one waited"
        case .secondPost: "a POST came while another one was under way"
        case .malformed(let error): error.description
        case .unexpected(let kind): "a packet of type \(kind.rawValue) was not expected"
        case .outboxFull: "too much waits to be polled"
        }
    }
}
