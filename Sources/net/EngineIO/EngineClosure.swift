/// Why a session ended.
public enum EngineClosure: Sendable, Hashable, CustomStringConvertible {
    /// The client sent a `close` packet.
    case byClient
    /// This node closed the session. A WebSocket is closed with this code.
    case byServer(code: UInt16)
    /// The session's WebSocket closed, or the connection of an unanswered request did.
    case transportClosed
    /// No pong came within `pingTimeout`.
    case pingTimeout
    /// A second poll arrived while the first was still waiting.
    case secondPoll
    /// A second POST arrived while the first was still being received.
    case secondPost
    /// The received bytes are not a packet. Over polling, the POST is rejected as well.
    case malformed(EnginePacketError)
    /// A packet type that a client must not send, or not in this state.
    case unexpected(EnginePacketKind)
    /// The packets waiting for a poll exceed the limit of the queue.
    case queueFull

    /// Whether the client may come back at once. A `close` packet would end stock clients for good:
    /// they connect again after a refused poll.
    var isTemporary: Bool {
        switch self {
        case .byServer(let code): code == 1001 || (1011...1013).contains(code)
        case .transportClosed, .pingTimeout, .queueFull: true
        case .byClient, .secondPoll, .secondPost, .malformed, .unexpected: false
        }
    }

    /// The code to close the session's WebSocket with (RFC 6455 section 7.4).
    public var webSocketCode: UInt16 {
        switch self {
        case .byClient, .transportClosed, .pingTimeout: 1001
        case .byServer(let code): code
        case .secondPoll, .secondPost: 1008
        case .malformed(.notUTF8): 1007
        case .malformed, .unexpected: 1002
        case .queueFull: 1013
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
        case .queueFull: "too much waits to be polled"
        }
    }
}
