public import EventLoop
public import HTTPWire
public import TLS

/// Why there is no connection, or none any more. Each is a sentence for whoever typed the URL.
public enum ClientError: Error, Sendable, Equatable, CustomStringConvertible {
    /// No connection came about; `place` is the URL or the address.
    case socket(SocketError, endpoint: String)
    case tls(TLSError)
    /// The server answered the handshake with another status; `sentence` is its own, where it gave one.
    case refused(HTTPStatus, reason: String?)
    /// What the server answered to the handshake is no good response.
    case handshake(HTTPResponseError)
    /// The server sent what no WebSocket may send.
    case protocolViolation(WebSocketError)
    /// The server closed the WebSocket; nil stands for a close frame without a code.
    case closed(WebSocketCloseCode?, reason: String)
    /// The connection broke without a close frame (1006).
    case broken(reason: String)
    /// The other side has said nothing for so long that it must be gone.
    case unresponsive(seconds: Int)
    /// More is waiting to be sent than a connection may hold back.
    case outboundFull(limitBytes: Int)

    public init(_ failure: OutgoingTransport.TransportFailure) {
        switch failure {
        case .broken(let reason): self = .broken(reason: reason)
        case .tls(let error): self = .tls(error)
        }
    }

    public var description: String {
        switch self {
        case .socket(.refused, let place): "\(place) refuses the connection: nobody listens there."
        case .socket(.timedOut, let place): "\(place) does not answer."
        case .socket(.unreachable, let place): "\(place) cannot be reached from here."
        case .socket(let error, _): error.description
        case .tls(let error): error.description
        case .refused(let status, let sentence): Self.description(of: status, sentence)
        case .handshake(let error): error.description
        case .protocolViolation(let error): "The server broke the WebSocket protocol: \(error)"
        case .closed(let code, let reason): Self.description(of: code, reason)
        case .broken(let reason): "The connection was lost: \(reason)."
        case .unresponsive(let seconds):
            "The connection was lost: nothing was heard for \(seconds) seconds."
        case .outboundFull(let limit):
            "The connection was given up: the server takes nothing, and \(limit) bytes are waiting for it."
        }
    }

    /// Whether the same attempt may succeed a moment later.
    public var isTransient: Bool {
        switch self {
        case .socket(.unresolvable, _), .socket(.tooManyDescriptors, _): return false
        case .socket, .broken, .unresponsive, .outboundFull, .handshake: return true
        case .tls(.handshakeFailed), .tls(.connectionFailed): return true
        case .tls, .protocolViolation: return false
        case .refused(let status, _):
            return status.rawValue >= 500 || status == .tooManyRequests || status == .requestTimeout
        case .closed(let code, _):
            switch code?.rawValue ?? 1005 {
            // Unauthorised, no access, and what would only happen again (RFC 6455 section 7.4.1).
            case 4000...4999, 1002, 1003, 1007, 1008, 1009: return false
            default: return true
            }
        }
    }

    private static func description(of status: HTTPStatus, _ sentence: String?) -> String {
        let refusal = "The server refuses the WebSocket with status \(status.rawValue)"
        if let sentence { return "\(refusal): \(sentence.endingWithPeriod)" }
        return switch status {
        case .unauthorized: "\(refusal): the token is missing or not valid."
        case .forbidden: "\(refusal): this is not allowed."
        case .notFound: "\(refusal): there is nothing at this path."
        default: "\(refusal) \(status.phrase)."
        }
    }

    private static func description(of code: WebSocketCloseCode?, _ reason: String) -> String {
        let said = reason.isEmpty ? "" : " (\(reason))"
        return switch code?.rawValue {
        case nil: "The server closed the connection without a reason."
        case 1000: "The server closed the connection\(said)."
        case 1001: "The server went away\(said)."
        case 1012: "The server is restarting\(said)."
        case 1013: "The server is overloaded\(said)."
        case 4003:
            "The server does not accept the token: it is missing, malformed, expired or not signed by the server's key\(said)."
        case 4004: "Access denied: the token's user may not enter this conversation\(said)."
        case 4401: "The server does not accept the token\(said)."
        case let number?: "The server closed the connection with code \(number)\(said)."
        }
    }
}

extension String {
    /// Servers' sentences come with and without one.
    var endingWithPeriod: String {
        self.hasSuffix(".") || self.hasSuffix("!") || self.hasSuffix("?") ? self : self + "."
    }
}
