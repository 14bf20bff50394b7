import Bytes
import ChatModel
import Cluster
import DialectKit
import EventLoop
import HTTPWire
import JSON
import TLS

/// Which listener a connection came in by.
enum ListenerRole: UInt8, Sendable { case clients, admin }

/// What a loop holds of a connection beside its place in the `ConnectionTable`.
struct Connection {
    let token: SocketToken
    /// Who connected; of a WebSocket that came by a trusted proxy, whom that names, with port 0.
    var peer: SocketAddress
    let listenerRole: ListenerRole
    /// It came when the node had all the clients that it may have.
    let isOverLimit: Bool
    var tls: TLSConnection?
    var phase: Phase
    /// Bytes that were read and not used: the beginning of a frame, or what waits while reading is paused.
    var unread: [UInt8] = []
    var backlog = Backlog()
    /// The monotonic millisecond by which the present stage must have ended; 0 for none.
    var deadline: Int64 = 0
    /// The wheel's tick at which this connection is looked at next; earlier or later entries for it are stale.
    var nextTimerTick: UInt32 = 0
    var isReadingPaused = false
    var closeState = CloseState.open

    init(
        token: SocketToken, peer: SocketAddress, listenerRole site: ListenerRole,
        isOverLimit isSurplus: Bool = false, tls: TLSConnection? = nil, phase stage: Phase
    ) {
        self.token = token
        self.peer = peer
        self.listenerRole = site
        self.isOverLimit = isSurplus
        self.tls = tls
        self.phase = stage
    }

    var isListener: Bool {
        if case .listening = self.phase { true } else { false }
    }

    /// Of a WebSocket.
    var webSocket: WebSocketState? {
        if case .webSocket(let talk) = self.phase { talk } else { nil }
    }

    /// How a connection comes to its end.
    enum CloseState: Equatable {
        case open
        /// What is unsent leaves, then the socket is closed; nothing more is read.
        case closeWhenSent
        /// What is unsent leaves, then our side is closed, and what the peer still sends is thrown away until it closes
        /// too: closing at once would make the kernel reset the connection, and the last words would be lost with it.
        case lingerWhenSent
        case lingering
    }

    enum Phase {
        case handshake
        case http(HTTPExchange)
        case webSocket(WebSocketState)
        /// A listening socket; apart, for it is larger than what the very many need.
        indirect case listening(ListeningSocket)
    }
}

/// A connection in its HTTP stage.
final class HTTPExchange {
    var parser = HTTPRequestParser()
    /// What every answer to the present request must know of it; nil while its head is not read.
    var requestInfo: RequestInfo?
    /// How many more requests may be made whose answers others give.
    var rateLimiter: TokenBucket?
    /// Others are at work on the answer.
    var isResponsePending = false
    /// The request whose body is coming.
    var incompleteRequest: IncompleteRequest?
    /// A request of an Engine.IO session that is not answered: of a poll, or of a POST whose body is coming.
    var engineRequest: PendingEngineRequest?
    var requestCount = 0
    /// The head of a later request has begun, and its time runs.
    var isReadingHead = false

    struct RequestInfo {
        let path: String
        let crossOrigin: CrossOrigin
    }

    struct IncompleteRequest {
        var decoder: HTTPBodyDecoder
        var body = ByteBuffer()
        /// Nil for a POST of Engine.IO.
        let request: HTTPRequest?
        let responseContext: HTTPResponseContext
    }
}

/// A connection in its WebSocket stage.
final class WebSocketState {
    // Their use is not checked at run time: one loop has the talk, and what they do calls nothing that would come back to it.
    @exclusivity(unchecked) var reader: WebSocketReader
    @exclusivity(unchecked) var session: (any DialectSession)?
    @exclusivity(unchecked) var rateLimiter: TokenBucket
    /// The conversations that this connection hears.
    @exclusivity(unchecked) var subscriptions: [ConversationSubscription] = []
    var pendingJoins: [UnansweredJoin] = []
    /// Nil where WebSocket messages are the protocol's frames.
    var engine: EngineState?
    /// The connection of a session that polls, from which this WebSocket is to take over.
    var probedSession: SocketToken?
    /// The same, where that session is another node's.
    var remoteProbe: RemoteProbe?
    // Small numbers side by side: there may be very many quiet connections.
    private let dialectIndex: Int16
    /// What the client gets is compressed; what it sends may be.
    let isCompressed: Bool
    /// What its audiences take it for: see `DialectSession.isPersonal`.
    var isPersonal = false
    var hasSentClose = false
    /// What the connection was closed with, by whoever said so first; 1006 is nobody.
    var closeCode: UInt16 = 1006
    /// Answers that reading waits for: an entrance, a page.
    var blockingReplyCount: Int32 = 0
    /// When that began and ended last, in the loop's ticks.
    var blockedSince: UInt32 = 0
    var unblockedAt: UInt32 = 0
    /// Commands that have not been answered: a drain waits for them.
    @exclusivity(unchecked) var unansweredCommandCount: Int32 = 0
    /// When it became a WebSocket, when the next ping is due, when the token ends, and when a drain closes it, as monotonic
    /// milliseconds; 0 for never.
    var openedAt: Int64 = 0
    var pingAt: Int64 = 0
    var expiresAt: Int64 = 0
    var drainAt: Int64 = 0

    /// It is to take over from polling, and has no session yet.
    var isProbe: Bool { self.probedSession != nil || self.remoteProbe != nil }
    /// Which of the gateway's dialects; -1 for the echo.
    var dialect: Int { Int(self.dialectIndex) }
    var acceptsCompression: Bool { self.reader.acceptsCompression }

    /// An entrance that waits for its answer.
    struct UnansweredJoin {
        let request: UInt64
        let feed: FeedID
        /// The question's key.
        let context: UInt64
    }

    struct ConversationSubscription {
        let feed: FeedID
        let conversation: ConversationKey
        /// Its place in the audience's list of those who hear everything, or of those who catch up.
        var position: Int
        /// Nil for those who hear everything.
        var catchUp: CatchUp?
    }

    /// What was missed, on its way: page by page, as fast as the socket takes it. A class, for the many quiet connections have none.
    final class CatchUp {
        /// The newest message that has been written, or that the client has had before.
        var sentThrough: SequenceNumber
        /// The newest message that the socket has taken, and that was reported.
        var deliveredThrough: SequenceNumber
        /// What the feed had shown when a page was asked for that is under way.
        var feedHeadAtRequest: SequenceNumber?
        /// Messages of which this connection was told as their sender: protocols with an answer of its own for that do not repeat them.
        var acknowledgedSends: Set<SequenceNumber> = []
        /// Until the store has been asked.
        var unverifiedPosition: UnverifiedPosition?
        /// Until everything has been sent that changed of what the client has. It is sent no edit and no deletion meanwhile: what it hears
        /// last has the highest revision, which is where it goes on should the connection break.
        var missedChanges: MissedChanges?
        /// Nothing is read from the client until they have been sent.
        var blocksReading = false

        /// What the client said that it has had when it asked to come in, where the owner did not know of so much.
        struct UnverifiedPosition {
            let through: SequenceNumber
            let revision: Revision?
            let requestedAt: Timestamp
            /// What the owner knew of.
            let knownHead: SequenceNumber
            let knownRevision: Revision
        }

        /// What changed of the messages up to where the client was.
        enum MissedChanges {
            /// Since a revision, which may be older than what is kept.
            case since(Revision, mayBeTooOld: Bool)
            /// Since the message was posted up to which the client has them.
            case sinceLastMessage
        }

        init(from start: SequenceNumber, acknowledgedSends answered: Set<SequenceNumber> = []) {
            self.sentThrough = start
            self.deliveredThrough = start
            self.acknowledgedSends = answered
        }
    }

    /// What the store is asked of what was missed.
    enum CatchUpQuery {
        /// Whether it has what the owner does not know of.
        case unverified(after: SequenceNumber)
        /// The oldest message that is kept.
        case oldest
        /// When this message was posted.
        case postedRevision(SequenceNumber)
        case changes(through: SequenceNumber, since: Revision)
        case messages(after: SequenceNumber)
    }

    init(
        reader: WebSocketReader, session: (any DialectSession)?, dialect: Int, isCompressed: Bool,
        rateLimiter rate: TokenBucket
    ) {
        self.reader = reader
        self.session = session
        self.dialectIndex = Int16(dialect)
        self.isCompressed = isCompressed
        self.rateLimiter = rate
    }
}
