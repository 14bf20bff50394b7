public import EventLoop
public import TLS

/// Why there is no connection to Redis. Each is a sentence for operators.
public enum RedisOutage: Error, Sendable, Equatable, CustomStringConvertible {
    case socket(SocketError, place: String)
    case tls(TLSError)
    /// The server refuses the password, the database or our scripts, or is not ready.
    case refused(RedisError)
    /// The server closed the connection.
    case ended
    /// The connection broke; with the system's words.
    case broken(reason: String)
    /// The server has not answered for so long.
    case silent(milliseconds: Int64)
    case reply(RedisReplyError)

    public var description: String {
        switch self {
        case .socket(.refused, let place): "\(place) refuses the connection: no Redis listens there."
        case .socket(.timedOut, let place): "\(place) does not answer."
        case .socket(.unreachable, let place): "\(place) cannot be reached from here."
        case .socket(let error, _): error.description
        case .tls(let error): error.description
        case .refused(let error): error.description
        case .ended: "The Redis server closed the connection."
        case .broken(let reason): "The connection to Redis broke: \(reason)."
        case .silent(let milliseconds): "The Redis server has not answered for \(milliseconds) ms."
        case .reply(let error): error.description
        }
    }
}
