import AdminAPI
import Bytes
import ChatModel
import ClusterWire
public import Configuration
import EventLoop
import Gateway
import NodeLink
import RedisClient
import RedisStore
import StoreKit
import Synchronization
import Telemetry
import Webhooks

extension StoreKind {
    /// In Redis, shared by all nodes that use it.
    public static let redis = StoreKind(
        "redis", title: "Redis",
        forms: ["redis://HOST:PORT", "redis+sentinel://", "redis+cluster://"],
        durability: "in Redis, with unknown durability", isShared: true,
        // A failover of Redis may lose writes that it has acknowledged.
        retention: .seconds(60)
    ) { (kind: StoreKind, scheme: String, rest: String) throws(ValueProblem) in
        guard scheme.hasPrefix(kind.name) else { return nil }
        let text = "\(scheme):\(rest)"
        return StoreLocation(kind, text, description: try RedisStoreURL.parse(text).description)
    }
}

/// A store in Redis, and the node's link to the other nodes.
final class SharedStore: NodeStore {
    private let redis: RedisSettings
    private let store: RedisStoreSettings
    private let key: ClusterKey
    private let name: String
    private let incarnation: UInt64
    private let logger: Logger
    private let searcher: RedisSearcher
    private let connections = Mutex<[LoopConnection]>([])
    private let link = Mutex<NodeLink?>(nil)
    /// The webhooks, and their own connection.
    private let webhooks = Mutex<(service: WebhookService, connection: LoopConnection)?>(nil)

    init(_ settings: StoreSettings) throws {
        let options = settings.options
        let url = try RedisURL(settings.address)
        var redis = try RedisSettings(url, trusting: options.redisCAFile)
        redis.name = "confab-\(settings.name)"
        var store = RedisStoreSettings(
            clusterName: options.clusterName, history: settings.history, url: url)
        store.outbox = settings.outbox
        self.key = try settings.clusterKey()
        self.searcher = try RedisSearcher(redis, store: store, seed: settings.incarnation &+ 8)
        self.redis = redis
        self.store = store
        self.name = settings.name
        self.incarnation = settings.incarnation
        self.logger = settings.logger
    }

    /// Throws why a node could not use Redis.
    static func check(_ options: ServeOptions) throws {
        do {
            try ClusterReader(
                try RedisURL(options.store.address), trusting: options.redisCAFile,
                clusterName: options.clusterName
            ).checkAccess()
        } catch let failure as ClusterReader.ClusterReadError where !failure.isPermanent {
            throw StoreUnavailable(description: failure.description)
        }
    }

    var waitReplicas: Int? { self.store.waitReplicas }

    func chatStore(on loop: EventLoop, _ number: Int) -> any ChatStore {
        let connection = LoopConnection(
            self.redis, store: self.store, on: loop, seed: self.incarnation &+ UInt64(number) &+ 10,
            searcher: self.searcher)
        self.connections.withLock { $0.append(connection) }
        return connection.store
    }

    /// Starts webhooks. They send nothing before the node owns shards.
    func start(_ webhooks: WebhookService, signing signature: WebhookSignature) {
        let connection = LoopConnection(
            self.redis, store: self.store, on: webhooks.loop, seed: self.incarnation &+ 9)
        self.webhooks.withLock { $0 = (webhooks, connection) }
        webhooks.start(over: connection.store, signing: signature, partitions: [])
    }

    func join(_ gateway: Gateway, version: String, admin: ClusterAdmin) async {
        gateway.connectRelay { receiver, loops in
            let record = NodeRecord(
                incarnation: self.incarnation, name: self.name, address: gateway.clientAddress.text,
                adminAddress: gateway.adminAddress?.text,
                host: ProcessContext.hostname, version: version, loops: loops.count,
                startedAt: WallClock.now)
            let settings = NodeLinkSettings(
                clusterName: self.store.clusterName, redis: self.redis, key: self.key,
                record: record)
            let receiver =
                self.webhooks.withLock { $0?.service }.map {
                    WebhookPartitions(receiver, $0, incarnation: self.incarnation)
                } ?? receiver
            let link = NodeLink(
                settings, loops: loops, connections: self.connections.withLock { $0 },
                receiver: receiver, logger: self.logger,
                callHandler: { await admin.answer($0) })
            admin.attach(link)
            self.link.withLock { $0 = link }
            return link
        }
        guard let link = self.link.withLock({ $0 }) else { return }
        var pause = Duration.seconds(2)
        while await !link.waitUntilJoined(within: pause) {
            guard !Task.isCancelled else { return }
            pause = .seconds(5)
            self.logWaiting(link.joinState)
        }
    }

    private func logWaiting(_ joinState: NodeLink.JoinState) {
        if joinState.isNameTaken {
            self.logger.warning(
                "waiting for the name",
                [
                    "name": .text(self.name),
                    "reason":
                        "a living node has this name; each node needs a --node-id of its own",
                ])
            return
        }
        self.logger.info(
            "waiting for redis",
            [
                "url": .text(self.redis.url.description),
                "reason": .text(
                    joinState.outage ?? "the cluster has not let the node in yet"),
            ])
    }

    func handOver(within limit: Duration) async {
        await self.link.withLock { $0 }?.handOver(within: limit)
    }

    func leave(within limit: Duration) async {
        await self.link.withLock { $0 }?.leave(within: limit)
    }
}
