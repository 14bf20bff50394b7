public import Bytes
public import ChatCore
public import ChatModel
public import Configuration
public import DialectKit
import EventLoop
public import Identity
public import TLS

/// The settings that may change while the node runs. SIGHUP reloads them.
public struct LiveSettings: Sendable {
    public var verifier: TokenVerifier
    /// If present, the client port speaks TLS.
    public var tls: TLSContext?
    public var origins: OriginPolicy
    public var hosts: HostPolicy
    public var limits: Limits

    public init(
        verifier: TokenVerifier, tls: TLSContext?, origins: OriginPolicy, hosts: HostPolicy = .any,
        limits: Limits
    ) {
        self.verifier = verifier
        self.tls = tls
        self.origins = origins
        self.hosts = hosts
        self.limits = limits
    }
}

/// The settings that stay the same until the process ends.
public struct GatewaySettings: Sendable {
    public var nodeName: String
    /// Identifies this run of the node.
    public var incarnation: UInt64
    public var version: String
    public var loopCount: Int
    public var clientHost: String
    public var clientPort: UInt16
    /// Nil for no admin listener.
    public var adminHost: String?
    public var adminPort: UInt16
    var dialects: [any Dialect]
    /// The proxies whose `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host` are trusted.
    public var trustedProxies: [IPNetwork]
    /// The base of links. If nil, links use the address of the request.
    public var publicURL: PublicURL?
    /// Whether clients without a token may connect where the protocol allows it.
    public var allowsAnonymous = false
    /// Whether only this machine reaches the client listener. Then clients without a token may also
    /// do what affects everyone.
    public var isLoopback: Bool {
        ListenAddress(host: self.clientHost, port: self.clientPort).isLoopback
    }
    /// The path of a WebSocket that returns each frame.
    public var echoPath: String?
    /// Whether frames for many sockets are written with one system call, if the kernel permits it.
    public var usesSendRing = true
    /// Whether the node admits no client before `Gateway.markStarted()`: it must read the bans, and
    /// a node of a cluster must join.
    public var awaitsStart = false
    /// Learns, on any loop, which members came online or went offline.
    public var presenceObserver: (@Sendable ([PresenceChange], ConversationKey) -> Void)?
    /// Reads the clocks of a loop. Each loop does this once a turn.
    public var readClocks: @Sendable () -> ClockReading = {
        ClockReading(monotonic: MonotonicTime.now.nanoseconds / 1_000_000, wall: WallClock.now)
    }
    /// How many messages from other loops a loop's mailbox holds.
    var mailboxLimit = 65_536

    public init(
        nodeName: String, incarnation: UInt64, version: String, loopCount: Int, clientHost: String,
        clientPort: UInt16, adminHost: String?,
        adminPort: UInt16, dialects: [any Dialect],
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
        self.trustedProxies = trustedProxies
        self.echoPath = echoPath
    }

    func isTrustedProxy(_ address: IPAddress) -> Bool {
        self.trustedProxies.contains { $0.contains(address) }
    }
}
