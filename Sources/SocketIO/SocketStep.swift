public import Bytes
public import JSON

/// An event of the client's. It lies in the text that was received and in the document that has read it.
public struct SocketEvent: Sendable, Hashable {
    /// Where the array `[name, argument…]` lies in the text. It is the document's root; what the document says of it is read from these
    /// bytes of the text.
    public let payload: Range<Int>
    /// A string, or a number. The first argument is the element after it.
    public let name: JSONValue
    /// Set when the client wants an answer: `ByteBuffer.append(socketAck:)`.
    public let ackID: Int?
}

/// What a client brings back of the connection that it had before (Socket.IO, "Connection state recovery"). Nobody has judged it.
public struct SocketRecovery: Sendable, Hashable {
    /// What its last CONNECT was answered with.
    public let pid: String
    /// The last string that an event ended with; nil when none has come.
    public let offset: String?
}

/// What a session wants done.
public enum SocketStep: Sendable, Hashable {
    /// Send the client this packet: a part of `SocketSteps.text`.
    case send(Range<Int>)
    /// The client wants to come in; answer with `accept` or `refuse`. Its `auth` is the document's root, an object that lies here in the
    /// text; nil when there is none.
    case connect(auth: Range<Int>?, SocketRecovery?)
    /// The client says something.
    case event(SocketEvent)
    /// The client answers an event of ours: the array of arguments lies here, and is the document's root.
    case acknowledged(id: Int, Range<Int>)
    /// What the client sent is no breach of the protocol, but is not taken, for this reason. Whoever speaks to the client says so, in the
    /// answer with that id if there is one. `event` is the event's name, where it is an event and the name can be read.
    case refuse(ackID: Int?, event: ByteString?, String)
    /// The client left; it may come in again.
    case disconnected
    /// Close the connection below, behind what was sent. The last step that a session ever has.
    case end(SocketClosure)
}

/// What a session has decided, and the texts of its packets. Used again for every input.
public struct SocketSteps: Sendable {
    /// Packets as text, one behind the other.
    public private(set) var text = ByteBuffer()
    /// What is to be done, in this order.
    public private(set) var list: [SocketStep] = []

    /// Nothing to do yet.
    public init() {}

    /// Forgets everything once it is done, and keeps the room for it.
    public mutating func removeAll() {
        self.text.removeAll()
        self.list.clear()
    }

    mutating func append(_ step: SocketStep) {
        self.list.append(step)
    }

    mutating func send(_ write: (inout ByteBuffer) -> Void) {
        let start = self.text.count
        write(&self.text)
        self.list.append(.send(start..<self.text.count))
    }
}
