import Bytes
import ChatCore
import ChatEngine
import ChatModel
import DialectKit
import EventLoop
import HTTPWire

/// The state of a connection that is a WebSocket.
final class WebSocketState {
    @exclusivity(unchecked) var reader: WebSocketReader
    @exclusivity(unchecked) var session: (any DialectSession)?
    /// Nil while the client sends nothing. Most connections only listen.
    @exclusivity(unchecked) var rate: ConnectionRate?
    /// A further read of a request that waits until the user's replays may continue.
    @exclusivity(unchecked) var furtherRead: FurtherRead?
    /// The conversations to which this connection is subscribed.
    @exclusivity(unchecked) var subscriptions: [ConversationSubscription] = []
    @exclusivity(unchecked) var pendingJoins: [UnansweredJoin] = []
    // Small integers are adjacent to save memory, because a node has very many idle connections.
    private let dialectIndex: Int16
    /// Frames to the client are compressed. Frames from the client may be.
    let isCompressed: Bool
    let content: MessageContent
    /// The value by which this connection is grouped at present. The session may have changed it.
    @exclusivity(unchecked) var tracksDeliveries = false
    @exclusivity(unchecked) var hasSentClose = false
    /// The code of the first close frame, from either side; 1006 if there was none.
    @exclusivity(unchecked) var closeCode: UInt16 = 1006
    /// The replies, to a join or a page request, for which reading from the client is paused.
    @exclusivity(unchecked) var blockingReplyCount: Int32 = 0
    /// When reading was paused for replies the last time, and when it was resumed, in the loop's
    /// ticks.
    @exclusivity(unchecked) var blockedSince: UInt32 = 0
    @exclusivity(unchecked) var unblockedAt: UInt32 = 0
    /// When the oldest unanswered ping was sent, in monotonic milliseconds that wrap around; 0 if
    /// there is none.
    @exclusivity(unchecked) private var pingSentAt: UInt32 = 0
    /// The milliseconds from a ping to its pong; -1 before the first pong.
    @exclusivity(unchecked) private var lastRoundTrip: Int32 = -1
    /// The commands that the client sent and that are not answered. A drain waits for them.
    @exclusivity(unchecked) var unansweredCommandCount: Int32 = 0
    /// Times in monotonic milliseconds; 0 for never. They are the upgrade, the next ping, the
    /// expiry of the token, and the time at which a drain closes the connection.
    @exclusivity(unchecked) var openedAt: Int64 = 0
    @exclusivity(unchecked) var pingAt: Int64 = 0
    @exclusivity(unchecked) var expiresAt: Int64 = 0
    @exclusivity(unchecked) var drainAt: Int64 = 0
    /// When the transport must handle its own timeouts, in monotonic milliseconds.
    @exclusivity(unchecked) var transportDeadline: Int64?

    /// The content of the WebSocket's messages.
    enum MessageContent {
        /// Frames of the dialect.
        case frames
        /// Packets of Engine.IO. A polling session has no socket.
        case packets
        /// Packets of a WebSocket that is about to take over a polling session, and has no session
        /// of its own yet.
        case probe
    }

    /// Whether a drain must close the connection now. Until its commands are answered, it reads no
    /// more of them.
    func isDrainDue(at now: Int64) -> Bool { self.drainAt != 0 && self.drainAt <= now }

    /// The milliseconds from the last answered ping to its pong; nil before the first pong.
    var roundTrip: Int? { self.lastRoundTrip < 0 ? nil : Int(self.lastRoundTrip) }

    /// A ping without a payload is sent, at a monotonic millisecond.
    func pingSent(at now: Int64) {
        if self.pingSentAt == 0 { self.pingSentAt = UInt32(truncatingIfNeeded: now) }
    }

    /// A pong without a payload has arrived. Unsolicited ones are ignored.
    ///
    /// - Returns: whether it answers a ping.
    func pongReceived(at now: Int64) -> Bool {
        guard self.pingSentAt != 0 else { return false }
        self.lastRoundTrip = Int32(
            clamping: UInt32(truncatingIfNeeded: now) &- self.pingSentAt)
        self.pingSentAt = 0
        return true
    }

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
        /// The newest message that has answered a send of the connection.
        var answeredThrough: SequenceNumber = 0
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

    /// A class, because most connections have none.
    final class FurtherRead {
        let step: SessionStep

        init(step: SessionStep) { self.step = step }
    }

    init(
        reader: WebSocketReader, session: (any DialectSession)?, dialect: Int, isCompressed: Bool,
        content: MessageContent
    ) {
        self.reader = reader
        self.session = session
        self.dialectIndex = Int16(dialect)
        self.isCompressed = isCompressed
        self.content = content
    }
}
