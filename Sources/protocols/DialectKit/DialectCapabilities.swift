public import ChatModel
public import EngineIO

// Capabilities that only some protocols have. A dialect conforms to the Swift protocols of its
// capabilities, and `HostedDialect` looks them up.

/// A protocol with a frame that accompanies every ping of the connection.
public protocol HeartbeatSending: Dialect {
    /// A text frame.
    var heartbeat: StaticString { get }
}

/// A protocol that identifies users by numbers, which it reads from `Rendering.number`.
public protocol UserNumbering: Dialect {}

/// A protocol whose sessions broadcast to the other nodes (`SessionStep.broadcast`).
public protocol BroadcastReceiving: Dialect {
    /// A session of this dialect on another node has broadcast this text.
    func receiveBroadcast(_ text: String)
}

/// A protocol whose sessions can move to another node (`TransferableSession`).
public protocol SessionTransferring: Dialect {
    /// Creates a session that continues a session of another node; nil if this version cannot have
    /// written the snapshot.
    ///
    /// - Parameters:
    ///   - snapshot: the text from `TransferableSession.snapshot`.
    ///   - now: milliseconds of the monotonic clock.
    func resume(_ snapshot: String, allowsAnonymous: Bool, at now: Int64) -> (any DialectSession)?
}

/// A protocol over Engine.IO: each frame is a packet, over polling or a WebSocket. Sessions receive
/// the data of its messages; they send and render whole packets.
public protocol EngineDialect: Dialect {
    var engineSettings: EngineSettings { get }
    /// The path of Engine.IO. Requests may end it with a slash.
    var enginePath: StaticString { get }

    /// Whether a packet must be in the same response to a poll as the packet before it.
    func isCompanion(_ packet: RawSpan) -> Bool
}

extension EngineDialect {
    /// The WebSockets of Engine.IO have the paths of its polls.
    public var upgradePaths: [PathPattern] { [] }
}

/// A dialect as its gateway uses it, with its capabilities, which are looked up once.
public struct HostedDialect: Sendable {
    public let base: any Dialect
    /// See `HeartbeatSending`; nil if the protocol has no heartbeat.
    public let heartbeat: StaticString?
    /// See `UserNumbering`.
    public let usesUserNumbers: Bool
    /// See `EngineDialect`; nil for a dialect whose frames are text messages of a WebSocket.
    public let engine: (any EngineDialect)?

    public init(_ base: any Dialect) {
        self.base = base
        self.heartbeat = (base as? any HeartbeatSending)?.heartbeat
        self.usesUserNumbers = base is any UserNumbering
        self.engine = base as? any EngineDialect
    }

    public var name: StaticString { self.base.name }
    public var upgradePaths: [PathPattern] { self.base.upgradePaths }

    public func open(_ request: DialectRequest) -> OpenResult? { self.base.open(request) }

    public func render(
        _ event: ChatEvent, in conversation: ConversationKey, into rendering: inout Rendering
    ) {
        self.base.render(event, in: conversation, into: &rendering)
    }

    // These are called when a session ends or moves, so a cast per call is cheap enough.

    /// See `BroadcastReceiving`.
    public func receiveBroadcast(_ text: String) {
        (self.base as? any BroadcastReceiving)?.receiveBroadcast(text)
    }

    /// See `SessionTransferring`; nil if the sessions cannot move.
    public func resume(_ snapshot: String, allowsAnonymous: Bool, at now: Int64) -> (
        any DialectSession
    )? {
        (self.base as? any SessionTransferring)?.resume(
            snapshot, allowsAnonymous: allowsAnonymous, at: now)
    }
}
