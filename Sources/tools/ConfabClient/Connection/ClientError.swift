public import EventLoop
public import HTTPWire
public import TLS

/// Why a connection could not be opened, or why it ended. The description is a sentence for the
/// user.
public enum ClientError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The connection failed; `endpoint` is the URL or the address.
    case socket(SocketError, endpoint: String)
    case tls(TLSError)
    /// The server answered the handshake with another status; `reason` is the error text in the
    /// body.
    case refused(HTTPStatus, reason: String?)
    /// The server is unavailable, and asks the client to come back after some seconds.
    case unavailable(HTTPStatus, reason: String?, retryAfterSeconds: Int)
    /// The response to the handshake is malformed.
    case handshake(HTTPResponseError)
    /// The server violated the WebSocket protocol.
    case protocolViolation(WebSocketError)
    /// The server closed the WebSocket; nil stands for a close frame without a code.
    case closed(WebSocketCloseCode?, reason: String)
    /// The connection ended without a close frame (1006).
    case broken(reason: String)
    /// Nothing arrived for so long that the connection is considered dead.
    case unresponsive(seconds: Int)
    /// The buffer of unsent bytes is full.
    case outboundFull(limitBytes: Int)

    public init(_ failure: OutgoingTransport.TransportFailure) {
        switch failure {
        case .broken(let reason): self = .broken(reason: reason)
        case .tls(let error): self = .tls(error)
        }
    }

    public var description: String {
        switch self {
        case .socket(.refused, let endpoint):
            "\(endpoint) refuses the connection: nothing listens there."
        case .socket(.timedOut, let endpoint): "\(endpoint) does not answer."
        case .socket(.unreachable, let endpoint): "\(endpoint) cannot be reached from here."
        case .socket(let error, _): error.description
        case .tls(let error): error.description
        case .refused(let status, let reason), .unavailable(let status, let reason, _):
            Self.description(of: status, reason)
        case .handshake(let error): error.description
        case .protocolViolation(let error): "The server broke the WebSocket protocol: \(error)"
        case .closed(let code, let reason): Self.description(of: code, reason)
        case .broken(let reason): "The connection was lost: \(reason)."
        case .unresponsive(let seconds):
            "The connection was lost: nothing was received for \(seconds) seconds."
        case .outboundFull(let limit):
            "The connection was dropped: the server does not read, and \(limit) bytes are waiting."
        }
    }

    /// Whether a retry may succeed.
    public var isTransient: Bool {
        switch self {
        case .socket(.unresolvable, _), .socket(.tooManyDescriptors, _): return false
        case .socket, .broken, .unresponsive, .outboundFull, .handshake, .unavailable:
            return true
        case .tls(.handshakeFailed), .tls(.connectionFailed): return true
        case .tls, .protocolViolation: return false
        case .refused(let status, _):
            return status.rawValue >= 500 || status == .tooManyRequests || status == .requestTimeout
        case .closed(let code, _):
            switch code?.rawValue ?? 1005 {
            // Authentication and access errors, and errors that a retry would repeat (RFC 6455
            // section 7.4.1).
            case 4000...4999, 1002, 1003, 1007, 1008, 1009: return false
            default: return true
            }
        }
    }

    /// The close code of the WebSocket, or the status of the HTTP response; nil for other errors.
    var code: Int? {
        switch self {
        case .closed(let code, _): code.map { Int($0.rawValue) }
        case .refused(let status, _), .unavailable(let status, _, _): Int(status.rawValue)
        default: nil
        }
    }

    /// How long the server asks the client to wait. An overloaded server without a time gets one
    /// second.
    var retryAfterSeconds: Double? {
        switch self {
        case .unavailable(_, _, let seconds): Double(seconds)
        case .closed(let code, _) where code?.rawValue == 1013: 1
        default: nil
        }
    }

    /// Whether another token may be accepted.
    var isRejectedToken: Bool {
        switch self {
        case .closed(let code, _): code?.rawValue == 4003 || code?.rawValue == 4401
        case .refused(let status, _): status == .unauthorized
        default: false
        }
    }

    private static func description(of status: HTTPStatus, _ reason: String?) -> String {
        let rejection = "The server rejected the WebSocket with status \(status.rawValue)"
        if let reason { return "\(rejection): \(reason.endingWithPeriod)" }
        return switch status {
        case .unauthorized: "\(rejection): the token is missing or not valid."
        case .forbidden: "\(rejection): this is not allowed."
        case .notFound: "\(rejection): there is nothing at this path."
        default: "\(rejection) \(status.phrase)."
        }
    }

    private static func description(of code: WebSocketCloseCode?, _ reason: String) -> String {
        let suffix = reason.isEmpty ? "" : " (\(reason))"
        return switch code?.rawValue {
        case nil: "The server closed the connection without a reason."
        case 1000: "The server closed the connection\(suffix)."
        case 1001: "The server went away\(suffix)."
        case 1012: "The server is restarting\(suffix)."
        case 1013: "The server is overloaded\(suffix)."
        case 4003:
            """
            The server does not accept the token: it is missing, malformed, expired or not signed \
            by the server's key\(suffix).
            """
        case 4004: "Access denied: the token's user may not enter this conversation\(suffix)."
        case 4429: "The server limits the rate of this user\(suffix)."
        case 4401: "The server does not accept the token\(suffix)."
        case let number?: "The server closed the connection with code \(number)\(suffix)."
        }
    }
}

extension String {
    /// Error texts of servers come with and without a final period.
    var endingWithPeriod: String {
        self.hasSuffix(".") || self.hasSuffix("!") || self.hasSuffix("?") ? self : self + "."
    }
}
