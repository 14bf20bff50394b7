public import EventLoop
public import TLS

/// Why there is no connection to Redis. Each is a sentence for operators.
public enum RedisOutage: Error, Sendable, Equatable, CustomStringConvertible {
    case socket(SocketError, server: String)
    case tls(TLSError)
    /// The server refuses the password, the database or our scripts, or is not ready.
    case refused(RedisError)
    /// The server does not let its user have the database of this number.
    case noDatabase(Int, RedisError)
    /// TLS was wanted, and the other end does not speak it.
    case notTLS(server: String, reason: String)
    /// The other end speaks TLS, which was not wanted.
    case speaksTLS(server: String)
    /// The server closed the connection before it had answered anything.
    case unanswered(server: String)
    /// The server closed the connection.
    case ended
    /// The connection broke; with the system's words.
    case broken(reason: String)
    /// The server has not answered for so long.
    case silent(milliseconds: Int64)
    case reply(RedisReplyError)
    /// The server that the sentinels name says that it is no master.
    case notMaster
    /// The sentinels name another master now.
    case masterChanged(to: RedisEndpoint)
    /// Sentinels answer, and none of them knows a master of this name.
    case unknownMaster(name: String)
    /// No sentinel can be asked, and no master is known; with what is wrong with one of them.
    case noSentinel(reason: String)
    /// No node of the cluster can be asked where the slots are; with what is wrong with one of them.
    case noClusterNode(reason: String)

    init(_ failure: OutgoingTransport.TransportFailure) {
        switch failure {
        case .broken(let reason): self = .broken(reason: reason)
        case .tls(let error): self = .tls(error)
        }
    }

    public var description: String {
        switch self {
        case .socket(.refused, let place):
            "\(place) refuses the connection: no Redis listens there."
        case .socket(.timedOut, let place): "\(place) does not answer."
        case .socket(.unreachable, let place): "\(place) cannot be reached from here."
        case .socket(let error, _): error.description
        case .tls(let error): error.description
        case .refused(let error): error.description
        case .noDatabase(let number, let error):
            "The database \(number) of the URL cannot be used. \(error)"
        case .notTLS(let place, let reason):
            "\(place) did not answer with TLS (\(reason)); is it a plain port? Then the URL begins with redis instead of rediss."
        case .speaksTLS(let place):
            "\(place) speaks TLS; then the URL begins with rediss instead of redis."
        case .unanswered(let place):
            "\(place) closed the connection without an answer; does it speak TLS? Then the URL begins with rediss instead of redis."
        case .ended: "The Redis server closed the connection."
        case .broken(let reason): "The connection to Redis broke: \(reason)."
        case .silent(let milliseconds): "The Redis server has not answered for \(milliseconds) ms."
        case .reply(let error): error.description
        case .notMaster: "The Redis server that the sentinels name is no master."
        case .masterChanged(let place): "The sentinels name another master: \(place)."
        case .unknownMaster(let name): "The sentinels do not know a master named \"\(name)\"."
        case .noSentinel(let reason): "No sentinel can be asked for the master: \(reason)"
        case .noClusterNode(let reason):
            "No node of the Redis Cluster can be asked where the slots are: \(reason)"
        }
    }
}
