public import Bytes
public import ChatModel
public import Configuration
public import DialectKit
public import Identity
public import TLS

/// What may change while the node runs: read again on SIGHUP.
public struct LiveSettings: Sendable {
    public var verifier: TokenVerifier
    /// With one, the client port speaks TLS.
    public var tls: TLSContext?
    public var origins: OriginPolicy
    public var limits: Limits

    public init(verifier: TokenVerifier, tls: TLSContext?, origins: OriginPolicy, limits: Limits) {
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
    public var loopCount: Int
    public var clientHost: String
    public var clientPort: UInt16
    /// Nil: no admin listener.
    public var adminHost: String?
    public var adminPort: UInt16
    public var dialects: [any Dialect]
    public var chatLimits: ChatLimits
    /// Whose `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-PortReference` are believed.
    public var trustedProxies: [IPNetwork]
    /// Where clients find the service, for links; nil: where their requests come to.
    public var publicURL: PublicURL?
    /// Whether somebody without a token may come in where a protocol allows it.
    public var allowsAnonymous = false
    /// Whether only this machine reaches the client listener: there people without a token are trusted with what they could do to everybody.
    public var isLoopback: Bool {
        ListenAddress(host: self.clientHost, port: self.clientPort).isLoopback
    }
    /// A path at which frames are sent back as they came.
    public var echoPath: String?
    /// Whether frames for many sockets leave with one call of the kernel, where it lets us.
    public var usesSendRing = true
    /// Whether it shares its conversations with other nodes: then it takes nobody before it is one of them.
    public var isClustered = false
    /// How much other loops may have waiting for one.
    var mailboxLimit = 65_536

    public init(
        nodeName: String, incarnation: UInt64, version: String, loopCount: Int, clientHost: String,
        clientPort: UInt16, adminHost: String?,
        adminPort: UInt16, dialects: [any Dialect], chatLimits: ChatLimits,
        trustedProxies: [IPNetwork], echoPath: String?
    ) {
        self.nodeName = nodeName
        self.incarnation = incarnation
        self.version = version
        self.loopCount = loopCount
        self.clientHost = clientHost
        self.clientPort = clientPort
        self.adminHost = adminHost
        self.adminPort = adminPort
        self.dialects = dialects
        self.chatLimits = chatLimits
        self.trustedProxies = trustedProxies
        self.echoPath = echoPath
    }
}
