public import ChatModel

/// A client protocol: converts frames to commands and events to frames, and does nothing else.
///
/// A rule that a dialect needs belongs to the core, where all dialects share it. A dialect that
/// needs more, such as a heartbeat or Engine.IO, also conforms to the protocols in
/// `DialectCapabilities.swift`.
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
