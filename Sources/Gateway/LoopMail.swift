import Bytes
import ChatModel
import Cluster
import DialectKit
import EventLoop
import HTTPWire
import TLS

/// What comes into a loop from other loops. A full mailbox loses it, and the sender, or who misses it, mends that.
enum LoopMail: Sendable {
    case envelope(Envelope)
    case adopt(Handover)
    case adoptRequest(RequestHandover)
}

/// What the cluster tells a loop, and what its operators ask of it. It must never be lost, and is rare.
enum LoopOrder: Sendable {
    case follow(View)
    case become(UInt64, View)
    case compareWithStore
    case mailWasLost
    case report(@Sendable (LoopReport) -> Void)
    case shards(@Sendable ([ShardReport]) -> Void)
    /// What the owner of this conversation, if it is this loop, takes for stored of it.
    case stored(ConversationKey, @Sendable ((head: SequenceNumber, revision: Revision)?) -> Void)
    /// A command of somebody's who has no connection.
    case command(ChatCommand, ConversationKey, @Sendable (ChatAnswer) -> Void)
    case read(StoreRequest, @Sendable (StoreAnswer) -> Void)
    /// What a loop of another node says.
    case letter(String, from: UInt64)
    /// The WebSocket that has taken over from polling.
    case attach(Socket, SocketArrival)
    /// A request over plain HTTP has its answer.
    case respond(SocketToken, Result<SiteResponse, HTTPError>, HTTPAnswering)
}

/// What comes into a loop from the store. It must never be lost: nobody would ask again.
struct StoreLetter: Sendable {
    let answer: StoreAnswer
    let ticket: StoreTicket
    /// It answers what a session asked, and not the chat.
    let isForSession: Bool
}

/// A connection on its way to the loop that is to answer its request.
///
/// Unchecked because a TLS connection belongs to one thread: the loop that sends this has let go of it.
struct RequestHandover: @unchecked Sendable {
    let socket: Socket
    let peer: SocketAddress
    let isSurplus: Bool
    let tls: TLSConnection?
    /// From the first byte of the request on.
    let unread: [UInt8]
}

/// A connection on its way to the loop on which its conversation lives.
///
/// Unchecked because a TLS connection belongs to one thread: the loop that sends this has let go of it.
struct Handover: @unchecked Sendable {
    let socket: Socket
    let peer: SocketAddress
    let tls: TLSConnection?
    let session: any DialectSession
    let dialect: Int
    let takesCompression: Bool
    let isCompressed: Bool
    /// The token's end, as monotonic milliseconds; 0 for never.
    let expiresAt: Int64
    /// To its request; unsent.
    let response: SharedFrame
    /// What the client has sent behind its request.
    let unread: [UInt8]
}
