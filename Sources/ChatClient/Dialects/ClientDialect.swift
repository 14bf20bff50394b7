/// A protocol from the client's side: what a chat wants becomes frames, and frames become what has happened.
///
/// A value for one conversation that lives through many connections. It reads no clock and opens no socket; what it is told it answers with
/// frames to send and with events. What holds for all protocols (lines that wait, connecting again, every message once) is `ChatSession`'s.
protocol ClientDialect: Sendable {
    var dialect: ChatDialect { get }
    /// What can be done besides talking.
    var abilities: Set<ClientAbility> { get }
    /// Whether what was missed comes of itself on a new connection that goes on behind a message.
    var replays: Bool { get }
    /// Whether nothing may be said before one is in.
    var waitsAtTheDoor: Bool { get }
    /// Whether the token stands in a field of the WebSocket's request.
    var sendsTokenField: Bool { get }
    /// What others call oneself, where the answers to one's lines do not say it and it is not one's id.
    var ownName: String? { get }
    /// What is said before a connection is closed in good order.
    var goodbye: [String] { get }

    /// Where to connect, to go on behind a message where there is one.
    func url(after: Int?) -> WebSocketURL
    /// There is a new connection; whatever was asked on the one before will not be answered.
    mutating func connected()
    /// Asks to be let in, on a new connection or because the server could not do it the first time.
    mutating func enter(_ entrance: Entrance) -> [DialectStep]
    /// The frames for a wish; none where the protocol has no word for it.
    mutating func frames(for wish: ClientWish) -> [String]
    /// The server has sent a text.
    mutating func heard(_ text: [UInt8]) -> [DialectStep]
}

extension ClientDialect {
    var replays: Bool { false }
    var waitsAtTheDoor: Bool { true }
    var sendsTokenField: Bool { true }
    var ownName: String? { nil }
    var goodbye: [String] { [] }
}

/// What a protocol may have besides messages.
enum ClientAbility: Sendable {
    /// The server says who comes and goes.
    case presence
    /// Members can be asked for.
    case members
    case history, edits, typing, receipts
    /// Messages to one person alone.
    case directMessages
}

/// What is to be known on entering.
struct Entrance: Sendable, Equatable {
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
    static let nonsense: [DialectStep] = [.event(.nonsense)]

    init(sending frames: [String]) {
        self = frames.map { .send($0) }
    }
}
