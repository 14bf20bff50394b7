public import Bytes
public import ChatModel
public import Identity
public import JSON

/// A dialect's state for one connection.
///
/// Every function receives an event and appends steps. The gateway sends the connection's frames in
/// the order of the steps. It reads nothing more from the client until a pending `enter`,
/// `readPage` or `fetch` is answered.
///
/// The events that only some protocols need, such as pages or a timeout, have default
/// implementations. A session that causes such an event must handle it: the default of an event
/// that a session has requested itself stops the process.
public protocol DialectSession: Sendable {
    /// The user of the connection; nil for a connection that is about to be refused.
    var principal: Principal? { get }
    /// Whether the client has shown who it is, or that it speaks the protocol. The gateway closes
    /// the oldest of the others if there are too many.
    var isIdentified: Bool { get }
    var tenant: ByteString { get }
    /// The only conversation of the connection, if its path names one. The gateway serves the
    /// connection on the preferred loop of that conversation.
    var homeConversation: ConversationKey? { get }

    /// The upgrade has succeeded.
    mutating func opened(into steps: inout SessionSteps)

    /// A text frame arrived. `document` is available for parsing it. If `steps.refusal` is set, the
    /// session refuses the request of the frame for that reason, with the id in the frame.
    mutating func received(
        _ text: RawSpan, reading document: inout JSONDocument, at now: Timestamp,
        into steps: inout SessionSteps)

    /// A binary frame arrived. Text dialects answer with an error.
    mutating func receivedBinary(into steps: inout SessionSteps)

    /// The owner has answered a command. If `isDelivered` is true, the connection also receives the
    /// message as an event.
    mutating func answered(
        _ answer: ChatAnswer, to tag: RequestTag, isDelivered: Bool,
        into steps: inout SessionSteps)

    /// Whether the answer to a stored send is the message's event, if the connection gets that.
    func isAnsweredByEvent(_ tag: RequestTag) -> Bool

    /// The user is no longer a member, no matter which connection requested that. The connection is
    /// no longer subscribed to the conversation.
    mutating func leftConversation(_ conversation: ConversationKey, into steps: inout SessionSteps)

    /// The identity of a new token, always of the same user, or the reason why the token is
    /// invalid.
    mutating func authenticated(
        _ result: Result<Identity, CredentialError>, into steps: inout SessionSteps)

    /// The token has expired.
    mutating func tokenExpired(into steps: inout SessionSteps)

    /// The client has gone on sending above its limit. The session closes the connection.
    mutating func exceededRate(into steps: inout SessionSteps)

    /// An operator has banned the user from the service or from a conversation of the connection.
    /// The session sends the notice in its protocol's form of an error, and closes the connection.
    /// This may be its first event.
    mutating func banned(_ notice: String, into steps: inout SessionSteps)

    // MARK: Events of some protocols

    /// The page that the session has requested (`SessionStep.readPage`); nil if the store could not
    /// read it.
    mutating func receivedPage(
        _ page: MessagePage?, for tag: RequestTag, into steps: inout SessionSteps)

    /// The answer to a query of the session (`SessionStep.fetch`); nil if the store is unavailable.
    mutating func receivedStoreAnswer(
        _ answer: StoreAnswer?, for tag: RequestTag, into steps: inout SessionSteps)

    /// A message was posted to a subscribed inbox of one user or one agent.
    mutating func receivedInboxMessage(
        _ message: Message, in inbox: ConversationKey, into steps: inout SessionSteps)

    /// For clients that can resume after a message. The retained messages follow. The resume point
    /// is older than the oldest of them, or its revision is too old or does not belong to this
    /// store.
    mutating func historyTruncated(
        in conversation: ConversationKey, oldest: SequenceNumber, into steps: inout SessionSteps)

    /// For clients that can resume after a message. The resume point is after the newest message,
    /// so the client's messages do not belong to this store. Messages after `head` follow.
    mutating func historyReset(
        in conversation: ConversationKey, head: SequenceNumber, into steps: inout SessionSteps)

    /// When `wake` must be called, in milliseconds as in `SessionSteps.monotonicMilliseconds`; nil
    /// for never.
    ///
    /// The gateway reads it after every step, in place: without `mutating` the session would be
    /// copied for it.
    var wakeAt: Int64? { mutating get }

    /// The deadline `wakeAt` has passed.
    mutating func wake(into steps: inout SessionSteps)

    /// Whether the session needs frames of its own at present, besides the shared frames of a
    /// message. Then the gateway calls `delivered` for each message, and sends no frame that is
    /// rendered with `unlessTracked`. Read after every step, as `wakeAt`.
    var tracksDeliveries: Bool { mutating get }

    /// The session tracks deliveries from here on. Its connection has received every message up to
    /// these positions.
    mutating func startedTrackingDeliveries(
        at positions: [(conversation: ConversationKey, through: SequenceNumber)],
        into steps: inout SessionSteps)

    /// The message was delivered to the connection while the session tracks deliveries.
    mutating func delivered(
        _ message: Message, in conversation: ConversationKey, into steps: inout SessionSteps)

    /// The state with which a session on another node can continue this one (`Dialect.resume`); nil
    /// if the session cannot move. No request is pending.
    ///
    /// - Parameter positions: the last delivered message of each subscribed conversation.
    func snapshot(
        at positions: [(conversation: ConversationKey, through: SequenceNumber)], now: Int64
    ) -> String?
}

extension DialectSession {
    public var homeConversation: ConversationKey? { nil }
    public var isIdentified: Bool { self.principal != nil }
    public func isAnsweredByEvent(_ tag: RequestTag) -> Bool { false }

    public mutating func banned(_ notice: String, into steps: inout SessionSteps) {
        steps.append(.close(SessionStep.bannedCode, notice))
    }

    public mutating func exceededRate(into steps: inout SessionSteps) {
        steps.append(.close(SessionStep.rateLimitedCode, SessionStep.rateLimitedReason))
    }

    public mutating func receivedPage(
        _ page: MessagePage?, for tag: RequestTag, into steps: inout SessionSteps
    ) { self.lacks("receivedPage") }

    public mutating func receivedStoreAnswer(
        _ answer: StoreAnswer?, for tag: RequestTag, into steps: inout SessionSteps
    ) { self.lacks("receivedStoreAnswer") }

    public mutating func receivedInboxMessage(
        _ message: Message, in inbox: ConversationKey, into steps: inout SessionSteps
    ) {}

    public mutating func historyTruncated(
        in conversation: ConversationKey, oldest: SequenceNumber, into steps: inout SessionSteps
    ) {}

    public mutating func historyReset(
        in conversation: ConversationKey, head: SequenceNumber, into steps: inout SessionSteps
    ) {}

    public var wakeAt: Int64? { mutating get { nil } }

    public mutating func wake(into steps: inout SessionSteps) { self.lacks("wake") }

    public var tracksDeliveries: Bool { mutating get { false } }

    public mutating func startedTrackingDeliveries(
        at positions: [(conversation: ConversationKey, through: SequenceNumber)],
        into steps: inout SessionSteps
    ) { self.lacks("startedTrackingDeliveries") }

    public mutating func delivered(
        _ message: Message, in conversation: ConversationKey, into steps: inout SessionSteps
    ) { self.lacks("delivered") }

    public func snapshot(
        at positions: [(conversation: ConversationKey, through: SequenceNumber)], now: Int64
    ) -> String? { nil }

    private func lacks(_ event: String) -> Never {
        preconditionFailure("\(Self.self) causes an event that it does not handle: \(event)")
    }
}

extension SessionStep {
    /// The close code for banned users in protocols that define none.
    public static let bannedCode: UInt16 = 4403
    /// The close code for users that have reached a limit of their own.
    public static let rateLimitedCode: UInt16 = 4429
    public static let rateLimitedReason = "rate limited: you went on sending above your limit"
}

/// Why a new token was rejected.
public struct CredentialError: Error, Sendable, CustomStringConvertible {
    public let description: String

    public init(_ description: String) {
        self.description = description
    }
}

/// Identifies a request of a session when its answer arrives.
public struct RequestTag: Sendable {
    /// The dialect's number of the request type.
    public let kind: UInt8
    public let number: Int
    public let text: ByteString?
    /// The conversation of the request, if the connection has several.
    public let conversation: ByteString?
    /// When the client sent the request, in milliseconds as in `SessionSteps.receivedAt`; 0 for the
    /// current frame. A request is answered within 5 s of this time, even if it takes several
    /// steps.
    public let requestedAt: Int64

    public init(
        kind: UInt8, number: Int = 0, text: ByteString? = nil, conversation: ByteString? = nil,
        requestedAt: Int64 = 0
    ) {
        self.kind = kind
        self.number = number
        self.text = text
        self.conversation = conversation
        self.requestedAt = requestedAt
    }
}

/// A step that a session requests of the gateway.
public enum SessionStep: Sendable {
    /// Send a text frame to this connection: a range of `SessionSteps.text`.
    case reply(Range<Int>)
    /// Join a conversation and subscribe to it.
    indirect case enter(ConversationKey, JoinRequest, from: StartPosition, RequestTag)
    /// Unsubscribe from a conversation and remain a member.
    case unsubscribe(ConversationKey)
    /// Submit a command to the conversation's owner. Without a tag, no answer is returned.
    case submit(ChatCommand, in: ConversationKey, RequestTag?)
    /// Read a page of messages of a subscribed conversation (`DialectSession.receivedPage`).
    case readPage(ConversationKey, PageRange, limit: Int, RequestTag)
    /// Read a page of a thread, as `readPage`.
    indirect case readThread(
        ConversationKey, root: SequenceNumber, PageRange, limit: Int, RequestTag)
    /// Query the store for lists and numbers (`DialectSession.receivedStoreAnswer`). The gateway
    /// reads nothing more from the client until the answer arrives.
    indirect case fetch(StoreRequest, RequestTag)
    /// A further `readPage` or `fetch` for the answer to one request. It counts as a page of a
    /// replay of the user: if these have cost too much, it waits.
    ///
    /// - Parameter bytes: those of the page before.
    indirect case readFurther(SessionStep, after: Int)
    /// Verify a new token.
    case authenticate(String)
    /// Send this text to the same dialect on all other nodes (`Dialect.receiveBroadcast`). Delivery
    /// is not guaranteed.
    case broadcast(String)
    /// Close the connection after the frames before this step.
    case close(UInt16, String)
}

/// From which message on a new subscription receives messages.
public enum StartPosition: Sendable, Equatable {
    /// From the time of joining.
    case now
    /// After this message, and with all changes to earlier messages since that revision. Without a
    /// revision, since the message was posted.
    case after(SequenceNumber, since: Revision? = nil)
    /// After the last read message; for inboxes. A message counts as read when the client answers a
    /// ping that was sent after it.
    case unread
}

/// The steps of a session and the texts of its replies. Reused for every frame.
public struct SessionSteps: Sendable {
    public var text = ByteBuffer(capacity: 1024)
    public private(set) var list: [SessionStep] = []
    /// Set when the user has exceeded its rate limit: seconds until it may try again.
    public var retryAfter: Double?
    /// Set when the frame exceeds the size limit of messages: that limit in bytes.
    public var exceededByteLimit: Int?
    public var limits: Limits
    /// The wall clock of this turn, and the monotonic clock in milliseconds.
    public var now = Timestamp(milliseconds: 0)
    public var monotonicMilliseconds: Int64 = 0
    /// When the current frame arrived, by the monotonic clock. A frame that arrived while the
    /// connection waited for an answer may have arrived at any time since then, so the start of the
    /// wait is used.
    public var receivedAt: Int64 = 0

    /// The messages of a page that the client is sent; nil if these are all of the page.
    public var shownMessages: ClosedRange<SequenceNumber>?

    public init(limits: Limits) {
        self.limits = limits
    }

    public mutating func append(_ step: SessionStep) {
        self.list.append(step)
    }

    /// Why the request of the current frame must be refused; nil if it need not be.
    public var refusal: FrameRefusal? {
        if let limit = self.exceededByteLimit {
            return FrameRefusal("the message is longer than \(limit) bytes")
        }
        return self.retryAfter.map { FrameRefusal("rate limited", retryAfter: $0) }
    }

    /// Moves a step out of the list. Each step can be consumed once.
    public mutating func consumeStep(_ index: Int) -> SessionStep {
        exchange(&self.list[index], with: .reply(0..<0))
    }

    /// Appends a text frame for this connection only.
    public mutating func reply(_ write: (inout ByteBuffer) -> Void) {
        let start = self.text.count
        write(&self.text)
        self.list.append(.reply(start..<self.text.count))
    }

    public mutating func removeAll() {
        self.text.removeAll()
        self.list.clear(keepingCapacityUpTo: .max)
        self.retryAfter = nil
        self.exceededByteLimit = nil
        self.shownMessages = nil
    }
}

/// Why a frame is refused, whatever it requests.
public struct FrameRefusal: Sendable {
    public let reason: String
    /// Seconds until the client may try again; nil if a retry cannot help.
    public let retryAfter: Double?

    public init(_ reason: String, retryAfter: Double? = nil) {
        self.reason = reason
        self.retryAfter = retryAfter
    }
}
