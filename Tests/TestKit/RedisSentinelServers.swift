import Foundation

/// A master, its replicas and three sentinels that monitor them, on free ports of 127.0.0.1.
public final class RedisSentinelServers {
    public static let masterName = "test-master"
    /// The time without contact after which a server counts as failed while none does.
    private static let longFailureTimeout = Duration.seconds(60)
    /// The initial master, and its replicas.
    public let servers: [RedisServer]
    public private(set) var sentinels: [Sentinel] = []

    /// One sentinel.
    public final class Sentinel {
        public let port: UInt16
        public let process: ChildProcess
        private let folder: TemporaryFolder
        private let password: String?
        private let certificates: TestCertificates?

        init(
            monitoring master: UInt16, _ name: String, failureTimeout: Duration,
            password: String?, serverPassword: String?,
            certificates: TestCertificates?
        ) throws {
            let folder = try TemporaryFolder()
            let port = try freePort()
            var lines = [
                "bind 127.0.0.1", "dir \(folder.path)",
                "sentinel monitor \(name) 127.0.0.1 \(master) 2",
                "sentinel down-after-milliseconds \(name) "
                    + "\(Int(failureTimeout / .milliseconds(1)))",
                "sentinel failover-timeout \(name) 3000",
            ]
            if let certificates {
                lines +=
                    ["port 0", "tls-port \(port)", "tls-replication yes"]
                    + certificates.redisOptions.map { "\($0.name) \($0.value)" }
            } else {
                lines.append("port \(port)")
            }
            if let password {
                lines += ["requirepass \(password)", "sentinel sentinel-pass \(password)"]
            }
            if let serverPassword { lines.append("sentinel auth-pass \(name) \(serverPassword)") }
            let file = try folder.write(lines.joined(separator: "\n") + "\n", to: "sentinel.conf")
            self.process = try ChildProcess(
                Checkout.program("redis-server"), [file, "--sentinel"], folder: folder.path)
            self.port = port
            self.folder = folder
            self.password = password
            self.certificates = certificates
            try self.process.output.line("the line that it is ready") {
                $0.contains("Sentinel ID is")
            }
        }

        deinit { self.process.kill() }

        @discardableResult
        public func execute(_ arguments: String...) throws -> String {
            let identity = self.password.map { ["-a", $0, "--no-auth-warning"] } ?? []
            let security = self.certificates?.clientOptions ?? []
            let answer = try run(
                Checkout.program("redis-cli"),
                ["-h", "127.0.0.1", "-p", "\(self.port)"] + security + identity + arguments)
            return answer.output.trimmingCharacters(in: .whitespacesAndNewlines)
        }

        public func freeze() throws { try self.process.freeze() }
        public func unfreeze() { self.process.send(SIGCONT) }

        public func crash() throws {
            self.process.send(SIGKILL)
            try self.process.waitForExit()
        }
    }

    /// Waits until the replicas follow and every sentinel knows the others.
    ///
    /// - Parameters:
    ///    - replicas: the number of replicas of the master.
    ///    - failureTimeout: the time without contact after which a server counts as failed: short
    ///      where a server fails, and long elsewhere, because the machine may pause.
    ///    - options: for every server.
    ///    - certificates: if set, all servers use only TLS, also with each other.
    public init(
        replicas: Int = 1, failureTimeout: Duration = .seconds(60), _ options: [String] = [],
        password: String? = nil,
        sentinelPassword: String? = nil, certificates: TestCertificates? = nil
    ) throws {
        var options =
            ["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"] + options
        if let password { options += ["--requirepass", password, "--masterauth", password] }
        if certificates != nil { options += ["--tls-replication", "yes"] }
        let master = try RedisServer(options, certificates: certificates)
        var servers = [master]
        for _ in 0..<replicas {
            servers.append(
                try RedisServer(
                    options + ["--replicaof", "127.0.0.1", "\(master.port)"],
                    certificates: certificates))
        }
        self.servers = servers
        self.password = password
        self.certificates = certificates
        for _ in 0..<3 {
            // New sentinels wait for the disk. Two that wait longer than this time replace the
            // master, because they have not read its answers.
            let sentinel = try Sentinel(
                monitoring: master.port, Self.masterName,
                failureTimeout: max(failureTimeout, Self.longFailureTimeout),
                password: sentinelPassword, serverPassword: password,
                certificates: certificates)
            // The default periods of sentinels add up to seconds.
            try sentinel.execute(
                "SENTINEL", "DEBUG", "info-period", "300", "publish-period", "200", "ask-period",
                "200", "ping-period", "200",
                "election-timeout", "2000")
            self.sentinels.append(sentinel)
        }
        try self.awaitHealthy()
        if failureTimeout < Self.longFailureTimeout { try self.setFailureTimeout(failureTimeout) }
    }

    private func setFailureTimeout(_ time: Duration) throws {
        for sentinel in self.sentinels {
            let answer = try sentinel.execute(
                "SENTINEL", "SET", Self.masterName, "down-after-milliseconds",
                "\(Int(time / .milliseconds(1)))")
            guard answer == "OK" else { throw TestFailure("no other timeout: \(answer)") }
        }
    }

    /// Waits until all sentinels agree on one master, all other servers follow it, and every
    /// sentinel knows that.
    public func awaitHealthy(within time: Duration = Deadline.defaultTimeout) throws {
        try Deadline.wait(
            for: "the replicas to follow", within: time,
            untilTrue: { try self.isFullyReplicated(self.master()) })
        for sentinel in self.sentinels {
            try Deadline.wait(for: "the sentinels to know each other", within: time) {
                let lines = try sentinel.execute("SENTINEL", "MASTER", Self.masterName).split(
                    whereSeparator: \.isNewline
                ).map(String.init)
                // No failover may be in progress, because sentinels start no other until it has
                // ended.
                let master = try self.master()
                return Self.field("num-slaves", lines) == "\(self.servers.count - 1)"
                    && Self.field("num-other-sentinels", lines) == "2"
                    && Self.field("flags", lines) == "master"
                    && Self.field("port", lines) == "\(master.port)"
            }
        }
    }

    /// Whether all other servers replicate this one.
    private func isFullyReplicated(_ master: RedisServer) throws -> Bool {
        for server in self.servers {
            guard server.process.isRunning else { return false }
            let report = try self.execute(server, "INFO", "replication")
            if server === master {
                guard report.contains("role:master"),
                    report.matches(of: /state=online/).count == self.servers.count - 1
                else {
                    return false
                }
            } else {
                guard report.contains("master_port:\(master.port)"),
                    report.contains("master_link_status:up")
                else { return false }
            }
        }
        return true
    }

    private let certificates: TestCertificates?
    private let password: String?

    private static func field(_ name: String, _ lines: [String]) -> String? {
        lines.firstIndex(of: name).map { lines[$0 + 1] }
    }

    public var url: String { self.url() }

    /// - Parameters:
    ///    - identity: `:password@`.
    ///    - master: the name of the master.
    public func url(_ identity: String = "", master: String = RedisSentinelServers.masterName)
        -> String
    {
        "\(self.certificates == nil ? "redis" : "rediss")+sentinel://\(identity)"
            + self.sentinels.map { "127.0.0.1:\($0.port)" }.joined(separator: ",") + "/\(master)"
    }

    /// Executes a command on a server, with the servers' password.
    @discardableResult
    public func execute(_ server: RedisServer, _ arguments: String...) throws -> String {
        let identity = self.password.map { ["-a", $0, "--no-auth-warning"] } ?? []
        let security = self.certificates?.clientOptions ?? []
        let answer = try run(
            Checkout.program("redis-cli"),
            ["-h", "127.0.0.1", "-p", "\(server.port)"] + security + identity + arguments)
        return answer.output.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// The server that the first running sentinel names as master.
    public func master() throws -> RedisServer {
        for sentinel in self.sentinels where sentinel.process.isRunning {
            let lines = try sentinel.execute("SENTINEL", "GET-MASTER-ADDR-BY-NAME", Self.masterName)
                .split(whereSeparator: \.isNewline)
            if let port = lines.last.flatMap({ UInt16($0) }),
                let server = self.servers.first(where: { $0.port == port })
            {
                return server
            }
        }
        throw TestFailure("no sentinel names the master")
    }

    /// Replaces the master by agreement, and waits for the next one. Sentinels refuse that while a
    /// failover runs, and give it up without a word if a server pauses meanwhile. So the command is
    /// repeated.
    public func failOver() throws {
        let old = try self.master()
        try Deadline.wait(
            for: "another master", repeatedAfter: .seconds(10),
            order: {
                try self.sentinels[0].execute("SENTINEL", "FAILOVER", Self.masterName) == "OK"
            },
            untilTrue: { try self.master() !== old })
    }

    /// Does the same in a thread of its own, so that a load can run meanwhile. If it fails, the
    /// master stays.
    public func beginFailover() {
        nonisolated(unsafe) let servers = self
        Thread.detachNewThread { try? servers.failOver() }
    }
}
