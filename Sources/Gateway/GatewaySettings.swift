public import ChatModel
public import DialectKit
public import Identity
public import TLS

/// The bounds of connections; what the chat itself bounds is in `ChatLimits`.
public struct ConnectionLimits: Sendable {
    /// A message; a longer one gets the dialect's error.
    public var messageBytes = 65_536
    /// A frame, and a message of several; a longer one closes the connection with 1009.
    public var frameBytes = 1 << 20
    public var jsonDepth = 32
    public var messagesPerSecond = 50
    public var messageBurst = 100
    /// Unsent bytes of a connection. Above the first, typing and presence are left out; above the second it is closed with 1013.
    public var ephemeralBytes = 65_536
    public var outboundBytes = 1 << 20
    /// Open connections of the whole node; one more is answered with 503.
    public var connections = 100_000
    public var pingSeconds = 25
    public var idleSeconds = 60
    public var headerSeconds = 10
    public var headerBytes = 16_384
    public var bodySeconds = 30
    public var bodyBytes = 1 << 20
    /// How long a close handshake, or a last write to a slow reader, may take.
    public var closeSeconds = 5

    public init() {}
}

/// What may change while the node runs: read again on SIGHUP.
public struct LiveSettings: Sendable {
    public var verifier: TokenVerifier
    /// With one, the client port speaks TLS.
    public var tls: TLSContext?
    public var origins: OriginPolicy
    public var limits: ConnectionLimits

    public init(verifier: TokenVerifier, tls: TLSContext?, origins: OriginPolicy, limits: ConnectionLimits) {
        self.verifier = verifier
        self.tls = tls
        self.origins = origins
        self.limits = limits
    }
}

/// What a node is from its start to its end.
public struct GatewaySettings: Sendable {
    public var nodeName: String
    /// Names this one life of the node.
    public var incarnation: UInt64
    public var version: String
    public var storeKind: String
    public var loopCount: Int
    public var clientHost: String
    public var clientPort: UInt16
    /// Nil: no admin listener.
    public var adminHost: String?
    public var adminPort: UInt16
    public var dialects: [any Dialect]
    public var chatLimits: ChatLimits
    public var trustedProxies: ProxyList
    /// A path at which frames are sent back as they came.
    public var echoPath: String?
    /// How long a drain spreads its closes.
    public var drainSeconds: Int

    public init(
        nodeName: String, incarnation: UInt64, version: String, storeKind: String, loopCount: Int, clientHost: String, clientPort: UInt16,
        adminHost: String?, adminPort: UInt16, dialects: [any Dialect], chatLimits: ChatLimits, trustedProxies: ProxyList, echoPath: String?,
        drainSeconds: Int
    ) {
        self.nodeName = nodeName
        self.incarnation = incarnation
        self.version = version
        self.storeKind = storeKind
        self.loopCount = loopCount
        self.clientHost = clientHost
        self.clientPort = clientPort
        self.adminHost = adminHost
        self.adminPort = adminPort
        self.dialects = dialects
        self.chatLimits = chatLimits
        self.trustedProxies = trustedProxies
        self.echoPath = echoPath
        self.drainSeconds = drainSeconds
    }
}
