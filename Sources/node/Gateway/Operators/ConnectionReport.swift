public import Bytes
public import ChatModel
public import EventLoop

/// Identifies a connection of this node in the log and for operators: its loop, slot and
/// generation. It is unique in this run of the node until a generation repeats.
public struct ConnectionID: Sendable, Hashable, CustomStringConvertible {
    public let loop: Int
    let token: SocketToken

    init(loop: Int, token: SocketToken) {
        self.loop = loop
        self.token = token
    }

    /// Parses a `description`; nil if the text is none.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let loop = UInt16(parts[0]), let slot = UInt32(parts[1]),
            let generation = UInt32(parts[2])
        else { return nil }
        self.init(loop: Int(loop), token: SocketToken(slot: slot, generation: generation))
    }

    public var description: String { "\(self.loop).\(self.token.slot).\(self.token.generation)" }
}

/// One WebSocket or polling session, as operators see it. It contains no messages and no tokens.
public struct ConnectionReport: Sendable {
    public let id: ConnectionID
    public let tenant: ByteString?
    /// Nil for a connection without a user.
    public let user: UserID?
    /// The name of the dialect, or `echo`.
    public let dialect: String
    /// An Engine.IO session without a WebSocket.
    public let isPolling: Bool
    /// The client's address; from a trusted proxy, the address that it reports, with port 0.
    public let peer: SocketAddress
    /// Without inboxes.
    public let conversationCount: Int
    /// Unsent bytes that count against the limit for slow readers.
    public let pendingBytes: Int
    /// The bytes of its socket; nil without a socket.
    public let traffic: SocketTraffic?
    /// The milliseconds from the last answered ping to its pong; nil before the first pong.
    public let roundTrip: Int?
    /// The milliseconds since the upgrade, and since the client was heard last.
    public let openFor: Int64
    public let idleFor: Int64

    /// Its unsent bytes exceed the limit above which `confab nodes` counts a connection as slow.
    public var isSlow: Bool { self.pendingBytes > LoopStatistics.slowConnectionBytes }

    /// As in the log.
    public var address: String { self.peer.clientText }
}

/// A connection in full.
public struct ConnectionDetails: Sendable {
    public struct SubscribedConversation: Sendable {
        public let conversation: ConversationKey
        /// The newest message that was sent to the connection.
        public let sentThrough: SequenceNumber
        /// The connection gets older messages from the store, before it gets live ones.
        public let isCatchingUp: Bool
    }

    public let report: ConnectionReport
    public let isTLS: Bool
    public let isCompressed: Bool
    /// Input is not read, because the client waits for answers or reads too slowly.
    public let isReadingPaused: Bool
    public let unansweredCommands: Int
    /// The seconds until its token expires; nil for a connection without a token or an expiry.
    public let expiresIn: Int64?
    /// The first conversations, without inboxes.
    public let subscriptions: [SubscribedConversation]
}

/// Which connections an operator asks for.
public struct ConnectionFilter: Sendable {
    /// Connections of one of these users; empty for those of all users.
    public var users: [UserID] = []
    public var tenant: ByteString = "default"
    public var isSlowOnly = false

    public init() {}
}

/// The connections in a range of slots.
public struct ConnectionSlice: Sendable {
    public var connections: [ConnectionReport] = []
    /// The slot with which the next slice begins; nil after the last one.
    public var next: Int?
}
