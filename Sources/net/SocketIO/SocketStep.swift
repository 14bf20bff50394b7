public import Bytes
public import JSON

/// An event of the client, as ranges of the received text and values of its parsed document.
public struct SocketEvent: Sendable, Hashable {
    /// The range of the array `[name, argument…]` in the text. The array is the document's root,
    /// and its values must be read from these bytes.
    public let payload: Range<Int>
    /// A string or a number. The first argument is the element after it.
    public let name: JSONValue
    /// The id if the client wants an acknowledgement: `ByteBuffer.append(socketAck:)`.
    public let ackID: Int?
}

/// The client's data about its previous connection (Socket.IO, "Connection state recovery"), not
/// yet validated.
public struct SocketRecovery: Sendable, Hashable {
    /// The token from the answer to its last CONNECT.
    public let pid: String
    /// The last string argument of an event; nil if no event had one.
    public let offset: String?
}

/// A step that the session requests of its caller.
public enum SocketStep: Sendable, Hashable {
    /// Send the client this packet: a range of `SocketSteps.text`.
    case send(Range<Int>)
    /// The client sent CONNECT; answer with `accept` or `refuse`. `auth` is the range of an object
    /// in the text, which is the document's root; nil if there is none.
    case connect(auth: Range<Int>?, SocketRecovery?)
    /// The client sent an event.
    case event(SocketEvent)
    /// The client acknowledged an event of this server. The range is the array of arguments, which
    /// is the document's root.
    case acknowledged(id: Int, Range<Int>)
    /// A valid packet is rejected for this reason. The caller sends the reason to the client, with
    /// the acknowledgement id if there is one. `event` is the event's name if it can be read.
    case refuse(ackID: Int?, event: ByteString?, String)
    /// The client sent DISCONNECT; it may connect again.
    case disconnected
    /// Close the connection below, after what was sent. This is always the session's last step.
    case end(SocketClosure)
}

/// The steps of a session and the texts of its packets. Reused for every input.
public struct SocketSteps: Sendable {
    /// Packets as text, one after the other.
    public private(set) var text = ByteBuffer()
    /// The steps, in order.
    public private(set) var list: [SocketStep] = []

    public init() {}

    /// Removes everything and keeps the memory.
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
