/// The client side of a protocol: encodes commands as frames, and decodes frames to events.
///
/// One value serves one conversation over many connections. It reads no clock and opens no socket.
/// The rules that all protocols share are in `ChatSession`: queued lines, reconnects, every message
/// once.
public protocol ClientDialect: Sendable {
    var dialect: ChatDialect { get }
    /// The features that the protocol supports besides messages.
    var capabilities: Set<ClientCapability> { get }
    /// Whether the server sends missed messages unasked when a connection resumes after a message.
    var replaysMissedMessages: Bool { get }
    /// Whether other commands must wait until the client has joined.
    var mustJoinBeforeSending: Bool { get }
    /// Whether the token is sent in the `Authorization` field.
    var sendsTokenInHeader: Bool { get }
    /// The user's display name, where answers to sends lack it and it differs from the id.
    var ownName: String? { get }
    /// Frames to send before the connection is closed.
    var closingFrames: [String] { get }

    /// The URL to connect to. It resumes after a message and a revision, if there are any.
    func url(after: Int?, rev: Int?) -> WebSocketURL
    /// Uses another token from here on. Returns the frames that renew it on the open connection.
    mutating func renew(token: String) -> [String]
    /// A new connection is open. Requests of the previous one will not be answered.
    mutating func connectionOpened()
    /// Joins the conversation, on a new connection or after a temporary failure.
    mutating func join(_ options: JoinOptions) -> [DialectStep]
    /// The frames of a command; none where the protocol does not support it.
    mutating func frames(for command: ClientCommand) -> [String]
    /// Decodes a text frame of the server.
    mutating func receive(_ text: [UInt8]) -> [DialectStep]
}

extension ClientDialect {
    public var replaysMissedMessages: Bool { false }
    public var mustJoinBeforeSending: Bool { true }
    public var sendsTokenInHeader: Bool { true }
    public var ownName: String? { nil }
    public var closingFrames: [String] { [] }
    public mutating func renew(token: String) -> [String] { [] }
}

/// Features that only some protocols have.
public enum ClientCapability: Sendable {
    /// The server reports when users come online and go offline.
    case presence
    /// The list of members can be requested.
    case members
    case history, edits, typing, receipts
    /// Replies, threads, mentions, reactions, pins and search.
    case messageFeatures
    /// Pages before a message can be requested.
    case olderPages
    /// Pages after a message can be requested.
    case gapPages
    /// Messages to one user.
    case directMessages
}

/// Where a join starts.
public struct JoinOptions: Sendable, Equatable {
    /// The last message that was received; nil on the first join.
    public var after: Int?
    /// How many of the newest messages to request on the first join.
    public var limit: Int
}

/// A decision of a dialect; `ChatSession` carries it out.
public enum DialectStep: Sendable, Equatable {
    case send(String)
    case event(ServerEvent)
}

extension [DialectStep] {
    public static let malformed: [DialectStep] = [.event(.malformed)]

    init(sending frames: [String]) {
        self = frames.map { .send($0) }
    }
}
