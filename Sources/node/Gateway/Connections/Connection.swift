import Bytes
import EventLoop
import HTTPWire
import TLS

/// The listener that accepted a connection.
enum ListenerRole: UInt8, Sendable { case clients, admin }

/// A limit that refuses a client's connection.
enum ConnectionLimit: UInt8, Sendable {
    /// `--limit connections`
    case node
    /// `--limit connections-per-address`, or its part for clients without a token.
    case address

    var refusal: HTTPError {
        switch self {
        case .node: .nodeFull
        case .address: .addressFull
        }
    }
}

/// A loop's state of one connection, apart from the hot fields in `ConnectionTable`.
///
/// A class, so that code which has a connection need not look it up again after each step that may
/// have closed it: it checks `isConnected`.
final class Connection {
    let token: SocketToken
    /// The connection belongs to this loop. False after it has been closed or has moved.
    @exclusivity(unchecked) var isConnected = true
    /// The client's address. For a WebSocket through a trusted proxy it is the address that the
    /// proxy reports, with port 0.
    @exclusivity(unchecked) var peer: SocketAddress
    let listenerRole: ListenerRole
    /// The client has shown a token or a user. The pool counts the others.
    @exclusivity(unchecked) private(set) var isIdentified = false
    /// The limit that the connection exceeds; nil for none.
    @exclusivity(unchecked) private(set) var exceededLimit: ConnectionLimit?
    /// The connection's place in the counts of its address. Nil for a proxy's connection, whose
    /// requests are of different clients.
    @exclusivity(unchecked) var addressShare: AddressShare?
    @exclusivity(unchecked) var tls: TLSConnection?
    @exclusivity(unchecked) var phase: Phase
    /// Bytes that were read and not consumed: a partial frame, or input of a connection whose
    /// reading is paused.
    @exclusivity(unchecked) var unread: [UInt8] = []
    /// Nil if the connection has so little unfinished input that it does not count.
    @exclusivity(unchecked) var unfinishedInput: UnfinishedInput?
    @exclusivity(unchecked) var backlog = Backlog()
    /// The monotonic millisecond by which the present phase must have ended; 0 for none.
    @exclusivity(unchecked) var deadline: Int64 = 0
    /// The wheel's tick at which this connection is checked next. Entries for other ticks are
    /// stale.
    @exclusivity(unchecked) var nextTimerTick: UInt32 = 0
    @exclusivity(unchecked) var isReadingPaused = false
    @exclusivity(unchecked) var closeState = CloseState.open
    /// How often the socket was read since this side began to close the connection.
    @exclusivity(unchecked) var closingReads: UInt8 = 0

    init(
        token: SocketToken, peer: SocketAddress, listenerRole: ListenerRole,
        exceededLimit: ConnectionLimit? = nil, addressShare: AddressShare? = nil,
        tls: TLSConnection? = nil, phase: Phase
    ) {
        self.token = token
        self.peer = peer
        self.listenerRole = listenerRole
        self.exceededLimit = exceededLimit
        self.addressShare = addressShare
        self.tls = tls
        self.phase = phase
    }

    /// - Returns: whether the client had shown neither a token nor a user before.
    func markIdentified() -> Bool {
        defer { self.isIdentified = true }
        return !self.isIdentified
    }

    /// The client has shown a token, and its address has a place for it.
    func admit(_ share: AddressShare) {
        self.addressShare = share
        self.exceededLimit = nil
    }

    /// The index in the loop's tables.
    var slot: Int { Int(self.token.slot) }

    /// The connection is from the client listener, not from the admin listener.
    var isClient: Bool { self.listenerRole == .clients }

    var isListener: Bool {
        if case .listening = self.phase { true } else { false }
    }

    /// The bytes that the client has sent of a message or a request that is not complete.
    var unfinishedBytes: Int {
        switch self.phase {
        case .webSocket(let webSocket): self.unread.count + webSocket.reader.fragmentByteCount
        case .http(let exchange): exchange.unfinishedBodyBytes
        case .handshake, .listening: 0
        }
    }

    /// The WebSocket's state; nil in the other phases.
    var webSocket: WebSocketState? {
        if case .webSocket(let webSocket) = self.phase { webSocket } else { nil }
    }

    /// How far the connection is closed.
    enum CloseState: Equatable {
        case open
        /// The unsent bytes are sent, then the socket is closed. Nothing more is read.
        case closeWhenSent
        /// The unsent bytes are sent, then this side is shut down, and input is discarded until the
        /// peer closes. If the socket were closed at once, the kernel would reset the connection
        /// and discard the last frames.
        case lingerWhenSent
        case lingering
    }

    enum Phase {
        case handshake
        case http(HTTPExchange)
        case webSocket(WebSocketState)
        /// A listening socket. Indirect, because it is larger than the cases of the many client
        /// connections.
        indirect case listening(ListeningSocket)
    }
}
