import Bytes
import ChatCore
import ChatEngine
import ChatModel
import DialectKit
import EventLoop
import HTTPWire
import JSON
import TLS

/// The listener that accepted a connection.
enum ListenerRole: UInt8, Sendable { case clients, admin }

/// A loop's state of one connection, apart from the hot fields in `ConnectionTable`.
struct Connection {
    let token: SocketToken
    /// The client's address. For a WebSocket through a trusted proxy it is the address that the
    /// proxy reports, with port 0.
    var peer: SocketAddress
    let listenerRole: ListenerRole
    /// The connection exceeds the node's connection limit.
    let isOverLimit: Bool
    var tls: TLSConnection?
    var phase: Phase
    /// Bytes that were read and not consumed: a partial frame, or input of a connection whose
    /// reading is paused.
    var unread: [UInt8] = []
    var backlog = Backlog()
    /// The monotonic millisecond by which the present phase must have ended; 0 for none.
    var deadline: Int64 = 0
    /// The wheel's tick at which this connection is checked next. Entries for other ticks are
    /// stale.
    var nextTimerTick: UInt32 = 0
    var isReadingPaused = false
    var closeState = CloseState.open

    init(
        token: SocketToken, peer: SocketAddress, listenerRole: ListenerRole,
        isOverLimit: Bool = false, tls: TLSConnection? = nil, phase: Phase
    ) {
        self.token = token
        self.peer = peer
        self.listenerRole = listenerRole
        self.isOverLimit = isOverLimit
        self.tls = tls
        self.phase = phase
    }

    var isListener: Bool {
        if case .listening = self.phase { true } else { false }
    }

    /// The WebSocket's state; nil in the other phases.
    var webSocket: WebSocketState? {
        if case .webSocket(let webSocket) = self.phase { webSocket } else { nil }
    }

    /// How far the connection is closed.
    enum CloseState: Equatable {
        case open
        /// The unsent bytes are sent, then the socket is closed. Nothing more is read.
        case closeWhenSent
        /// The unsent bytes are sent, then this side is shut down, and input is discarded until the
        /// peer closes. If the socket were closed at once, the kernel would reset the connection
        /// and discard the last frames.
        case lingerWhenSent
        case lingering
    }

    enum Phase {
        case handshake
        case http(HTTPExchange)
        case webSocket(WebSocketState)
        /// A listening socket. Indirect, because it is larger than the cases of the many client
        /// connections.
        indirect case listening(ListeningSocket)
    }
}

/// The state of a connection that speaks HTTP.
final class HTTPExchange {
    var parser = HTTPRequestParser()
    /// The route and the CORS fields of the present request, for its response. Nil while the head
    /// is incomplete.
    var requestInfo: RequestInfo?
    /// How many more API requests this connection may send; nil before the first one.
    var rateLimiter: TokenBucket?
    /// An asynchronous response is being prepared.
    var isResponsePending = false
    /// The request whose body is still being received.
    var incompleteRequest: IncompleteRequest?
    /// An Engine.IO request without a response: a poll, or a POST whose body is being received.
    var engineRequest: PendingEngineRequest?
    var requestCount = 0
    /// The head of a later request has begun, and its timeout is running.
    var isReadingHead = false

    struct RequestInfo {
        let route: Route
        /// Nil for routes without CORS.
        let crossOrigin: CrossOrigin?
    }

    struct IncompleteRequest {
        var decoder: HTTPBodyDecoder
        var body = ByteBuffer()
        /// Nil for an Engine.IO POST.
        let request: HTTPRequest?
        let responseContext: HTTPResponseContext
    }
}

/// The state of a connection that is a WebSocket.
final class WebSocketState {
    // Exclusivity is not checked at run time here. One loop owns this object, and the calls into
    // these properties never call back into it.
    @exclusivity(unchecked) var reader: WebSocketReader
    @exclusivity(unchecked) var session: HostedSession?
    @exclusivity(unchecked) var rateLimiter: TokenBucket
    /// The conversations to which this connection is subscribed.
    @exclusivity(unchecked) var subscriptions: [ConversationSubscription] = []
    var pendingJoins: [UnansweredJoin] = []
    /// Nil unless the WebSocket carries Engine.IO packets.
    var engine: EngineState?
    /// The connection of a polling session on this loop which this WebSocket is about to take over.
    var probedSession: SocketToken?
    /// A polling session on another node which this WebSocket is about to take over.
    var remoteProbe: RemoteProbe?
    // Small integers are adjacent to save memory, because a node has very many idle connections.
    private let dialectIndex: Int16
    /// Frames to the client are compressed. Frames from the client may be.
    let isCompressed: Bool
    /// The value by which this connection is grouped at present. The session may have changed it.
    var tracksDeliveries = false
    var hasSentClose = false
    /// The code of the first close frame, from either side; 1006 if there was none.
    var closeCode: UInt16 = 1006
    /// The replies, to a join or a page request, for which reading from the client is paused.
    var blockingReplyCount: Int32 = 0
    /// When reading was paused for replies the last time, and when it was resumed, in the loop's
    /// ticks.
    var blockedSince: UInt32 = 0
    var unblockedAt: UInt32 = 0
    /// The commands that the client sent and that are not answered. A drain waits for them.
    @exclusivity(unchecked) var unansweredCommandCount: Int32 = 0
    /// Times in monotonic milliseconds; 0 for never. They are the upgrade, the next ping, the
    /// expiry of the token, and the time at which a drain closes the connection.
    var openedAt: Int64 = 0
    var pingAt: Int64 = 0
    var expiresAt: Int64 = 0
    var drainAt: Int64 = 0

    /// This WebSocket is about to take over a polling session, and has no session of its own yet.
    var isProbe: Bool { self.probedSession != nil || self.remoteProbe != nil }
    /// The index in the gateway's dialects; -1 for the echo.
    var dialect: Int { Int(self.dialectIndex) }
    var acceptsCompression: Bool { self.reader.acceptsCompression }

    /// A join that the conversation's owner has not answered.
    struct UnansweredJoin {
        let request: RequestID
        let feed: FeedID
        /// The key of its `RequestContext`.
        let context: RequestContextID
    }

    struct ConversationSubscription {
        let feed: FeedID
        let conversation: ConversationKey
        /// The index in the group's list of live or of catching-up subscribers.
        var position: Int
        /// Nil once the subscription is live.
        var catchUp: CatchUp?
    }

    /// The replay of missed messages, page by page, as fast as the socket accepts them.
    ///
    /// A class, because most connections have none.
    final class CatchUp {
        /// The newest message that was sent, or that the client already had.
        var sentThrough: SequenceNumber
        /// The newest message that the socket accepted and that was reported as delivered.
        var deliveredThrough: SequenceNumber
        /// The newest message of the feed when the pending page was requested; nil if no page is
        /// pending.
        var feedHeadAtRequest: SequenceNumber?
        /// The client's own messages that were acknowledged during the replay. Protocols that
        /// acknowledge a message with a frame of its own do not repeat it.
        var acknowledgedSends: Set<SequenceNumber> = []
        /// Nil once the store has confirmed or refuted it.
        var unverifiedPosition: UnverifiedPosition?
        /// Nil once every change to the client's older messages has been sent.
        ///
        /// Until then the client gets no live edits or deletions. A client resumes at the highest
        /// revision that it received, so older changes must come first.
        var missedChanges: MissedChanges?
        /// Reading from the client is paused until the missed changes are sent.
        var blocksReading = false

        /// A position that the client named when it joined, and that is ahead of what the owner
        /// knows.
        struct UnverifiedPosition {
            let through: SequenceNumber
            let revision: Revision?
            let requestedAt: Timestamp
            /// The newest message that the owner knew.
            let knownHead: SequenceNumber
            let knownRevision: Revision
        }

        /// Which changes to the client's older messages it has missed.
        enum MissedChanges {
            /// Since a revision, which may be older than the retained history.
            case since(Revision, mayBeTooOld: Bool)
            /// Since the client's newest message was posted.
            case sinceLastMessage
        }

        init(from start: SequenceNumber, acknowledgedSends: Set<SequenceNumber> = []) {
            self.sentThrough = start
            self.deliveredThrough = start
            self.acknowledgedSends = acknowledgedSends
        }
    }

    /// A query to the store during the replay.
    enum CatchUpQuery {
        /// Whether the store has messages that the owner does not know.
        case unverified(after: SequenceNumber)
        /// The oldest retained message.
        case oldest
        /// The revision at which this message was posted.
        case postedRevision(SequenceNumber)
        case changes(through: SequenceNumber, since: Revision)
        case messages(after: SequenceNumber)
    }

    init(
        reader: WebSocketReader, session: (any DialectSession)?, dialect: Int, isCompressed: Bool,
        rateLimiter: TokenBucket
    ) {
        self.reader = reader
        self.session = session.map { HostedSession($0) }
        self.dialectIndex = Int16(dialect)
        self.isCompressed = isCompressed
        self.rateLimiter = rateLimiter
    }
}
