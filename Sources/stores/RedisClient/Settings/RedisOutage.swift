public import EventLoop
public import TLS

/// Why there is no connection to Redis. Each description is a sentence for operators.
public enum RedisOutage: Error, Sendable, Equatable, CustomStringConvertible {
    case socket(SocketError, server: String)
    case tls(TLSError)
    /// The server rejects the password, the database or the scripts, or is not ready.
    case refused(RedisError)
    /// The server does not let the user select this database.
    case noDatabase(Int, RedisError)
    /// The URL requires TLS, but the server does not speak it.
    case notTLS(server: String, reason: String)
    /// The server speaks TLS, but the URL does not use it.
    case speaksTLS(server: String)
    /// The server closed the connection before its first reply.
    case unanswered(server: String)
    case ended
    /// The connection broke, with the system's reason.
    case broken(reason: String)
    /// The server has not replied for this long.
    case silent(milliseconds: Int64)
    case reply(RedisReplyError)
    /// The server that the sentinels name reports that it is not a master.
    case notMaster
    /// The sentinels now name another master.
    case masterChanged(to: RedisEndpoint)
    /// The sentinels reply, but none knows a master of this name.
    case unknownMaster(name: String)
    /// No sentinel is reachable and no master is known; with the reason for one sentinel.
    case noSentinel(reason: String)
    /// No cluster node can be queried for the slots; with the reason for one node.
    case noRedisClusterNode(reason: String)

    /// The description; nil if it says only that the server does not answer.
    public var cause: String? {
        switch self {
        case .silent, .socket(.timedOut, _): nil
        default: self.description
        }
    }

    init(_ failure: OutgoingTransport.TransportFailure) {
        switch failure {
        case .broken(let reason): self = .broken(reason: reason)
        case .tls(let error): self = .tls(error)
        }
    }

    public var description: String {
        switch self {
        case .socket(.refused, let server):
            "\(server) refuses the connection: no Redis listens there."
        case .socket(.timedOut, let server): "\(server) does not answer."
        case .socket(.unreachable, let server): "\(server) is unreachable from this host."
        case .socket(let error, _): error.description
        case .tls(let error): error.description
        case .refused(let error): error.description
        case .noDatabase(let number, let error):
            "The database \(number) in the URL cannot be selected. \(error)"
        case .notTLS(let server, let reason):
            """
            \(server) did not answer with TLS (\(reason)). If the port has no TLS, write redis \
            instead of rediss in the URL.
            """
        case .speaksTLS(let server):
            "\(server) requires TLS. Write rediss instead of redis in the URL."
        case .unanswered(let server):
            """
            \(server) closed the connection without an answer. If the port requires TLS, write \
            rediss instead of redis in the URL.
            """
        case .ended: "The Redis server closed the connection."
        case .broken(let reason): "The connection to Redis broke: \(reason)."
        case .silent(let milliseconds): "The Redis server has not answered for \(milliseconds) ms."
        case .reply(let error): error.description
        case .notMaster: "The Redis server that the sentinels name is not a master."
        case .masterChanged(let server): "The sentinels name another master: \(server)."
        case .unknownMaster(let name): "The sentinels do not know a master named \"\(name)\"."
        case .noSentinel(let reason): "No sentinel can be queried for the master: \(reason)"
        case .noRedisClusterNode(let reason):
            "No node of the Redis Cluster can be queried for the slots: \(reason)"
        }
    }
}
