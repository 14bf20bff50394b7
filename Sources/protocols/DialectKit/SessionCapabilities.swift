public import ChatModel
import Synchronization

// Capabilities that only some protocols have. A session conforms to the Swift protocols of its
// capabilities, and `HostedSession` looks them up once.

/// A session that reads pages of messages (`SessionStep.readPage`).
public protocol PageReading: DialectSession {
    /// The requested page; nil if the store could not read it.
    mutating func receivedPage(
        _ page: MessagePage?, for tag: RequestTag, into steps: inout SessionSteps)
}

/// A session that queries the store for lists and numbers (`SessionStep.fetch`).
public protocol StoreReading: DialectSession {
    /// The answer to a `fetch`; nil if the store is unavailable.
    mutating func receivedStoreAnswer(
        _ answer: StoreAnswer?, for tag: RequestTag, into steps: inout SessionSteps)
}

/// A session that subscribes to the inboxes of users or agents.
public protocol InboxReading: DialectSession {
    /// A message was posted to a subscribed inbox of one user or one agent.
    mutating func receivedInboxMessage(
        _ message: Message, in inbox: ConversationKey, into steps: inout SessionSteps)
}

/// A session whose client can resume after a message.
public protocol ResumableSession: DialectSession {
    /// The retained messages follow. The resume point is older than the oldest of them, or its
    /// revision is too old or does not belong to this store.
    mutating func historyTruncated(
        in conversation: ConversationKey, oldest: SequenceNumber, into steps: inout SessionSteps)

    /// The resume point is after the newest message, so the client's messages do not belong to this
    /// store. Messages after `head` follow.
    mutating func historyReset(
        in conversation: ConversationKey, head: SequenceNumber, into steps: inout SessionSteps)
}

/// A session with a timeout.
public protocol TimedSession: DialectSession {
    /// When `wake` must be called, in milliseconds as in `SessionSteps.monotonicMilliseconds`; nil
    /// for never.
    ///
    /// The gateway reads it after every step, in place: without `mutating` the session would be
    /// copied for it.
    var wakeAt: Int64? { mutating get }

    /// The deadline `wakeAt` has passed.
    mutating func wake(into steps: inout SessionSteps)
}

/// A session that may need frames of its own besides the shared frames of a message.
public protocol DeliveryTracking: DialectSession {
    /// Whether it needs them at present. Then the gateway calls `delivered` for each message, and
    /// sends no frame that is rendered with `unlessTracked`. Read after every step, as `wakeAt`.
    var tracksDeliveries: Bool { mutating get }

    /// The session tracks deliveries from here on. Its connection has received every message up to
    /// these positions.
    mutating func startedTrackingDeliveries(
        at positions: [(conversation: ConversationKey, through: SequenceNumber)],
        into steps: inout SessionSteps)

    /// The message was delivered to the connection while the session tracks deliveries.
    mutating func delivered(
        _ message: Message, in conversation: ConversationKey, into steps: inout SessionSteps)
}

/// A session that can move to another node (`SessionTransferring`).
public protocol TransferableSession: DialectSession {
    /// The state with which a session on another node can continue this one; nil if the session
    /// cannot move. No request is pending.
    ///
    /// - Parameter positions: the last delivered message of each subscribed conversation.
    func snapshot(
        at positions: [(conversation: ConversationKey, through: SequenceNumber)], now: Int64
    ) -> String?
}

/// The capabilities of a type of session.
///
/// They are looked up once per type and not per call, because a dynamic cast costs more than the
/// delivery of a message. One object serves all sessions of a type. `TransferableSession` is not
/// here, because a session moves at most once.
final class SessionCapabilities: Sendable {
    let pages: (any PageReading.Type)?
    let store: (any StoreReading.Type)?
    let inboxes: (any InboxReading.Type)?
    let resuming: (any ResumableSession.Type)?
    let timer: (any TimedSession.Type)?
    let deliveries: (any DeliveryTracking.Type)?

    private init(_ type: any DialectSession.Type) {
        self.pages = type as? any PageReading.Type
        self.store = type as? any StoreReading.Type
        self.inboxes = type as? any InboxReading.Type
        self.resuming = type as? any ResumableSession.Type
        self.timer = type as? any TimedSession.Type
        self.deliveries = type as? any DeliveryTracking.Type
    }

    private static let known = Mutex<[ObjectIdentifier: SessionCapabilities]>([:])

    static func of(_ type: any DialectSession.Type) -> SessionCapabilities {
        self.known.withLock { known in
            if let capabilities = known[ObjectIdentifier(type)] { return capabilities }
            let capabilities = SessionCapabilities(type)
            known[ObjectIdentifier(type)] = capabilities
            return capabilities
        }
    }
}
