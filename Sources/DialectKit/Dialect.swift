public import ChatModel
public import EngineIO

/// A client protocol over WebSocket: turns frames into commands and events into frames, and does nothing else.
///
/// A rule that a dialect needs belongs to the core, where all dialects have it.
public protocol Dialect: Sendable {
    /// What metrics, logs and `--dialect` call it.
    var name: StaticString { get }

    /// It knows users by numbers, and what it renders has them from `Rendering.number`.
    var usesUserNumbers: Bool { get }

    /// A text frame that is sent whenever the connection is pinged; nil where the protocol has none.
    var heartbeat: StaticString? { get }

    /// What carries its frames.
    var transport: Transport { get }

    /// The session of a connection that asks for this path; nil when the path is not the dialect's.
    ///
    /// Called for plain requests too, to tell an unknown path (404) from one that wants an upgrade (426).
    func open(_ request: DialectRequest) -> OpenResult?

    /// A session that goes on where one of another node's stood; nil for what no node of this version writes.
    ///
    /// - Parameters:
    ///   - standing: as `DialectSession.standing` wrote it.
    ///   - now: in milliseconds, of a clock that never goes back.
    func resume(_ standing: String, allowsAnonymous: Bool, at now: Int64) -> (any DialectSession)?

    /// A session of this dialect on another node has announced this.
    func receiveBroadcast(_ word: String)

    /// Writes the frames that tell of an event, once for everybody who hears it in this dialect.
    func render(
        _ event: ChatEvent, in conversation: ConversationKey, into rendering: inout Rendering)
}

extension Dialect {
    public var usesUserNumbers: Bool { false }
    public var transport: Transport { .webSocket }
    public func receiveBroadcast(_ word: String) {}
    public func resume(_ standing: String, allowsAnonymous: Bool, at now: Int64) -> (
        any DialectSession
    )? { nil }
}

/// How a dialect's frames travel.
public enum Transport: Sendable {
    /// Each is a text message of a WebSocket.
    case webSocket
    /// Each is a packet of Engine.IO, over polling or a WebSocket. Sessions get the data of its messages; what they send, and what is
    /// rendered, are whole packets.
    ///
    /// - Parameter paths: where it is asked for, as they stand in a request.
    case engine(EngineSettings, paths: [StaticString])
}

/// What became of a request for a dialect's path.
public enum OpenResult: Sendable {
    /// The upgrade is made; a session may refuse afterwards, with a close code that browsers see.
    case session(any DialectSession)
    /// The upgrade is refused with this HTTP status and sentence.
    case refused(status: Int, String)
    /// The answer to this decides, before the upgrade.
    case awaitingAnswer(
        ChatCommand, in: ConversationKey, then: @Sendable (ChatAnswer) -> OpenResult)
}

/// Who of those that hear a conversation gets a frame.
public enum Audience: Sendable, Equatable {
    case everybody
    /// All connections but those of this user.
    case others(UserID)
    case only(UserID)
    /// All connections but the one that asked for what happened.
    case otherConnections
}
