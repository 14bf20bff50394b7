import Foundation

/// A Redis Cluster of three masters with one replica each, on free ports of 127.0.0.1.
public final class RedisClusterServers {
    public let servers: [RedisServer]
    /// The time without contact after which a server counts as failed while none does.
    private static let longFailureTimeout = Duration.seconds(60)

    /// A node of the cluster, as reported by CLUSTER NODES.
    public struct RedisClusterNode: Sendable {
        public let id: String
        public let port: UInt16
        public let isMaster: Bool
        public let isFailed: Bool
        /// The id of its master; nil for a master.
        public let master: String?
        /// The slot ranges in CLUSTER NODES, without slots that are moving.
        public let slots: [ClosedRange<Int>]

        init?(line: Substring) {
            let fields = line.split(separator: " ").map(String.init)
            guard fields.count >= 8, let address = fields[1].split(separator: "@").first,
                let port = address.split(separator: ":").last
            else {
                return nil
            }
            self.id = fields[0]
            self.port = UInt16(port) ?? 0
            let flags = fields[2].split(separator: ",")
            self.isMaster = flags.contains("master")
            self.isFailed = flags.contains("fail")
            self.master = fields[3] == "-" ? nil : fields[3]
            self.slots = fields[8...].compactMap { word in
                let ends = word.split(separator: "-").compactMap { Int($0) }
                return word.hasPrefix("[") || ends.isEmpty ? nil : ends[0]...ends[ends.count - 1]
            }
        }
    }

    /// Waits until every node reports a healthy cluster and every replica follows its master.
    ///
    /// - Parameters:
    ///    - failureTimeout: the time without contact after which a server counts as failed: short
    ///      where a server fails, and long elsewhere, because the machine may pause.
    ///    - options: for every server.
    ///    - certificates: if set, all servers use only TLS, also with each other.
    public init(
        failureTimeout: Duration = .seconds(60), _ options: [String] = [],
        certificates: TestCertificates? = nil
    ) throws {
        let timeout = ["--cluster-node-timeout", "\(Int(failureTimeout / .milliseconds(1)))"]
        var servers: [RedisServer] = []
        for _ in 0..<6 { servers.append(try Self.server(timeout + options, certificates)) }
        self.servers = servers
        self.isSecure = certificates != nil
        // New nodes wait for the disk. One that waits longer than this time misses a handshake, and
        // never joins.
        if failureTimeout < Self.longFailureTimeout {
            try self.setFailureTimeout(Self.longFailureTimeout)
        }
        let addresses = servers.map { "127.0.0.1:\($0.port)" }
        let result = try run(
            Checkout.program("redis-cli"),
            (certificates?.clientOptions ?? []) + ["--cluster", "create"] + addresses + [
                "--cluster-replicas", "1", "--cluster-yes",
            ])
        guard result.exitStatus == .exited(0) else {
            throw TestFailure("no cluster could be made: \(result.output)")
        }
        try self.awaitHealthy()
        if failureTimeout < Self.longFailureTimeout { try self.setFailureTimeout(failureTimeout) }
    }

    private let isSecure: Bool

    /// Changes the time without contact after which a server counts as failed.
    public func setFailureTimeout(_ time: Duration) throws {
        for server in self.servers {
            try server.execute(
                "CONFIG", "SET", "cluster-node-timeout", "\(Int(time / .milliseconds(1)))")
        }
    }

    /// Waits until every node reports a healthy cluster and every master has a replica that follows
    /// it.
    public func awaitHealthy(within time: Duration = Deadline.defaultTimeout) throws {
        for server in self.servers {
            try Deadline.wait(
                for: "the cluster to be whole", within: time,
                untilTrue: {
                    try server.process.isRunning
                        && server.execute("CLUSTER", "INFO").contains("cluster_state:ok")
                })
        }
        try Deadline.wait(
            for: "three masters with a replica each", within: time,
            untilTrue: {
                let nodes = try self.nodes()
                let masters = nodes.filter { $0.isMaster && !$0.isFailed && !$0.slots.isEmpty }
                return masters.count == 3
                    && masters.allSatisfy { master in
                        nodes.contains { $0.master == master.id && !$0.isFailed }
                    }
            })
        for server in self.servers {
            try Deadline.wait(
                for: "the replicas to follow", within: time,
                untilTrue: {
                    let role = try server.execute("INFO", "replication")
                    return role.contains("role:master")
                        ? role.contains("state=online") : role.contains("master_link_status:up")
                })
        }
    }

    private static func server(_ options: [String], _ certificates: TestCertificates?) throws
        -> RedisServer
    {
        let needed = [
            "--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf",
            "--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1",
            "--cluster-replica-validity-factor", "0",
        ]
        let security =
            certificates == nil ? [] : ["--tls-cluster", "yes", "--tls-replication", "yes"]
        return try RedisServer(needed + security + options, certificates: certificates)
    }

    /// - Parameter unreachablePorts: ports without a server, listed before those of the cluster.
    public func url(unreachablePorts: [UInt16] = []) -> String {
        (self.isSecure ? "rediss" : "redis") + "+cluster://"
            + (unreachablePorts + self.servers.map(\.port)).map { "127.0.0.1:\($0)" }.joined(
                separator: ",")
    }

    /// The nodes, as reported by a running node.
    public func nodes() throws -> [RedisClusterNode] {
        for server in self.servers where server.process.isRunning {
            guard let list = try? server.execute("CLUSTER", "NODES") else { continue }
            let nodes = list.split(whereSeparator: \.isNewline).compactMap {
                RedisClusterNode(line: $0)
            }
            if nodes.count == self.servers.count { return nodes }
        }
        throw TestFailure("no node reports the cluster")
    }

    public func server(of node: RedisClusterNode) throws -> RedisServer {
        guard let server = self.servers.first(where: { $0.port == node.port }) else {
            throw TestFailure("there is no node at \(node.port)")
        }
        return server
    }

    /// The master of a slot.
    public func master(of slot: Int) throws -> RedisClusterNode {
        guard
            let node = try self.nodes().first(where: {
                $0.isMaster && !$0.isFailed && $0.slots.contains { $0.contains(slot) }
            })
        else {
            throw TestFailure("no master has slot \(slot)")
        }
        return node
    }

    public func replica(of master: RedisClusterNode) throws -> RedisClusterNode {
        guard let node = try self.nodes().first(where: { $0.master == master.id && !$0.isFailed })
        else {
            throw TestFailure("\(master.port) has no replica")
        }
        return node
    }
}
