public import Bytes

/// What the caller calls an HTTP request of a session; no two that are open at the same time are called the same.
public struct EngineRequestID: RawRepresentable, Sendable, Hashable {
    /// The caller's own number for it.
    public let rawValue: UInt64

    /// The one that the caller counts as this.
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }
}

/// What the caller calls a WebSocket of a session; no two that are open at the same time are called the same.
public struct EngineSocketID: RawRepresentable, Sendable, Hashable {
    /// The caller's own number for it.
    public let rawValue: UInt64

    /// The one that the caller counts as this.
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }
}

/// What a request is answered with.
public enum EngineAnswer: Sendable, Hashable {
    /// A poll's: 200, `text/plain; charset=UTF-8`, with this part of `EngineSteps.text`.
    case payload(Range<Int>)
    /// A POST's: 200, with the body `ok`.
    case accepted
    /// Its status, with `ByteBuffer.append(engineRefusal:)` for a body.
    case refused(EngineRefusal)
}

/// What a session wants done.
public enum EngineStep: Sendable {
    /// Answer a request. Each gets one answer, unless its connection broke.
    case answer(EngineRequestID, EngineAnswer)
    /// A text frame with this packet, behind those before it.
    case send(SharedFrame, EngineSocketID)
    /// A close frame with this code, behind the frames before it. Nothing more is wanted of that socket.
    case closeSocket(EngineSocketID, code: UInt16, reason: String)
    /// The client says this: a place in the bytes that were received.
    case message(Range<Int>)
    /// The client sent something binary.
    case binary
    /// The session is carried by this WebSocket from here on; what waited for a poll was sent on it before.
    case upgraded(EngineSocketID)
    /// The session is over and may be forgotten. The last step that it ever has.
    case closed(EngineClosure)
}

/// What a session has decided, and the bodies of its answers. Used again for every input.
public struct EngineSteps: Sendable {
    /// The bodies of polls' answers, one behind the other.
    public private(set) var text = ByteBuffer()
    /// What is to be done, in this order.
    public private(set) var list: [EngineStep] = []

    /// Nothing to do yet.
    public init() {}

    /// Forgets everything once it is done, and keeps the room for it, but for a burst's.
    public mutating func removeAll() {
        self.text.removeAll()
        self.list.clear()
    }

    mutating func append(_ step: EngineStep) {
        self.list.append(step)
    }

    mutating func refuse(_ request: EngineRequestID, _ refusal: EngineRefusal) {
        self.list.append(.answer(request, .refused(refusal)))
    }

    /// A poll's answer.
    mutating func answer(_ request: EngineRequestID, _ write: (inout ByteBuffer) -> Void) {
        let start = self.text.count
        write(&self.text)
        self.list.append(.answer(request, .payload(start..<self.text.count)))
    }
}
