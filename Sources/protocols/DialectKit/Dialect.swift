public import ChatModel
public import EngineIO

/// A client protocol: converts frames to commands and events to frames, and does nothing else.
///
/// A rule that a dialect needs belongs to the core, where all dialects share it. The requirements
/// that only some protocols have, such as a heartbeat, have default implementations. A dialect over
/// Engine.IO also conforms to `EngineDialect`.
public protocol Dialect: Sendable {
    /// The name in metrics, logs and `--dialect`.
    var name: StaticString { get }

    /// The paths of the dialect's WebSockets, each of whose frames is a text message.
    var upgradePaths: [PathPattern] { get }

    /// Opens the session for a valid request for a WebSocket, or for an Engine.IO session; nil if
    /// the path does not belong to the dialect.
    func open(_ request: DialectRequest) -> OpenResult?

    /// Writes the frames of an event, once for all subscribers that use this dialect.
    func render(
        _ event: ChatEvent, in conversation: ConversationKey, into rendering: inout Rendering)

    /// A text frame that accompanies every ping of the connection; nil for none.
    var heartbeat: StaticString? { get }

    /// Whether the protocol identifies users by numbers, which it reads from `Rendering.number`.
    var usesUserNumbers: Bool { get }

    /// A session of this dialect on another node has broadcast this text
    /// (`SessionStep.broadcast`).
    func receiveBroadcast(_ text: String)

    /// Creates a session that continues a session of another node; nil if sessions cannot move, or
    /// if this version cannot have written the snapshot.
    ///
    /// - Parameters:
    ///   - snapshot: the text from `DialectSession.snapshot`.
    ///   - now: milliseconds of the monotonic clock.
    func resume(_ snapshot: String, allowsAnonymous: Bool, at now: Int64) -> (any DialectSession)?
}

extension Dialect {
    public var heartbeat: StaticString? { nil }
    public var usesUserNumbers: Bool { false }
    public func receiveBroadcast(_ text: String) {}
    public func resume(_ snapshot: String, allowsAnonymous: Bool, at now: Int64) -> (
        any DialectSession
    )? { nil }
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

/// The result of a request for a dialect's path.
public enum OpenResult: Sendable {
    /// The upgrade succeeds. The session may still refuse the client with a close code, which
    /// browsers can read.
    case session(any DialectSession)
    /// The upgrade is refused with this HTTP status and reason.
    case refused(status: Int, String)
    /// The answer to this command decides, before the upgrade.
    case awaitingAnswer(
        ChatCommand, in: ConversationKey, then: @Sendable (ChatAnswer) -> OpenResult)
}

/// Which connections receive a frame, among the subscribers of a conversation.
public enum Audience: Sendable, Equatable {
    case everybody
    /// All connections except those of this user.
    case others(UserID)
    case only(UserID)
    /// All connections except the one whose request caused the event.
    case otherConnections
}
