import AdminAPI
import Bytes
import ChatEngine
import ChatModel
import ClusterWire
import Configuration
import EmbeddedStore
import EventLoop
import Gateway
import NodeLink
import RedisClient
import RedisStore
import Synchronization
import Telemetry
import Webhooks

/// The message store of a node: local, or shared in Redis.
enum NodeStore {
    case local(LocalStore)
    case shared(SharedStore)

    init(
        _ options: ServeOptions, _ keys: NodeKeys, name: String, incarnation: UInt64,
        outbox: OutboxWriter?, logger: Logger
    ) throws {
        switch options.store {
        case .memory: self = .local(.memory(history: options.limits.historyLimit, outbox: outbox))
        case .sqlite(let path):
            do throws(StoreFailure) {
                self = .local(
                    try .sqlite(path: path, history: options.limits.historyLimit, outbox: outbox))
            } catch {
                throw StoreProblem(description: "--store: \(error)")
            }
        case .redis(let url):
            var redis = try RedisSettings(url, trusting: options.redisCAFile)
            redis.name = "confab-\(name)"
            var settings = RedisStoreSettings(
                clusterName: options.clusterName, history: options.limits.historyLimit, url: url)
            settings.outbox = outbox
            self = .shared(
                try SharedStore(
                    redis: redis, store: settings, key: try keys.clusterKey(), name: name,
                    incarnation: incarnation, logger: logger
                ))
        }
    }

    /// The store as one event loop uses it.
    func chatStore(on loop: EventLoop, _ number: Int) -> any ChatStore {
        switch self {
        case .local(let store): store
        case .shared(let shared): shared.chatStore(on: loop, number)
        }
    }

    /// Starts webhooks over this store.
    func start(_ webhooks: WebhookService, signing signature: WebhookSignature) {
        switch self {
        case .local(let store): webhooks.start(over: store, signing: signature, partitions: nil)
        case .shared(let shared): shared.start(webhooks, signing: signature)
        }
    }

    /// Whether other nodes use the same store.
    var isShared: Bool {
        if case .shared = self { true } else { false }
    }

    /// The counters of a local store. Redis has its own, for its own exporter.
    var statistics: StoreStatistics? {
        switch self {
        case .local(let store): store.statistics
        case .shared: nil
        }
    }

    /// The event log of a node without a cluster. With SQLite it is a file next to the database.
    func eventLog(_ location: StoreLocation, logger: Logger) -> LocalEventLog {
        guard case .sqlite(let path) = location else { return LocalEventLog() }
        do throws(StoreFailure) {
            let file = try EventFile(path: "\(path).events")
            return LocalEventLog(try file.entries().map { ($0.id, $0.text) }) { id, text in
                do throws(StoreFailure) {
                    try file.append(.init(id: id, text: text))
                } catch {
                    logger.warning("event not stored", ["reason": .text(error.description)])
                }
            }
        } catch {
            // The node serves clients without a stored event log.
            logger.warning(
                "event log kept in memory only", ["reason": .text(error.description)])
            return LocalEventLog()
        }
    }

    func close() {
        if case .local(let store) = self { store.close() }
    }

    /// Removes what opening the store has created, after a failed start.
    func discard() {
        if case .local(let store) = self { store.discard() }
    }
}

/// Why the configured store cannot be opened.
struct StoreProblem: Error, CustomStringConvertible {
    let description: String
}

/// A store in Redis, and the node's link to the other nodes.
final class SharedStore: Sendable {
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

    init(
        redis: RedisSettings, store: RedisStoreSettings, key: ClusterKey, name: String,
        incarnation: UInt64, logger: Logger
    ) throws(SocketError) {
        self.searcher = try RedisSearcher(redis, store: store, seed: incarnation &+ 8)
        self.redis = redis
        self.store = store
        self.key = key
        self.name = name
        self.incarnation = incarnation
        self.logger = logger
    }

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

    /// Joins the cluster. Waits until the node is a member, even if Redis is unavailable for long.
    ///
    /// - Parameter admin: answers operators' requests, also those of other nodes.
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

    /// Hands over all shards of the node, within a time limit.
    func handOver(within limit: Duration) async {
        await self.link.withLock { $0 }?.handOver(within: limit)
    }

    /// Removes the node from the view.
    func leave(within limit: Duration) async {
        await self.link.withLock { $0 }?.leave(within: limit)
    }
}
