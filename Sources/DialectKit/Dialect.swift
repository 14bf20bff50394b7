public import Bytes
public import ChatModel

/// A client protocol over WebSocket: turns frames into commands and events into frames, and does nothing else.
///
/// A rule that a dialect needs belongs to the core, where all dialects have it.
public protocol Dialect: Sendable {
    /// What metrics, logs and `--dialect` call it.
    var name: StaticString { get }

    /// A text frame that is sent whenever the connection is pinged; nil where the protocol has none.
    var heartbeat: StaticString? { get }

    /// The session of a connection that asks for this path; nil when the path is not the dialect's.
    ///
    /// Called for plain requests too, to tell an unknown path (404) from one that wants an upgrade (426).
    func open(_ request: DialectRequest) -> DialectOpening?

    /// Writes the frames that tell of an event, once for everybody who hears it in this dialect.
    func render(_ event: ChatEvent, in conversation: ConversationKey, into rendering: inout Rendering)
}

/// What became of a request for a dialect's path.
public enum DialectOpening: Sendable {
    /// The upgrade is made; a session may refuse afterwards, with a close code that browsers see.
    case session(any DialectSession)
    /// The upgrade is refused with this HTTP status and sentence.
    case refused(status: Int, String)
}

/// Frames under way from a dialect to the gateway, one text behind the other.
public struct Rendering: Sendable {
    /// Where the frame that is being written goes.
    public var text = ByteBuffer(capacity: 1024)
    /// The finished frames: where each ends, and whom it is for.
    public private(set) var frames: [(end: Int, audience: Audience)] = []

    public init() {}

    /// What has been written since the last frame is one.
    public mutating func finish(for audience: Audience = .everybody) {
        self.frames.append((self.text.count, audience))
    }

    /// The text of one frame.
    public func range(of place: Int) -> Range<Int> {
        (place == 0 ? 0 : self.frames[place - 1].end)..<self.frames[place].end
    }

    public mutating func removeAll() {
        self.text.removeAll()
        self.frames.clear(keepingRoomFor: .max)
    }
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
