import Bytes
import DialectKit
import EngineIO
import EventLoop
import HTTPWire

/// The Engine.IO session of a connection: one that polls has no socket, and what is written to it waits for the next poll.
final class EngineState {
    var session: EngineSession
    /// What the session calls the connection's own WebSocket; nil while it polls.
    var socket: EngineSocketID?
    /// It was opened with a bad token, and waits to be told so.
    let hasInvalidToken: Bool
    /// The WebSocket that has taken over is on its way to the connection: nothing can be written meanwhile.
    var isAttachingSocket = false
    /// What POSTs brought while reading was paused, oldest first.
    private(set) var unreadPosts: [[UInt8]] = []
    private(set) var unreadPostBytes = 0

    init(
        _ session: EngineSession, socket: EngineSocketID? = nil,
        hasInvalidToken isRefused: Bool = false
    ) {
        self.session = session
        self.socket = socket
        self.hasInvalidToken = isRefused
    }

    /// Requests that came by way of other nodes, by number: those that wait, and the last that are answered.
    var remoteRequests: [UInt64: RemoteRequest] = [:]

    func appendUnread(_ data: UnsafeRawBufferPointer) {
        self.unreadPosts.append(Array(data))
        self.unreadPostBytes += data.count
    }

    func drainUnread() -> [[UInt8]] {
        defer {
            self.unreadPosts = []
            self.unreadPostBytes = 0
        }
        return self.unreadPosts
    }

    func prependUnread(_ rest: ArraySlice<[UInt8]>) {
        self.unreadPosts.insert(contentsOf: rest, at: 0)
        self.unreadPostBytes += rest.reduce(0) { $0 + $1.count }
    }
}

/// A connection's HTTP request of an Engine.IO session. A class, for every connection begins with a request, and few with one of these.
final class PendingEngineRequest {
    /// The session's connection; nil where another node has it.
    let session: SocketToken?
    /// How it is answered.
    var responseContext: HTTPResponseContext
    /// Of the answer, whatever it is.
    let fields: [HTTPField]
    /// Its body is still coming.
    let isPost: Bool
    /// Of a POST whose body is coming, the session of another node's that it is for.
    var forwardedPost: ForwardedPost?
    /// The WebSocket that it asks for, while the node of its session is asked.
    var upgrade: WebSocketUpgrade?

    typealias ForwardedPost = (
        number: UInt64, id: EngineSessionID, place: LoopState.ResolvedSession,
        visitor: RequestIdentity
    )

    init(
        session: SocketToken?, responseContext answering: HTTPResponseContext, fields: [HTTPField],
        isPost: Bool = false
    ) {
        self.session = session
        self.responseContext = answering
        self.fields = fields
        self.isPost = isPost
    }
}

/// The dialect that Engine.IO carries, if the node speaks it.
struct EngineEndpoint: Sendable {
    let dialect: Int
    let settings: EngineSettings
    let paths: [StaticString]

    init?(_ settings: GatewaySettings) {
        for (place, dialect) in settings.dialects.enumerated() {
            guard case .engine(let engine, paths: let paths) = dialect.transport else { continue }
            self.dialect = place
            self.settings = engine
            self.paths = paths
            return
        }
        return nil
    }
}

extension EngineRequestID {
    /// The request that a connection makes: one at a time.
    init(_ token: SocketToken) { self.init(rawValue: token.packed) }
}

extension EngineSocketID {
    init(_ token: SocketToken) { self.init(rawValue: token.packed) }
}

extension SocketToken {
    fileprivate var packed: UInt64 { UInt64(self.generation) << 32 | UInt64(self.slot) }

    /// The token that an id was made of.
    init(_ id: EngineRequestID) {
        self.init(
            slot: UInt32(truncatingIfNeeded: id.rawValue), generation: UInt32(id.rawValue >> 32))
    }
    init(_ id: EngineSocketID) {
        self.init(
            slot: UInt32(truncatingIfNeeded: id.rawValue), generation: UInt32(id.rawValue >> 32))
    }
}
