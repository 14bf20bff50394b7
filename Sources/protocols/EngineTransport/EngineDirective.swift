internal import Bytes
public import EngineIO
public import EventLoop

/// A step that `EngineServer` requests of its caller.
///
/// The caller executes the directives of an event in order. If the execution of one causes another
/// event, the directives of that event are executed first, and then the remaining ones. A directive
/// for a connection that is no longer open has no effect.
public enum EngineDirective: Sendable {
    // MARK: HTTP connections

    /// Send the response to the pending request. The connection closes afterwards if `closes` is
    /// true, and also if the request's body is incomplete or the node is draining.
    case respond(SocketToken, EngineResponse, closes: Bool)
    /// Receive the body of the POST, up to `EngineSettings.maxPayload` bytes, and report its end
    /// with `bodyReceived`, `bodyTooLong` or `connectionDropped`.
    case receiveBody(SocketToken)
    /// Move the connection and its request to this loop, which has the session.
    case moveRequest(SocketToken, toLoop: Int)
    /// Answer the pending request with the upgrade, without compression. The connection is a
    /// WebSocket that is to take over a session: its messages are for `received` and
    /// `receivedBinary`. It is dropped after `timeout` milliseconds unless a session is adopted
    /// or the WebSocket closes; nil for no timeout.
    case acceptWebSocket(SocketToken, timeout: Int64?)

    // MARK: WebSockets

    /// Send a text message with this packet.
    case sendPacket(SharedPacket, SocketToken)
    /// Begin the close handshake.
    case closeSocket(SocketToken, code: UInt16, reason: String)
    /// Read nothing more from the WebSocket until its session is adopted or it closes.
    case pauseReading(SocketToken)
    /// Read nothing more from the WebSocket, and attach its socket to the connection of the polling
    /// session at the end of the turn, when all input has been stored. Report it with
    /// `socketAttached`. If the WebSocket has closed by then, the session's connection is dropped.
    case takeOver(SocketToken, of: SocketToken)
    /// Resume the state with the dialect and report it with `adopted`, then send the packets. If
    /// the dialect cannot read the state, report that with `adoptionFailed`.
    case adopt(SocketToken, TransferredSession)

    // MARK: Sessions

    /// The client has posted this message: a range of `EngineDirectives.input`. The caller offers
    /// it to `retainUnread`, and otherwise passes it to the dialect.
    case message(SocketToken, Range<Int>)
    /// The client has sent a binary message.
    case binaryMessage(SocketToken)
    /// The client has posted a packet that is no message, for its rate.
    case controlPacket(SocketToken)
    /// The session accepts more frames. The caller writes those that `write` has not accepted.
    case resumeWriting(SocketToken)
    /// Call `transfer` with the session's snapshot, unless a command or a request of the session is
    /// unanswered. The other node repeats its request, so nothing need be stored.
    case prepareTransfer(SocketToken, EngineTransferRequest)
    /// The session has been told that it ends. Drop its connection, whose close code is this one
    /// unless it has another.
    case endSession(SocketToken, code: UInt16)
    /// The session has moved to another node. Drop its connection.
    case dropSession(SocketToken)
    /// Check `hasWaitingPackets` and `deadline` of the session. It is the last directive of every
    /// change to a session.
    case updated(SocketToken)

    // MARK: Nodes

    /// Send a message to a loop of another node. It may be lost.
    case sendToNode(UInt64, loop: UInt16, String)
}

/// The directives of one event, in order, and the input to which they refer.
///
/// Each event gets a value of its own, because events nest. An empty value allocates nothing.
public struct EngineDirectives: Sendable {
    public private(set) var list: [EngineDirective] = []
    /// The bytes that contain the messages.
    public private(set) var input: [UInt8] = []

    public init() {}

    mutating func append(_ directive: EngineDirective) {
        self.list.append(directive)
    }

    /// Appends directives without input.
    mutating func append(contentsOf other: EngineDirectives) {
        self.list += other.list
    }

    mutating func setInput(_ bytes: [UInt8]) {
        self.input = bytes
    }
}

/// A request of another node to transfer a session to it.
public struct EngineTransferRequest: Sendable, Equatable {
    let number: UInt64
    /// The WebSocket that takes over.
    let socket: EngineSocketID
    let node: UInt64
    let loop: UInt16
}
