public import Bytes
public import ChatModel
public import Identity
public import JSON

/// A session as its gateway uses it: it accepts every event, and passes on those that the session's
/// capabilities name.
public struct HostedSession: Sendable {
    public private(set) var base: any DialectSession
    private let capabilities: SessionCapabilities

    public init(_ base: any DialectSession) {
        self.base = base
        self.capabilities = .of(type(of: base))
    }

    // MARK: Events of every session

    public var principal: Principal? { self.base.principal }
    public var isIdentified: Bool { self.base.isIdentified }
    public var tenant: ByteString { self.base.tenant }
    public var homeConversation: ConversationKey? { self.base.homeConversation }

    public mutating func opened(into steps: inout SessionSteps) {
        self.base.opened(into: &steps)
    }

    public mutating func received(
        _ text: RawSpan, reading document: inout JSONDocument, at now: Timestamp,
        into steps: inout SessionSteps
    ) {
        self.base.received(text, reading: &document, at: now, into: &steps)
    }

    public mutating func receivedBinary(into steps: inout SessionSteps) {
        self.base.receivedBinary(into: &steps)
    }

    public mutating func answered(
        _ answer: ChatAnswer, to tag: RequestTag, isDelivered: Bool,
        into steps: inout SessionSteps
    ) {
        self.base.answered(answer, to: tag, isDelivered: isDelivered, into: &steps)
    }

    public func isAnsweredByEvent(_ tag: RequestTag) -> Bool { self.base.isAnsweredByEvent(tag) }

    public mutating func leftConversation(
        _ conversation: ConversationKey, into steps: inout SessionSteps
    ) {
        self.base.leftConversation(conversation, into: &steps)
    }

    public mutating func authenticated(
        _ result: Result<Identity, CredentialError>, into steps: inout SessionSteps
    ) {
        self.base.authenticated(result, into: &steps)
    }

    public mutating func tokenExpired(into steps: inout SessionSteps) {
        self.base.tokenExpired(into: &steps)
    }

    public mutating func banned(_ notice: String, into steps: inout SessionSteps) {
        self.base.banned(notice, into: &steps)
    }

    public mutating func exceededRate(into steps: inout SessionSteps) {
        self.base.exceededRate(into: &steps)
    }

    // MARK: Events of some sessions

    public mutating func receivedPage(
        _ page: MessagePage?, for tag: RequestTag, into steps: inout SessionSteps
    ) {
        guard let type = self.capabilities.pages else { self.lacks("PageReading") }
        type.pass(page, for: tag, to: &self.base, into: &steps)
    }

    public mutating func receivedStoreAnswer(
        _ answer: StoreAnswer?, for tag: RequestTag, into steps: inout SessionSteps
    ) {
        guard let type = self.capabilities.store else { self.lacks("StoreReading") }
        type.pass(answer, for: tag, to: &self.base, into: &steps)
    }

    private func lacks(_ capability: String) -> Never {
        preconditionFailure("\(type(of: self.base)) requests what only a \(capability) receives")
    }

    public mutating func receivedInboxMessage(
        _ message: Message, in inbox: ConversationKey, into steps: inout SessionSteps
    ) {
        self.capabilities.inboxes?.pass(message, in: inbox, to: &self.base, into: &steps)
    }

    public mutating func historyTruncated(
        in conversation: ConversationKey, oldest: SequenceNumber, into steps: inout SessionSteps
    ) {
        self.capabilities.resuming?.passTruncation(
            in: conversation, oldest: oldest, to: &self.base, into: &steps)
    }

    public mutating func historyReset(
        in conversation: ConversationKey, head: SequenceNumber, into steps: inout SessionSteps
    ) {
        self.capabilities.resuming?.passReset(
            in: conversation, head: head, to: &self.base, into: &steps)
    }

    /// See `TimedSession`; nil for never.
    public var wakeAt: Int64? {
        mutating get { self.capabilities.timer?.wakeAt(of: &self.base) ?? nil }
    }

    public mutating func wake(into steps: inout SessionSteps) {
        self.capabilities.timer?.wake(&self.base, into: &steps)
    }

    /// See `DeliveryTracking`.
    public var tracksDeliveries: Bool {
        mutating get { self.capabilities.deliveries?.isActive(in: &self.base) ?? false }
    }

    public mutating func startedTrackingDeliveries(
        at positions: [(conversation: ConversationKey, through: SequenceNumber)],
        into steps: inout SessionSteps
    ) {
        self.capabilities.deliveries?.start(at: positions, in: &self.base, into: &steps)
    }

    public mutating func delivered(
        _ message: Message, in conversation: ConversationKey, into steps: inout SessionSteps
    ) {
        self.capabilities.deliveries?.pass(message, in: conversation, to: &self.base, into: &steps)
    }

    /// See `TransferableSession`; nil if the session cannot move.
    public func snapshot(
        at positions: [(conversation: ConversationKey, through: SequenceNumber)], now: Int64
    ) -> String? {
        (self.base as? any TransferableSession)?.snapshot(at: positions, now: now)
    }
}

// Passes an event to a session of which only the capability is known. The session is changed in
// place.

extension DialectSession {
    /// Calls `body` with this session as a value of its own type.
    ///
    /// - Parameter type: the type of this session.
    fileprivate mutating func with<Session, Result>(
        _ type: Session.Type, _ body: (inout Session) -> Result
    ) -> Result {
        precondition(Self.self == type, "\(Self.self) is no \(type)")
        // A cast would copy the session, with all that it holds.
        return withUnsafeMutablePointer(to: &self) {
            $0.withMemoryRebound(to: Session.self, capacity: 1) { body(&$0.pointee) }
        }
    }
}

extension PageReading {
    fileprivate static func pass(
        _ page: MessagePage?, for tag: RequestTag, to session: inout any DialectSession,
        into steps: inout SessionSteps
    ) {
        session.with(Self.self) { $0.receivedPage(page, for: tag, into: &steps) }
    }
}

extension StoreReading {
    fileprivate static func pass(
        _ answer: StoreAnswer?, for tag: RequestTag, to session: inout any DialectSession,
        into steps: inout SessionSteps
    ) {
        session.with(Self.self) { $0.receivedStoreAnswer(answer, for: tag, into: &steps) }
    }
}

extension InboxReading {
    fileprivate static func pass(
        _ message: Message, in inbox: ConversationKey, to session: inout any DialectSession,
        into steps: inout SessionSteps
    ) {
        session.with(Self.self) { $0.receivedInboxMessage(message, in: inbox, into: &steps) }
    }
}

extension ResumableSession {
    fileprivate static func passTruncation(
        in conversation: ConversationKey, oldest: SequenceNumber,
        to session: inout any DialectSession, into steps: inout SessionSteps
    ) {
        session.with(Self.self) {
            $0.historyTruncated(in: conversation, oldest: oldest, into: &steps)
        }
    }

    fileprivate static func passReset(
        in conversation: ConversationKey, head: SequenceNumber,
        to session: inout any DialectSession, into steps: inout SessionSteps
    ) {
        session.with(Self.self) { $0.historyReset(in: conversation, head: head, into: &steps) }
    }
}

extension TimedSession {
    fileprivate static func wakeAt(of session: inout any DialectSession) -> Int64? {
        session.with(Self.self) { $0.wakeAt }
    }

    fileprivate static func wake(
        _ session: inout any DialectSession, into steps: inout SessionSteps
    ) {
        session.with(Self.self) { $0.wake(into: &steps) }
    }
}

extension DeliveryTracking {
    fileprivate static func isActive(in session: inout any DialectSession) -> Bool {
        session.with(Self.self) { $0.tracksDeliveries }
    }

    fileprivate static func start(
        at positions: [(conversation: ConversationKey, through: SequenceNumber)],
        in session: inout any DialectSession, into steps: inout SessionSteps
    ) {
        session.with(Self.self) { $0.startedTrackingDeliveries(at: positions, into: &steps) }
    }

    fileprivate static func pass(
        _ message: Message, in conversation: ConversationKey,
        to session: inout any DialectSession, into steps: inout SessionSteps
    ) {
        session.with(Self.self) { $0.delivered(message, in: conversation, into: &steps) }
    }
}
