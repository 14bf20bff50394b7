import Bytes
import ChatModel
import Cluster
import DialectKit
import EventLoop
import HTTPWire
import TLS

/// What comes into a loop from outside its thread.
enum LoopMail: Sendable {
    case envelope(Envelope)
    case store(StoreAnswer, StoreTicket)
    case adopt(Handover)
    case reload(LiveSettings)
    /// Close all clients, spread over so many milliseconds.
    case drain(milliseconds: Int64)
    /// Publish what has been counted.
    case publish
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
