public import ChatModel
public import EngineIO

/// A client protocol: converts frames to commands and events to frames, and does nothing else.
///
/// A rule that a dialect needs belongs to the core, where all dialects share it.
public protocol Dialect: Sendable {
    /// The name in metrics, logs and `--dialect`.
    var name: StaticString { get }

    /// Whether the protocol identifies users by numbers, which it reads from `Rendering.number`.
    var usesUserNumbers: Bool { get }

    /// A text frame that accompanies every ping of the connection; nil if the protocol has none.
    var heartbeat: StaticString? { get }

    /// How frames are transported.
    var transport: Transport { get }

    /// The paths of the dialect's WebSockets. Empty for Engine.IO, whose paths the transport names.
    var upgradePaths: [PathPattern] { get }

    /// Opens the session for a valid request for a WebSocket, or for an Engine.IO session; nil if
    /// the path does not belong to the dialect.
    func open(_ request: DialectRequest) -> OpenResult?

    /// Creates a session that continues a session of another node; nil if this version cannot have
    /// written the snapshot.
    ///
    /// - Parameters:
    ///   - snapshot: the text from `DialectSession.snapshot`.
    ///   - now: milliseconds of the monotonic clock.
    func resume(_ snapshot: String, allowsAnonymous: Bool, at now: Int64) -> (any DialectSession)?

    /// A session of this dialect on another node has broadcast this text.
    func receiveBroadcast(_ text: String)

    /// Writes the frames of an event, once for all subscribers that use this dialect.
    func render(
        _ event: ChatEvent, in conversation: ConversationKey, into rendering: inout Rendering)
}

extension Dialect {
    public var usesUserNumbers: Bool { false }
    public var transport: Transport { .webSocket }
    public func receiveBroadcast(_ text: String) {}
    public func resume(_ snapshot: String, allowsAnonymous: Bool, at now: Int64) -> (
        any DialectSession
    )? { nil }
}

/// How a dialect's frames are transported.
public enum Transport: Sendable {
    /// Each frame is a text message of a WebSocket.
    case webSocket
    /// Each frame is a packet of Engine.IO, over polling or a WebSocket. Sessions receive the data
    /// of its messages; they send and render whole packets.
    ///
    /// - Parameter paths: the paths of Engine.IO, as they appear in a request.
    case engine(EngineSettings, paths: [StaticString])
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
