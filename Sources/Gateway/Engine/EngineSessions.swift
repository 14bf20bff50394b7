import EngineIO
import EventLoop

/// The Engine.IO sessions of one loop, and its requests for sessions of other nodes.
struct EngineSessions {
    /// The connections of sessions.
    var sessions: [EngineSessionID: SocketToken] = [:]
    /// Requests forwarded to the nodes that have their sessions, by number.
    var forwardedRequests: [UInt64: ForwardedRequest] = [:]
    /// WebSockets that are to take over sessions on other nodes, by the number of their request.
    var remoteProbes: [UInt64: SocketToken] = [:]
    /// The last answers of sessions that ended or moved to another node. A repeated request whose
    /// answer was lost gets the same answer.
    var retainedReplies: [UInt64: (answer: String, until: Int64)] = [:]
    /// The WebSockets that took over a polling session in this turn, and the sessions' connections.
    var upgradedSockets: [(socket: SocketToken, session: SocketToken)] = []
}
