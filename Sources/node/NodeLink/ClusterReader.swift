internal import Bytes
public import ChatModel
public import Cluster
internal import ClusterWire
internal import EventLoop
public import RedisClient
internal import RedisStore
internal import Synchronization

/// Reads a cluster's state directly from Redis, for operators who cannot reach any of its nodes.
///
/// It writes nothing, and blocks until each reply has arrived.
public final class ClusterReader: Sendable {
    /// Redis is unreachable, or does not contain a valid cluster state.
    public struct ClusterReadError: Error, Sendable, CustomStringConvertible {
        public let description: String
        /// Redis has replied, so a retry is useless.
        public let isPermanent: Bool

        static func unreachable(_ description: String) -> ClusterReadError {
            ClusterReadError(description: description, isPermanent: false)
        }
        static func permanent(_ description: String) -> ClusterReadError {
            ClusterReadError(description: description, isPermanent: true)
        }

        init(description: String, isPermanent: Bool) {
            self.description = description
            self.isPermanent = isPermanent
        }

        init(_ failure: BlockingRedisClient.CallFailure) {
            self.description = failure.description
            self.isPermanent = if case .rejected = failure { true } else { false }
        }
    }

    /// The nodes of the current view, and their state.
    public struct Members: Sendable {
        public let view: View
        /// Sorted by name.
        public let peers: [NodeLink.PeerNode]
        /// Redis' clock, in milliseconds.
        public let now: Int64

        public func name(of node: UInt64) -> String { self.peers.name(of: node) }
    }

    /// A Redis server that accepts commands.
    public struct RedisServerReport: Sendable {
        public let endpoint: String
        public let info: RedisInfo
        public let microseconds: Int
    }

    let settings: RedisSettings
    let redisKeys: ClusterRedisKeys
    let layout: LayoutReader
    private let redis: BlockingRedisClient
    /// Nil until a request needs it.
    let startedStore = Mutex<StoreReader?>(nil)

    /// Starts to connect; the first command waits for the connection.
    ///
    /// - Parameters:
    ///   - authorities: a PEM file with the trusted authorities for `rediss`; nil for the system's.
    ///   - timeout: for connecting, and for each command.
    public init(
        _ url: RedisURL, trusting authorities: String?, clusterName: String,
        timeout: Duration = .seconds(2)
    ) throws {
        var settings = try RedisSettings(url, trusting: authorities)
        settings.name = "confab-operator"
        settings.connectTimeout = timeout
        settings.commandTimeout = timeout
        self.settings = settings
        self.redisKeys = ClusterRedisKeys(cluster: clusterName)
        self.layout = LayoutReader(of: clusterName)
        self.redis = try BlockingRedisClient(settings, name: "operator")
    }

    func send(_ queries: [RedisQuery]) throws(ClusterReadError) -> [RedisValue] {
        do throws(BlockingRedisClient.CallFailure) {
            return try self.redis.send(queries)
        } catch {
            throw ClusterReadError(error)
        }
    }

    // MARK: Access

    /// Checks that Redis replies, and that the URL's user may read the cluster's keys.
    public func checkAccess() throws(ClusterReadError) {
        let slot = RedisSlot(key: self.redisKeys.view)
        _ = try self.send([RedisQuery(slot, "HGET", self.redisKeys.view, "number")])
    }

    // MARK: Nodes

    /// - Throws: also if the cluster has no nodes.
    public func members() throws(ClusterReadError) -> Members {
        if let members = try self.membersIfAny() { return members }
        throw .permanent(
            "the cluster \(self.redisKeys.cluster) has no nodes: none has started, "
                + "or all have left"
        )
    }

    /// The names of the nodes whose heartbeats are not overdue.
    public func livingNodes() throws(ClusterReadError) -> [String] {
        try self.membersIfAny()?.peers.filter { $0.evictedFor == nil }.map(\.name) ?? []
    }

    /// Nil if no node has started, or all have left.
    public func membersIfAny() throws(ClusterReadError) -> Members? {
        let slot = RedisSlot(key: self.redisKeys.view)
        let replies = try self.send([
            RedisQuery(slot, "TIME"), RedisQuery(slot, "HGET", self.redisKeys.view, "text"),
        ])
        let now = Int64(replies[0][0].number ?? 0) * 1000 + Int64(replies[0][1].number ?? 0) / 1000
        guard let text = replies[1].text, !text.isEmpty else { return nil }
        let view: View
        do throws(PersistentTextError) {
            view = try View(text: text)
        } catch {
            throw .permanent("the Redis key \(self.redisKeys.view): \(error)")
        }
        let records = try self.send(
            view.nodes.map {
                RedisQuery(slot, "HMGET", self.redisKeys.node($0.incarnation), "record", "beat")
            })
        let peers = zip(view.nodes, records).map { node, reply in
            // A record outlives its node for a minute.
            let age =
                reply[1].number.map { max(0, now - Int64($0)) }
                ?? Int64(LinkScripts.recordMilliseconds)
            return NodeLink.PeerNode(
                incarnation: node.incarnation,
                record: reply[0].text.flatMap { try? NodeRecord(text: $0) },
                isDraining: node.isDraining,
                silentFor: age,
                evictedFor: age >= ClusterMembership.evictionTimeout ? age : nil)
        }
        return Members(view: view, peers: peers.sorted { $0.name < $1.name }, now: now)
    }

    // MARK: Shards and conversations

    /// The last owner of each of these shards and its epoch. Shards that were never claimed are
    /// missing.
    public func leases(of shards: [Int]) throws(ClusterReadError) -> [Int: (
        epoch: Int, owner: String
    )] {
        let replies = try self.send(
            shards.map { shard in
                let name = self.layout.leaseKey(of: shard)
                return RedisQuery(RedisSlot(key: name), "HGET", name, LayoutReader.leaseField)
            })
        return Dictionary(
            uniqueKeysWithValues: zip(shards, replies).compactMap { shard, reply in
                reply.text.flatMap(LayoutReader.parseLease).map { (shard, $0) }
            })
    }

    /// The stored head and revision of a conversation; nil if it does not exist.
    public func head(of key: ConversationKey) throws(ClusterReadError) -> (
        head: Int, revision: Int
    )? {
        let name = self.layout.conversationKey(key)
        let reply = try self.send([
            RedisQuery(RedisSlot(key: name), "HGET", name, LayoutReader.headField)
        ])[0]
        guard let text = reply.text else { return nil }
        guard let head = LayoutReader.parseHead(text) else {
            throw .permanent("the Redis key \(name): it is not what was stored")
        }
        return head
    }

    // MARK: Redis

    /// `standalone`, `sentinel` or `cluster`.
    public var mode: String { self.settings.url.kind.name }

    /// The state of each server that accepts commands, sorted by address.
    public func servers() throws(ClusterReadError) -> [RedisServerReport] {
        // The servers are known once the client is connected.
        _ = try self.send([RedisQuery(.any, "PING")])
        return try self.masters().map { master throws(ClusterReadError) in
            let begin = MonotonicTime.exact.nanoseconds
            let reply = try self.send([RedisQuery(master.slot, "INFO")])[0]
            let microseconds = Int(MonotonicTime.exact.nanoseconds - begin) / 1000
            return RedisServerReport(
                endpoint: master.endpoint, info: RedisInfo(reply.text ?? ""),
                microseconds: microseconds)
        }
    }

    private func masters() throws(ClusterReadError) -> [BlockingRedisClient.Master] {
        do throws(BlockingRedisClient.CallFailure) {
            return try self.redis.masters()
        } catch {
            throw ClusterReadError(error)
        }
    }
}
