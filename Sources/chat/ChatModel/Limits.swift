/// Limits per client, per request, per conversation and per node.
///
/// Operators set those in `LimitTable`, and SIGHUP replaces most of them; the others are fixed at
/// the start.
public struct Limits: Sendable, Equatable {
    /// A message's content, as UTF-8.
    public var contentBytes = 16_384
    /// A request that carries a message, as received.
    public var messageBytes = 65_536
    /// A message's metadata, as received.
    public var metadataBytes = 8_192
    /// A WebSocket message, over all its frames.
    public var frameBytes = 1_048_576
    /// A frame or an answer with a page of messages, which has at least one.
    public var pageBytes = 262_144
    /// The nesting depth of JSON values.
    public var jsonDepth = 32
    /// The sustained rate of the messages and requests of a user, over all its connections; of
    /// guests, for their address.
    public var messagesPerSecond = 50
    /// The burst of the messages and requests of a user.
    public var messageBurst = 100
    /// Bytes that a user can store through the node in a day, each copy counted.
    public var storedBytesPerDay = 67_108_864
    /// The members of a conversation.
    public var members = 100_000
    /// Unsent bytes of a connection before it is closed with 1013. Also the answers that wait for
    /// the readers of one user, beyond which it gets no further ones.
    public var outboundBytes = 1_048_576
    /// Bytes that a user's connections, or those of an address without a user, have sent of
    /// messages and requests that are not complete. The first 16 KiB of each connection do not
    /// count. The node accepts 64 times as many of all users.
    public var unfinishedBytes = 4_194_304
    /// Unsent bytes of a connection before typing and presence events are dropped.
    public var ephemeralBytes = 65_536
    /// Concurrent clients of the node.
    public var connections = 100_000
    /// Concurrent clients with one address; by default half of `connections`, or all if these are
    /// few.
    public var connectionsPerAddress = 50_000
    /// Below this number of `connections` each client may take all of them: a part would be less
    /// than one browser needs.
    public static let fewConnections = 20
    /// Clients that the node accepts per second; it tells others to retry.
    public var connectsPerSecond = 50_000
    /// Engine.IO, in milliseconds: the ping interval, the time for a pong, and the time for
    /// CONNECT.
    public var enginePingInterval = 25_000
    public var enginePingTimeout = 20_000
    public var engineConnectTimeout = 45_000
    /// The body of an Engine.IO POST.
    public var enginePayloadBytes = 1_000_000
    /// The ping interval of the server; at most half of `idle`.
    public var ping: Duration = .seconds(25)
    /// How long a client may be silent before it is disconnected.
    public var idle: Duration = .seconds(60)
    /// How long a typing state lasts without renewal.
    public var typing: Duration = .seconds(6)
    /// The time for the head of an HTTP request.
    public var header: Duration = .seconds(10)
    /// How long an HTTP connection may be idle between two requests. Load balancers close theirs
    /// after 60 seconds; a node that closes first races with their next request, which then fails.
    public var httpIdle: Duration = .seconds(75)
    /// The time for the body of an HTTP request, and for a WebSocket message of several frames.
    public var body: Duration = .seconds(30)
    /// The head of an HTTP request.
    public var headerBytes = 16_384
    /// The token of a client. In a URL it must also fit into the request line of 8,192 bytes.
    public var tokenBytes = 8192
    /// The body of an HTTP request.
    public var bodyBytes = 1_048_576
    /// The steps of messages that each loop keeps for `confab trace`, at 48 bytes each.
    public var traceSteps = 65_536
    /// Events that wait for one receiver of webhooks, and dead letters.
    public var webhookBacklog = 100_000

    // MARK: Fixed at the start

    /// Messages kept per conversation; 0 keeps all.
    public var historyLimit = 10_000
    /// The number of newest messages that an owner remembers to recognize repeated sends and to
    /// mark receipts.
    public var recentMessages = 1000
    /// The most user ids in one request.
    public static let usersPerRequest = 100
    public var typingUsersPerConversation = 50
    /// The minimum time between two events about the reactions to one message.
    public var reactionInterval: Duration = .milliseconds(250)
    /// An absence shorter than this is not announced.
    public var minimumAbsence: Duration = .seconds(2)
    /// The minimum time between two presence announcements, so that arrivals are batched.
    public var arrivalInterval: Duration = .seconds(1)
    /// A conversation becomes a crowd above the first number of present users: it announces counts
    /// in place of single users. It stops being one below the second number.
    public var crowdAbove = 200
    public var crowdEndsBelow = 150
    /// The minimum time between two announcements in a crowd, and the most changes in each.
    public var crowdInterval: Duration = .seconds(2)
    public var crowdChangeLimit = 100
    /// The most messages that one move of a read cursor marks as read, and the most that a reader
    /// names in one request.
    public var readReceiptLimit = 100
    /// How long delivered cursors wait to be stored together. They move with every message, and
    /// loops report them to a new owner again.
    public var deliveredFlushDelay: Duration = .seconds(5)
    /// How long owners retain stored changes in case the store loses them, as Redis may at a
    /// failover. Zero for a store that loses nothing.
    public var retention: Duration = .zero
    /// How long a conversation without subscribers stays in memory.
    public var idleTimeout: Duration = .seconds(60)

    public init() {}
}
