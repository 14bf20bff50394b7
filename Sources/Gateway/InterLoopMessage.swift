import Bytes
import ChatModel
import Cluster
import DialectKit
import EventLoop
import HTTPWire
import TLS

/// What comes into a loop from other loops. A full mailbox loses it, and the sender, or who misses it, mends that.
enum InterLoopMessage: Sendable {
    case envelope(Envelope)
    case adopt(ConnectionHandoff)
    case adoptRequest(RequestHandoff)
}

/// What the cluster tells a loop, and what its operators ask of it. It must never be lost, and is rare.
enum LoopControlMessage: Sendable {
    case follow(View)
    case rejoin(UInt64, View)
    case compareWithStore
    case messagesLost
    case report(@Sendable (LoopReport) -> Void)
    case shards(@Sendable ([ShardReport]) -> Void)
    /// What the owner of this conversation, if it is this loop, takes for stored of it.
    case storedPosition(
        ConversationKey, @Sendable ((head: SequenceNumber, revision: Revision)?) -> Void)
    /// A command of somebody's who has no connection.
    case command(ChatCommand, ConversationKey, @Sendable (ChatAnswer) -> Void)
    case read(StoreRequest, @Sendable (StoreAnswer) -> Void)
    /// What a loop of another node says.
    case forwardedMessage(String, from: UInt64)
    /// The WebSocket that has taken over from polling.
    case attachSocket(Socket, SocketHandoff)
    /// A request over plain HTTP has its answer.
    case respond(SocketToken, Result<HTTPResponse, HTTPError>, HTTPResponseContext)
}

/// What comes into a loop from the store. It must never be lost: nobody would ask again.
struct StoreReply: Sendable {
    let answer: StoreAnswer
    let ticket: StoreTicket
    /// It answers what a session asked, and not the chat.
    let isForSession: Bool
}

/// A connection on its way to the loop that is to answer its request.
///
/// Unchecked because a TLS connection belongs to one thread: the loop that sends this has let go of it.
struct RequestHandoff: @unchecked Sendable {
    let socket: Socket
    let peer: SocketAddress
    let isOverLimit: Bool
    let tls: TLSConnection?
    /// From the first byte of the request on.
    let unread: [UInt8]
}

/// A connection on its way to the loop on which its conversation lives.
///
/// Unchecked because a TLS connection belongs to one thread: the loop that sends this has let go of it.
struct ConnectionHandoff: @unchecked Sendable {
    let socket: Socket
    let peer: SocketAddress
    let tls: TLSConnection?
    let session: any DialectSession
    let dialect: Int
    let acceptsCompression: Bool
    let isCompressed: Bool
    /// The token's end, as monotonic milliseconds; 0 for never.
    let expiresAt: Int64
    /// To its request; unsent.
    let response: SharedFrame
    /// What the client has sent behind its request.
    let unread: [UInt8]
}
