import Bytes
import ChatModel
import Cluster
import DialectKit
import EventLoop
import HTTPWire
import JSON
import TLS

/// Which listener a connection came in by.
enum Site: UInt8, Sendable { case clients, admin }

/// What a loop holds of a connection beside its place in the `ConnectionTable`.
struct Connection {
    let token: SocketToken
    let peer: SocketAddress
    let site: Site
    var tls: TLSConnection?
    var stage: Stage
    /// Bytes that were read and not used: the beginning of a frame, or what waits while reading is paused.
    var unread: [UInt8] = []
    var backlog = Backlog()
    /// The monotonic millisecond by which the present stage must have ended; 0 for none.
    var deadline: Int64 = 0
    /// The wheel's tick at which this connection is looked at next; earlier or later entries for it are stale.
    var timerAt: UInt32 = 0
    var isReadingPaused = false
    var ending = Ending.none

    /// How a connection comes to its end.
    enum Ending {
        case none
        /// What is unsent leaves, then the socket is closed.
        case closeWhenSent
        /// What is unsent leaves, then our side is closed, and what the peer still sends is thrown away until it closes
        /// too: closing at once would make the kernel reset the connection, and the last words would be lost with it.
        case lingerWhenSent
        case lingering
    }

    enum Stage {
        case handshake
        case http(HTTPExchange)
        case webSocket(WebSocketTalk)
        /// A listening socket.
        case listening(ListeningSocket)
    }
}

/// A connection in its HTTP stage.
final class HTTPExchange {
    var parser = HTTPRequestParser()
    /// The request whose body is coming.
    var pending: PendingRequest?
    var requestCount = 0

    struct PendingRequest {
        var decoder: HTTPBodyDecoder
        var body = ByteBuffer()
        let request: SiteRequest
        let answering: HTTPAnswering
    }
}

/// A connection in its WebSocket stage.
final class WebSocketTalk {
    var reader: WebSocketReader
    var session: (any DialectSession)?
    /// Which of the gateway's dialects; -1 for the echo.
    let dialect: Int
    /// What the client sends may be compressed, and what it gets is.
    var takesCompression: Bool { self.reader.takesCompression }
    let isCompressed: Bool
    var rate: RateBucket
    /// The conversations that this connection hears.
    var memberships: [Membership] = []
    /// Entrances that wait for their answer.
    var entrances: [(request: UInt64, feed: FeedID)] = []
    var replay: Replay?
    /// Answers that reading waits for: an entrance, a page.
    var awaited = 0
    var hasSentClose = false
    /// When the next ping is due, when the token ends, and when a drain closes it, as monotonic milliseconds; 0 for never.
    var pingAt: Int64 = 0
    var expiresAt: Int64 = 0
    var drainAt: Int64 = 0

    struct Membership {
        let feed: FeedID
        var conversation: ConversationKey
        /// Its place in the audience's list of listeners, or of those who catch up.
        var place: Int
        var isLive: Bool
    }

    /// What was missed, on its way: page by page, as fast as the socket takes it.
    struct Replay {
        let feed: FeedID
        let conversation: ConversationKey
        /// The newest message that has been written.
        var through: SequenceNumber
        /// The newest message that the socket has taken, and that was reported.
        var taken: SequenceNumber
        var isReading = false
    }

    init(reader: WebSocketReader, session: (any DialectSession)?, dialect: Int, isCompressed: Bool, rate: RateBucket) {
        self.reader = reader
        self.session = session
        self.dialect = dialect
        self.isCompressed = isCompressed
        self.rate = rate
    }
}
