import Bytes
import DialectKit
import EngineIO
import EventLoop
import HTTPWire

/// The Engine.IO session of a connection.
///
/// A polling session has no socket. Its packets wait for the next poll.
final class EngineState {
    var session: EngineSession
    /// The session's id for the connection's own WebSocket; nil while the session polls.
    var socket: EngineSocketID?
    /// The session was opened with an invalid token. It reports that when the client connects.
    let hasInvalidToken: Bool
    /// The WebSocket that takes over is being attached to this connection. Until then nothing can
    /// be written.
    var isAttachingSocket = false
    /// Messages from POSTs that arrived while reading was paused, oldest first.
    private(set) var unreadPosts: [[UInt8]] = []
    private(set) var unreadPostBytes = 0

    init(
        _ session: EngineSession, socket: EngineSocketID? = nil,
        hasInvalidToken: Bool = false
    ) {
        self.session = session
        self.socket = socket
        self.hasInvalidToken = hasInvalidToken
    }

    /// Requests that other nodes forwarded, by number: the pending ones, and the last ones
    /// answered.
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

    func prependUnread(_ posts: ArraySlice<[UInt8]>) {
        self.unreadPosts.insert(contentsOf: posts, at: 0)
        self.unreadPostBytes += posts.reduce(0) { $0 + $1.count }
    }
}

/// An Engine.IO request on an HTTP connection.
///
/// A class, because every connection begins with a request and few of those are for Engine.IO.
final class PendingEngineRequest {
    /// The session's connection; nil if another node has the session.
    let session: SocketToken?
    var responseContext: HTTPResponseContext
    /// The fields of the response, whatever its status.
    let fields: [HTTPField]
    /// The body is still being received.
    let isPost: Bool
    /// The session on another node which a POST with an incomplete body is for.
    var forwardedPost: ForwardedPost?
    /// The requested upgrade, while the session's node is queried.
    var upgrade: WebSocketUpgrade?

    typealias ForwardedPost = (
        number: UInt64, id: EngineSessionID, session: LoopState.ResolvedSession,
        identity: RequestIdentity
    )

    init(
        session: SocketToken?, responseContext: HTTPResponseContext, fields: [HTTPField],
        isPost: Bool = false
    ) {
        self.session = session
        self.responseContext = responseContext
        self.fields = fields
        self.isPost = isPost
    }
}

/// The dialect that uses Engine.IO, if the node has one.
struct EngineEndpoint: Sendable {
    let dialect: Int
    let settings: EngineSettings
    let path: StaticString
    private let base: any EngineDialect

    init?(_ settings: GatewaySettings) {
        for (index, dialect) in settings.dialects.enumerated() {
            guard let engine = dialect.engine else { continue }
            self.dialect = index
            self.settings = engine.engineSettings
            self.path = engine.enginePath
            self.base = engine
            return
        }
        return nil
    }

    /// Whether the frame must be in the same response as the one before it.
    func isCompanion(_ frame: WrittenFrame, in bytes: UnsafeRawBufferPointer) -> Bool {
        frame.opcode == .text
            && self.base.isCompanion(UnsafeRawBufferPointer(rebasing: bytes[frame.payload]).bytes)
    }
}

extension EngineRequestID {
    /// The id of a connection's request: a connection has one at a time.
    init(_ token: SocketToken) { self.init(rawValue: token.packed) }
}

extension EngineSocketID {
    init(_ token: SocketToken) { self.init(rawValue: token.packed) }
}

extension SocketToken {
    fileprivate var packed: UInt64 { UInt64(self.generation) << 32 | UInt64(self.slot) }

    /// The token from which an id was made.
    init(_ id: EngineRequestID) {
        self.init(
            slot: UInt32(truncatingIfNeeded: id.rawValue), generation: UInt32(id.rawValue >> 32))
    }
    init(_ id: EngineSocketID) {
        self.init(
            slot: UInt32(truncatingIfNeeded: id.rawValue), generation: UInt32(id.rawValue >> 32))
    }
}
