/// A protocol from the client's side: what a chat wants becomes frames, and frames become what has happened.
///
/// A value for one conversation that lives through many connections. It reads no clock and opens no socket; what it is told it answers with
/// frames to send and with events. What holds for all protocols (lines that wait, connecting again, every message once) is `ChatSession`'s.
protocol ClientDialect: Sendable {
    var dialect: ChatDialect { get }
    /// What can be done besides talking.
    var capabilities: Set<ClientCapability> { get }
    /// Whether what was missed comes of itself on a new connection that goes on behind a message.
    var replaysMissedMessages: Bool { get }
    /// Whether nothing may be said before one is in.
    var mustJoinBeforeSending: Bool { get }
    /// Whether the token stands in a field of the WebSocket's request.
    var sendsTokenInHeader: Bool { get }
    /// What others call oneself, where the answers to one's lines do not say it and it is not one's id.
    var ownName: String? { get }
    /// What is said before a connection is closed in good order.
    var closingFrames: [String] { get }

    /// Where to connect, to go on behind a message where there is one.
    func url(after: Int?) -> WebSocketURL
    /// There is a new connection; whatever was asked on the one before will not be answered.
    mutating func connectionOpened()
    /// Asks to be let in, on a new connection or because the server could not do it the first time.
    mutating func join(_ entrance: JoinOptions) -> [DialectStep]
    /// The frames for a wish; none where the protocol has no word for it.
    mutating func frames(for wish: ClientCommand) -> [String]
    /// The server has sent a text.
    mutating func receive(_ text: [UInt8]) -> [DialectStep]
}

extension ClientDialect {
    var replaysMissedMessages: Bool { false }
    var mustJoinBeforeSending: Bool { true }
    var sendsTokenInHeader: Bool { true }
    var ownName: String? { nil }
    var closingFrames: [String] { [] }
}

/// What a protocol may have besides messages.
enum ClientCapability: Sendable {
    /// The server says who comes and goes.
    case presence
    /// Members can be asked for.
    case members
    case history, edits, typing, receipts
    /// Messages to one person alone.
    case directMessages
}

/// What is to be known on entering.
struct JoinOptions: Sendable, Equatable {
    /// The last message that was seen; nil the first time.
    var after: Int?
    /// So many of the newest messages, the first time.
    var limit: Int
}

/// What a dialect says to the session.
enum DialectStep: Equatable {
    case send(String)
    case event(ServerEvent)
}

extension [DialectStep] {
    static let malformed: [DialectStep] = [.event(.malformed)]

    init(sending frames: [String]) {
        self = frames.map { .send($0) }
    }
}
