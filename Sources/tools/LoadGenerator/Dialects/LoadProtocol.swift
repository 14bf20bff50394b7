public import Bytes
public import ConfabClient

/// A protocol and its transport, as a member of a run uses them.
///
/// The load generator does not parse frames. It finds messages by their stamps, and everything else
/// by patterns.
public protocol LoadProtocol: Sendable {
    /// Whether the member polls instead of using a WebSocket.
    var usesLongPolling: Bool { get }
    /// Whether a member has joined as soon as its WebSocket is open. Otherwise `firstFrame` and
    /// `joinStep` lead to the join.
    var joinsByConnecting: Bool { get }
    /// The patterns of frames that report an error. Presence, receipts and other expected frames
    /// must not contain them.
    var errorPatterns: [StaticString] { get }

    /// The URL of a conversation, without the token.
    func url(of conversation: String, at server: WebSocketURL) -> WebSocketURL
    /// The frame that a member sends when its WebSocket is open; nil if the server sends first.
    func firstFrame(joining conversation: String) -> String?
    /// The step that follows a frame without a stamp.
    func joinStep(after frame: UnsafeRawBufferPointer, joining conversation: String)
        -> LoadJoinStep?
    /// Appends the frame that publishes a message.
    func append(_ message: LoadMessage, to buffer: inout ByteBuffer)
}

extension LoadProtocol {
    public var usesLongPolling: Bool { false }
    public var joinsByConnecting: Bool { true }
    public func firstFrame(joining conversation: String) -> String? { nil }
    public func joinStep(after frame: UnsafeRawBufferPointer, joining conversation: String)
        -> LoadJoinStep?
    { nil }
}

/// A step of a member's join.
public enum LoadJoinStep: Sendable, Equatable {
    case send(String)
    /// The member has joined.
    case joined
}

/// A message to publish. It appends its parts without intermediate texts.
public struct LoadMessage {
    let stamp: MessageStamp
    let member: Int
    let run: String
    let group: Int
    let contentByteCount: Int

    public func appendContent(to buffer: inout ByteBuffer) {
        self.stamp.append(to: &buffer, filledTo: self.contentByteCount)
    }

    /// Appends the start of the content, by which the message is recognised.
    public func appendStamp(to buffer: inout ByteBuffer) {
        self.stamp.append(to: &buffer, filledTo: 0)
    }

    /// Appends the id of the conversation, as `LoadPlan.conversation` returns it.
    public func appendConversation(to buffer: inout ByteBuffer) {
        buffer.append(text: self.run)
        buffer.append("-")
        buffer.append(decimal: self.group)
    }

    /// Appends an id that no other message of the run has.
    public func appendLocalID(to buffer: inout ByteBuffer) {
        buffer.append(decimal: self.member)
        buffer.append("-")
        buffer.append(decimal: self.stamp.number)
    }
}
