internal import Bytes
internal import EventLoop
internal import Glibc
public import RedisClient
internal import RedisStore

/// A cluster in Redis that receives a copy of another store: reserves it and writes to it.
///
/// The reservation has two keys. The source's name stays until the copy is complete, and keeps
/// nodes from joining. The lock expires when its process ends, so that a second run can continue.
/// Blocks until each reply has arrived. Use it from one thread at a time.
public final class CopyTarget {
    /// The copy cannot start or continue, although Redis has replied.
    public struct CopyRefusal: Error, CustomStringConvertible {
        public let description: String
    }

    private static let lockSeconds = 10
    private static let lockMilliseconds: ByteString = "10000"
    private static let renewalInterval = Duration.seconds(2)

    private let redis: BlockingRedisClient
    private let reader: ClusterReader
    private let redisKeys: ClusterRedisKeys
    private let slot: RedisSlot
    private let pattern: ByteString
    private let waitReplicas: Int?
    private let process = ByteString(String(UInt64.random(in: 1...UInt64.max), radix: 36))
    private var renewAt = ContinuousClock.now

    /// Starts to connect; the first command waits for the connection.
    ///
    /// - Parameter authorities: a PEM file with the trusted authorities for `rediss`; nil for the
    ///   system's.
    public init(_ url: RedisURL, trusting authorities: String?, clusterName: String) throws {
        var settings = try RedisSettings(url, trusting: authorities)
        settings.name = "confab-copy"
        self.redis = try BlockingRedisClient(settings, name: "copy")
        self.reader = try ClusterReader(url, trusting: authorities, clusterName: clusterName)
        self.redisKeys = ClusterRedisKeys(cluster: clusterName)
        self.slot = RedisSlot(key: self.redisKeys.copy)
        self.pattern = RestoreCommands(of: clusterName).conversationPattern
        self.waitReplicas = url.waitReplicas
    }

    // MARK: The reservation

    /// Checks whether a copy from this source may start or continue. Writes nothing.
    ///
    /// - Returns: whether it continues an incomplete one.
    /// - Throws: `CopyRefusal`, `CallFailure` or `ClusterReadError`.
    public func check(for source: String) throws -> Bool {
        try self.checkNodes()
        let copied = try self.send([RedisQuery(self.slot, "GET", self.redisKeys.copy)])[0].text
        if let copied, copied != source {
            throw CopyRefusal(
                description: """
                    the cluster \(self.redisKeys.cluster) has a part of \(copied): complete that \
                    copy, or delete the keys \(self.redisKeys.cluster):*
                    """)
        }
        if copied == nil, try self.hasConversations() {
            throw CopyRefusal(
                description: """
                    the cluster \(self.redisKeys.cluster) already has conversations: use another \
                    --cluster-name, or delete the keys \(self.redisKeys.cluster):*
                    """)
        }
        return copied != nil
    }

    /// Reserves the cluster for a copy. Waits until the lock of a killed process has expired.
    ///
    /// - Returns: whether the copy continues an incomplete one.
    /// - Throws: as `check(for:)`.
    public func reserve(for source: String) throws -> Bool {
        try self.checkNodes()
        try self.lock()
        do {
            let isContinued = try self.check(for: source)
            _ = try self.send([
                RedisQuery(self.slot, "SET", self.redisKeys.copy, ByteString(source))
            ])
            // A node may have joined between the check and the reservation.
            do {
                try self.checkNodes()
            } catch {
                if !isContinued { try self.forgetSource() }
                throw error
            }
            return isContinued
        } catch {
            try? self.unlock()
            throw error
        }
    }

    /// Completes the copy: waits for the replicas, and lets nodes join.
    public func complete() throws {
        try self.confirm()
        guard self.redis.connectionCount == 1 else {
            throw CopyRefusal(
                description: """
                    the connection to Redis was lost during the copy, and Redis may have lost \
                    writes: run the command again; it adds what is missing
                    """)
        }
        try self.renewLock()
        try self.forgetSource()
        try self.unlock()
    }

    /// Lets another process continue the copy at once.
    public func unlock() throws {
        _ = try self.send([self.lockChange(lifetime: "0")])
    }

    private func checkNodes() throws {
        let nodes = try self.reader.livingNodes()
        guard let first = nodes.first else { return }
        throw CopyRefusal(
            description: """
                node \(first)\(nodes.count > 1 ? " and others" : "") of the cluster \
                \(self.redisKeys.cluster) \(nodes.count > 1 ? "are" : "is") running: stop all nodes
                """)
    }

    private func lock() throws {
        let deadline = ContinuousClock.now + .seconds(Self.lockSeconds + 1)
        while true {
            let reply = try self.send([
                RedisQuery(
                    self.slot, "SET", self.redisKeys.copyLock, self.process, "NX", "PX",
                    Self.lockMilliseconds)
            ])[0]
            if reply.text != nil { break }
            guard ContinuousClock.now < deadline else {
                throw CopyRefusal(
                    description: """
                        another process is copying into the cluster \(self.redisKeys.cluster)
                        """)
            }
            usleep(200_000)
        }
        self.renewAt = .now + Self.renewalInterval
    }

    private func renewLock() throws {
        let change = self.lockChange(lifetime: Self.lockMilliseconds)
        guard try self.send([change])[0].number == 1 else {
            throw CopyRefusal(
                description: """
                    this copy was suspended for more than \(Self.lockSeconds) s, and another one \
                    may have started
                    """)
        }
        self.renewAt = .now + Self.renewalInterval
    }

    private func lockChange(lifetime: ByteString) -> RedisQuery {
        RedisQuery(
            self.slot, "EVAL", LinkScripts.changeLock.source, "1", self.redisKeys.copyLock,
            self.process, lifetime
        )
    }

    private func forgetSource() throws {
        _ = try self.send([RedisQuery(self.slot, "DEL", self.redisKeys.copy)])
    }

    private func hasConversations() throws -> Bool {
        for master in try self.redis.masters() {
            var cursor: ByteString = "0"
            repeat {
                let reply = try self.send([
                    RedisQuery(
                        master.slot, "SCAN", cursor, "MATCH", self.pattern, "COUNT", "1000")
                ])[0]
                if reply[1][0].text != nil { return true }
                cursor = ByteString(reply[0].text ?? "0")
            } while cursor != "0"
        }
        return false
    }

    // MARK: Writing

    /// Sends the commands of a reserved copy, and keeps the reservation.
    ///
    /// - Returns: the replies, in the order of the commands.
    public func write(_ queries: [RedisQuery]) throws -> [RedisValue] {
        if ContinuousClock.now >= self.renewAt { try self.renewLock() }
        return try self.send(queries)
    }

    private func send(_ queries: [RedisQuery]) throws -> [RedisValue] {
        try self.redis.send(queries)
    }

    /// Waits until the replicas have all writes of this connection: as many as the URL requires, or
    /// else one if there is one.
    private func confirm() throws {
        for master in try self.redis.masters() {
            let info = RedisInfo(
                try self.send([RedisQuery(master.slot, "INFO", "replication")])[0].text ?? "")
            let replicas = info["connected_slaves"].flatMap { Int($0) } ?? 0
            let required = self.waitReplicas ?? min(1, replicas)
            var attempts = 0
            while required > 0,
                try self.send([
                    RedisQuery(master.slot, "WAIT", ByteString("\(required)"), "1000")
                ])[0].number ?? 0 < required
            {
                attempts += 1
                guard attempts < 30 else {
                    throw CopyRefusal(
                        description: """
                            the replicas of \(master.endpoint) have not confirmed the copy: run \
                            the command again when they are connected
                            """)
                }
                try self.renewLock()
            }
        }
    }
}
