public import Bytes
public import ChatModel
public import Identity
public import JSON

/// A dialect's state for one connection.
///
/// Every function takes what happened and appends what is to be done. The gateway keeps the connection's frames in the
/// order of the steps, and reads nothing more from it while it waits to be let in or for a page.
public protocol DialectSession: Sendable {
    /// Who the connection belongs to; nil for one that is about to be refused.
    var principal: Principal? { get }
    var tenant: ByteString { get }
    /// The one conversation that the connection is for, if its path names it: it is served where that conversation is.
    var homeConversation: ConversationKey? { get }

    // Asked after all that a session does, and so where it stands: without `mutating` the session would be copied for it.

    /// Whether what is rendered for everybody is not all that this connection gets of a message: `shown` is called for each then.
    var tracksDeliveries: Bool { mutating get }
    /// When `wake` is to be called, in milliseconds as `SessionSteps.monotonic` counts them; nil for never.
    var wakeAt: Int64? { mutating get }

    /// The upgrade is made.
    mutating func opened(into steps: inout SessionSteps)

    /// A text frame came. `document` is lent for reading it. When `steps.refusal` is set, whatever the frame asks for is refused for
    /// that reason, under the id that the frame has.
    mutating func received(
        _ text: RawSpan, reading document: inout JSONDocument, at now: Timestamp,
        into steps: inout SessionSteps)

    /// A binary frame came; dialects of text answer with an error.
    mutating func receivedBinary(into steps: inout SessionSteps)

    /// What the owner says to a command. A message that is marked as shown reaches this connection as an event as well.
    mutating func answered(
        _ answer: ChatAnswer, to tag: RequestTag, isDelivered isShown: Bool,
        into steps: inout SessionSteps)

    /// The page that was asked for; nil when the store could not give it.
    mutating func receivedPage(
        _ page: MessagePage?, for tag: RequestTag, into steps: inout SessionSteps)

    /// What was asked of the store beside pages; nil when it could not answer.
    mutating func receivedStoreAnswer(
        _ answer: StoreAnswer?, for tag: RequestTag, into steps: inout SessionSteps)

    /// Something came into an inbox that the connection hears.
    mutating func receivedInboxMessage(
        _ message: Message, in inbox: ConversationKey, into steps: inout SessionSteps)

    /// The user is no member any more, wherever that was asked for: the connection does not hear the conversation from here on.
    mutating func leftConversation(_ conversation: ConversationKey, into steps: inout SessionSteps)

    /// What follows are the retained messages: the point to resume from is older than they are, or its revision is older, or none of this
    /// store's.
    mutating func historyTruncated(
        in conversation: ConversationKey, oldest: SequenceNumber, into steps: inout SessionSteps)

    /// The point to resume from is behind the newest message: what the client has does not belong to this store. It hears what follows `head`.
    mutating func historyReset(
        in conversation: ConversationKey, head: SequenceNumber, into steps: inout SessionSteps)

    /// The fresh token that was sent: who it says the bearer is (the same user as before), or why it is refused.
    mutating func authenticated(
        _ result: Result<Identity, CredentialError>, into steps: inout SessionSteps)

    /// The token's time is over.
    mutating func tokenExpired(into steps: inout SessionSteps)

    /// What it waited for has not come in time.
    mutating func wake(into steps: inout SessionSteps)

    /// A personal session's connection was sent this message.
    mutating func delivered(
        _ message: Message, in conversation: ConversationKey, into steps: inout SessionSteps)

    /// What a session on another node needs to go on in this one's place; nil for one that cannot move. Nothing that it asked for is under way.
    ///
    /// - Parameter places: up to where the connection was sent messages, for each conversation that it hears.
    func snapshot(at places: [(conversation: ConversationKey, through: SequenceNumber)], now: Int64)
        -> String?

    /// The session is treated as personal from here on, and its connection was sent everything up to these messages.
    mutating func startedTrackingDeliveries(
        at places: [(conversation: ConversationKey, through: SequenceNumber)],
        into steps: inout SessionSteps)
}

/// What a protocol without lists, inboxes, offsets and times need not say.
extension DialectSession {
    // Mutating as well: else these were what an immutable session says, whatever it is.
    public var tracksDeliveries: Bool { mutating get { false } }
    public var wakeAt: Int64? { mutating get { nil } }
    public mutating func wake(into steps: inout SessionSteps) {}
    public func snapshot(
        at places: [(conversation: ConversationKey, through: SequenceNumber)], now: Int64
    ) -> String? { nil }
    public mutating func delivered(
        _ message: Message, in conversation: ConversationKey, into steps: inout SessionSteps
    ) {}
    public mutating func startedTrackingDeliveries(
        at places: [(conversation: ConversationKey, through: SequenceNumber)],
        into steps: inout SessionSteps
    ) {}
    public mutating func historyReset(
        in conversation: ConversationKey, head: SequenceNumber, into steps: inout SessionSteps
    ) {}
    public mutating func receivedStoreAnswer(
        _ answer: StoreAnswer?, for tag: RequestTag, into steps: inout SessionSteps
    ) {}
    public mutating func receivedInboxMessage(
        _ message: Message, in inbox: ConversationKey, into steps: inout SessionSteps
    ) {}
}

/// Why a fresh token was not taken.
public struct CredentialError: Error, Sendable, CustomStringConvertible {
    public let description: String

    public init(_ description: String) {
        self.description = description
    }
}

/// What a session remembers a question by.
public struct RequestTag: Sendable {
    /// The dialect's own number for the kind of question.
    public let kind: UInt8
    public let number: Int
    public let text: ByteString?
    /// Where a connection may be in several: the one that was asked about.
    public let conversation: ByteString?
    /// The millisecond, as `SessionSteps.receivedAt`, at which the client asked for this; 0 for the frame that is being read. The answer
    /// comes within 5 s from then on, however many questions the request takes.
    public let requestedAt: Int64

    public init(
        kind: UInt8, number: Int = 0, text: ByteString? = nil, conversation: ByteString? = nil,
        requestedAt since: Int64 = 0
    ) {
        self.kind = kind
        self.number = number
        self.text = text
        self.conversation = conversation
        self.requestedAt = since
    }
}

/// What a session wants done.
public enum SessionStep: Sendable {
    /// A text frame for this connection alone: this part of `SessionSteps.text`.
    case reply(Range<Int>)
    /// Come into a conversation and hear it.
    indirect case enter(ConversationKey, JoinRequest, from: StartPosition, RequestTag)
    /// Hear a conversation no more, and stay its member.
    case unsubscribe(ConversationKey)
    /// Without a tag no answer is wanted.
    case submit(ChatCommand, in: ConversationKey, RequestTag?)
    /// A page of messages of the conversation that the connection hears.
    case readPage(ConversationKey, PageRange, limit: Int, RequestTag)
    /// Something that the store knows and that is no page: lists and numbers. Nothing else is read from the client until it has come.
    indirect case fetch(StoreRequest, RequestTag)
    /// Check a fresh token.
    case authenticate(String)
    /// Tell the same dialect on all other nodes (`Dialect.heard`), as far as that can be done at once: nobody makes sure of it.
    case broadcast(String)
    /// Close the connection, behind what was written before.
    case close(UInt16, StaticString)
}

/// Where somebody who comes in begins to hear.
public enum StartPosition: Sendable, Equatable {
    /// With what is said after the entrance.
    case now
    /// Behind this message, and with what changed of the messages up to it since that revision; without one, since it was posted.
    case after(SequenceNumber, since: Revision? = nil)
    /// Behind what has been read. What is heard counts as read when a ping that was sent behind it is answered; for inboxes.
    case unread
}

/// What a session has decided, and the texts of its replies. Used again for every frame.
public struct SessionSteps: Sendable {
    public var text = ByteBuffer(capacity: 1024)
    public private(set) var list: [SessionStep] = []
    /// Set when the connection has used up its rate: seconds after which it may try again.
    public var retryAfter: Double?
    /// Set when the frame is longer than messages may be: to how many bytes that is.
    public var exceededByteLimit: Int?
    public var limits: ChatLimits
    /// The time of this turn; and that of a clock that never goes back, in milliseconds.
    public var now = Timestamp(milliseconds: 0)
    public var monotonicMilliseconds: Int64 = 0
    /// When the frame that is being read came, by the same clock. One that came while the connection waited for an answer may have come at
    /// any time since, so that the time at which the wait began stands for it.
    public var receivedAt: Int64 = 0

    public init(limits: ChatLimits) {
        self.limits = limits
    }

    public mutating func append(_ step: SessionStep) {
        self.list.append(step)
    }

    /// Why whatever the frame asks for is refused; nil when it is not.
    public var refusal: FrameRefusal? {
        if let limit = self.exceededByteLimit {
            return FrameRefusal("the message is longer than \(limit) bytes")
        }
        return self.retryAfter.map { FrameRefusal("rate limited", retryAfter: $0) }
    }

    /// One of the list, moved out of it: each may be had once.
    public mutating func consumeStep(_ place: Int) -> SessionStep {
        exchange(&self.list[place], with: .reply(0..<0))
    }

    /// A text frame for this connection alone.
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
    }
}

/// Why a frame is refused, whatever it asks for.
public struct FrameRefusal: Sendable {
    public let reason: String
    /// Seconds after which the client may try again; nil where that is of no use.
    public let retryAfter: Double?

    public init(_ sentence: String, retryAfter: Double? = nil) {
        self.reason = sentence
        self.retryAfter = retryAfter
    }
}
