public import Bytes

/// The caller's id of an HTTP request of a session, unique among the open requests.
public struct EngineRequestID: RawRepresentable, Sendable, Hashable {
    public let rawValue: UInt64

    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }
}

/// The caller's id of a WebSocket of a session, unique among the open WebSockets.
public struct EngineSocketID: RawRepresentable, Sendable, Hashable {
    public let rawValue: UInt64

    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }
}

/// The response to a request.
public enum EngineAnswer: Sendable, Hashable {
    /// To a poll: 200, `text/plain; charset=UTF-8`, with this range of `EngineSteps.text`.
    case payload(Range<Int>)
    /// To a POST: 200, with the body `ok`.
    case accepted
    /// The refusal's status, with `ByteBuffer.append(engineRefusal:)` as the body.
    case refused(EngineRefusal)
}

/// A step that the session requests of its caller.
public enum EngineStep: Sendable {
    /// Answer a request. Each request is answered once, unless its connection broke.
    case answer(EngineRequestID, EngineAnswer)
    /// Send a text frame with this packet, after the frames before it.
    case send(SharedPacket, EngineSocketID)
    /// Send a close frame with this code, after the frames before it. No further steps refer to
    /// that socket.
    case closeSocket(EngineSocketID, code: UInt16, reason: String)
    /// The client sent this message: a range of the received bytes.
    case message(Range<Int>)
    /// The client sent a binary message.
    case binary
    /// The client posted a packet that is no message and that was processed.
    case control
    /// The session uses this WebSocket from here on. The packets that waited for a poll have
    /// already been sent on it.
    case upgraded(EngineSocketID)
    /// The session has ended and can be removed. This is always its last step.
    case closed(EngineClosure)
}

/// The steps of a session and the bodies of its responses. Each input has its own.
public struct EngineSteps: Sendable {
    /// The bodies of poll responses, one after the other.
    public private(set) var text = ByteBuffer()
    /// The steps, in order.
    public private(set) var list: [EngineStep] = []

    public init() {}

    mutating func append(_ step: EngineStep) {
        self.list.append(step)
    }

    mutating func refuse(_ request: EngineRequestID, _ refusal: EngineRefusal) {
        self.list.append(.answer(request, .refused(refusal)))
    }

    /// Answers a poll.
    mutating func answer(_ request: EngineRequestID, _ write: (inout ByteBuffer) -> Void) {
        let start = self.text.count
        write(&self.text)
        self.list.append(.answer(request, .payload(start..<self.text.count)))
    }
}
