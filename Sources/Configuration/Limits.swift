/// Bounds on what a client may send, hold and cost.
public struct Limits: Sendable, Equatable {
    /// Of a message's content, as UTF-8.
    public var contentBytes = 16_384
    /// Of a request that carries a message, as it came.
    public var messageBytes = 65_536
    /// Of a message's metadata, as it came.
    public var metadataBytes = 8_192
    /// Of a WebSocket message, all its frames together.
    public var frameBytes = 1_048_576
    /// How deep JSON values may be nested.
    public var jsonDepth = 32
    /// What a connection may send in the long run.
    public var messagesPerSecond = 50
    /// What it may send at once.
    public var messageBurst = 100
    /// What may wait for a connection's socket before it is closed with 1013.
    public var outboundBytes = 1_048_576
    /// What may wait before typing and presence are left out.
    public var ephemeralBytes = 65_536
    /// Clients of the node at one time.
    public var connections = 100_000
    /// Clients that the node takes in one second; the others are told to come again.
    public var connectsPerSecond = 50_000
    /// Of Engine.IO, in milliseconds: from one ping to the next, how long a pong may take, and how long a client may take to CONNECT.
    public var enginePingInterval = 25_000
    public var enginePingTimeout = 20_000
    public var engineConnectTimeout = 45_000
    /// The body of a POST of Engine.IO.
    public var enginePayloadBytes = 1_000_000
    /// How often the server pings; never above half of `idle`.
    public var ping: Duration = .seconds(25)
    /// How long a client may be silent.
    public var idle: Duration = .seconds(60)
    /// How long somebody types without saying so again.
    public var typing: Duration = .seconds(6)
    /// How long the head of an HTTP request may take.
    public var header: Duration = .seconds(10)
    /// How long its body may take.
    public var body: Duration = .seconds(30)
    /// Of the head of an HTTP request.
    public var headerBytes = 16_384
    /// Of the body of an HTTP request.
    public var bodyBytes = 1_048_576

    public init() {}
}
