import Bytes
import ChatEngine
import ChatModel
import Cluster
import DialectKit
import EventLoop
import HTTPWire
import TLS

/// A message from another loop. A full mailbox rejects it.
enum InterLoopMessage: Sendable {
    /// The receiver notices the gap, and repairs it.
    case envelope(Envelope)
    /// The sender closes the socket, and the client connects again.
    case adopt(ConnectionHandoff)
    /// As `adopt`.
    case adoptRequest(RequestHandoff)
}

/// A control message from the cluster or an operator. It is rare and is never dropped.
enum LoopControlMessage: Sendable {
    case follow(View)
    case rejoin(UInt64, View)
    /// Whether other nodes serve the clients of this one, which cannot reach Redis.
    case evictionChanged(Bool)
    case compareWithStore
    case messagesLost
    case report(@Sendable (LoopReport) -> Void)
    case shards(@Sendable ([ShardReport]) -> Void)
    /// Reads from the loop's state for operators.
    case inspect(@Sendable (borrowing LoopState) -> Void)
    /// Requests the position up to which the conversation is stored, if this loop owns it.
    case storedPosition(
        ConversationKey, @Sendable ((head: SequenceNumber, revision: Revision)?) -> Void)
    /// A command that comes from no connection.
    case command(ChatCommand, ConversationKey, @Sendable (ChatAnswer) -> Void)
    /// The steps of these messages on this loop.
    case traceSteps(
        [ConversationKey: Set<SequenceNumber>], @Sendable ([TracedStep]) -> Void)
    /// The messages of a user on this loop.
    case traceMessages(UserTraceQuery, @Sendable ([TracedUserMessage]) -> Void)
    /// Requests this loop's claim of a conversation's shard; nil while it is being claimed, or if
    /// another loop owns it.
    case claim(ConversationKey, @Sendable ((owner: LoopID, epoch: Epoch)?) -> Void)
    /// The stored state of a conversation was repaired.
    case reload(ConversationKey)
    case read(StoreRequest, @Sendable (StoreAnswer) -> Void)
    /// Enforces the node's present bans, and replies with the number of connections that it closes.
    case enforceBans(@Sendable (Int) -> Void)
    /// Closes connections by order of an operator, and replies with their number.
    case disconnect(DisconnectTarget, @Sendable (Int) -> Void)
    /// A message from a loop of another node.
    case nodeMessage(String, from: UInt64)
    /// The WebSocket that takes over a polling session.
    case attachSocket(Socket, SocketHandoff)
    /// The asynchronous response to an HTTP request.
    case respond(SocketToken, Result<HTTPResponse, HTTPError>, HTTPResponseContext)
}

/// A reply from the store. It is never dropped, because no request is repeated.
struct StoreReply: Sendable {
    let answer: StoreAnswer
    let ticket: StoreTicket
    /// The reply answers a session's request, not one of the chat engine.
    let isForSession: Bool
}

/// An HTTP connection that moves to the loop which has the session of its request.
///
/// Unchecked because a TLS connection belongs to one thread: the sending loop has given it up.
struct RequestHandoff: @unchecked Sendable {
    let socket: Socket
    let peer: SocketAddress
    let exceededLimit: ConnectionLimit?
    let addressShare: AddressShare?
    let tls: TLSConnection?
    /// The input, from the first byte of the request.
    let unread: [UInt8]
}

/// A WebSocket that moves to the loop on which the subscribers of its conversation gather.
///
/// Unchecked because a TLS connection belongs to one thread: the sending loop has given it up.
struct ConnectionHandoff: @unchecked Sendable {
    let socket: Socket
    let peer: SocketAddress
    let addressShare: AddressShare?
    let tls: TLSConnection?
    let session: any DialectSession
    let dialect: Int
    let acceptsCompression: Bool
    let isCompressed: Bool
    /// When the token expires, in monotonic milliseconds; 0 for never.
    let expiresAt: Int64
    /// The unsent response to the upgrade request.
    let response: SharedFrame
    /// The input after the upgrade request.
    let unread: [UInt8]
    /// The trace of the upgrade request, for the log.
    let trace: TraceParent?
}
