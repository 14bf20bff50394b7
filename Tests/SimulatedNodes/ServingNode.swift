import Bytes
import ChatModel
import ClusterWire
import Configuration
import ConversationsDialect
import EventLoop
import Gateway
import HTTPWire
import Identity
import NodeLink
import RedisClient
import RedisStore
import SimulatedNetwork
import Telemetry

/// A node of the program on a simulated machine: `Gateway`, `NodeLink` and `RedisStore`, assembled
/// as `confab serve` does.
final class ServingNode: SimulatedProcess {
    let gateway: Gateway
    private let link: NodeLink
    private var loops: SimulatedLoops?
    private var hasStarted = false

    /// The port for clients.
    static let port: UInt16 = 8080
    private static let secret = Array("a secret of the simulation, long enough".utf8)
    private static let clusterName = "chat"

    init(
        _ name: String, on host: SimulatedHost, incarnation: UInt64, loops: Int, redis: String,
        logger: Logger
    ) throws {
        let url = try RedisURL(redis)
        var redis = try RedisSettings(url)
        redis.name = "confab-\(name)"
        var limits = Limits()
        limits.ping = .seconds(5)
        limits.idle = .seconds(15)
        let store = RedisStoreSettings(
            clusterName: Self.clusterName, history: limits.historyLimit, url: url)
        var settings = GatewaySettings(
            nodeName: name, incarnation: incarnation, version: "0", loopCount: loops,
            clientHost: host.address, clientPort: Self.port, adminHost: nil, adminPort: 0,
            dialects: [ConversationsDialect()], trustedProxies: [], echoPath: nil)
        settings.awaitsStart = true
        settings.usesSendRing = false
        let live = LiveSettings(
            verifier: TokenVerifier(secret: Self.secret), tls: nil,
            origins: OriginPolicy(AllowedOrigins(own: true, others: [])), limits: limits)
        var connections: [LoopConnection] = []
        self.gateway = try Gateway(
            settings, live: live, logger: logger, board: PublishedMetrics(loopCount: loops),
            admin: RequestRefusal()
        ) { loop, number in
            let connection = LoopConnection(
                redis, store: store, on: loop, seed: incarnation &+ UInt64(number) &+ 10)
            connections.append(connection)
            return connection.store
        }
        let linkSettings = NodeLinkSettings(
            clusterName: Self.clusterName, redis: redis,
            key: ClusterKey(derivedFrom: Self.secret, cluster: Self.clusterName),
            record: NodeRecord(
                incarnation: incarnation, name: name, address: self.gateway.clientAddress.text,
                host: name, version: "0", loops: loops, startedAt: WallClock.now))
        var link: NodeLink?
        self.gateway.connectRelay { receiver, loops in
            let made = NodeLink(
                linkSettings, loops: loops, connections: connections, receiver: receiver,
                logger: logger, callHandler: { _ in "" })
            link = made
            return made
        }
        guard let link else { preconditionFailure("The gateway made no relay.") }
        self.link = link
        self.loops = SimulatedLoops(on: host)
    }

    func run() -> Int64? {
        let next = self.loops?.run()
        if !self.hasStarted, self.link.joinState.isJoined {
            self.hasStarted = true
            self.gateway.markStarted()
        }
        return next
    }

    /// The path of a user's WebSocket.
    static func path(_ user: String, in conversation: String, after: Int) throws -> String {
        let claims = Claims(
            subject: user, grants: .all, expiry: Timestamp(milliseconds: 4_000_000_000_000))
        let token = try TokenSigner(secret: self.secret).sign(claims)
        return "/conversations/\(conversation)/?token=\(token)&after=\(after)"
    }
}

/// Refuses all requests of the admin listener, which simulated nodes do not have.
private struct RequestRefusal: RequestHandler {
    func answer(_ request: HTTPRequest, body: [UInt8]) throws(HTTPError) -> HTTPResponse {
        throw .notFound
    }
}
