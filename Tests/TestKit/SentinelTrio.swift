import Foundation

/// A master, its replica and three sentinels that watch them, all on free ports of 127.0.0.1.
public final class SentinelTrio {
    public static let masterName = "test-master"
    /// The one that is the master at first, and its replica.
    public let servers: [RedisServer]
    public private(set) var sentinels: [Sentinel] = []

    /// One sentinel; as a server it is asked and frozen in the same way.
    public final class Sentinel {
        public let port: UInt16
        public let process: ChildProcess
        private let folder: TemporaryFolder
        private let password: String?

        init(watching master: UInt16, _ name: String, password: String?, serverPassword: String?) throws {
            let folder = try TemporaryFolder()
            let port = try freePort()
            var lines = [
                "port \(port)", "bind 127.0.0.1", "dir \(folder.path)", "sentinel monitor \(name) 127.0.0.1 \(master) 2",
                "sentinel down-after-milliseconds \(name) 1000", "sentinel failover-timeout \(name) 3000",
            ]
            if let password { lines += ["requirepass \(password)", "sentinel sentinel-pass \(password)"] }
            if let serverPassword { lines.append("sentinel auth-pass \(name) \(serverPassword)") }
            let file = try folder.write(lines.joined(separator: "\n") + "\n", to: "sentinel.conf")
            self.process = try ChildProcess(Checkout.program("redis-server"), [file, "--sentinel"], folder: folder.path)
            self.port = port
            self.folder = folder
            self.password = password
            try self.process.output.line("the line that it is ready") { $0.contains("Sentinel ID is") }
        }

        deinit { self.process.kill() }

        @discardableResult
        public func ask(_ words: String...) throws -> String {
            let identity = self.password.map { ["-a", $0, "--no-auth-warning"] } ?? []
            let answer = try run(Checkout.program("redis-cli"), ["-h", "127.0.0.1", "-p", "\(self.port)"] + identity + words)
            return answer.output.trimmingCharacters(in: .whitespacesAndNewlines)
        }

        public func freeze() { self.process.send(SIGSTOP) }
        public func thaw() { self.process.send(SIGCONT) }

        public func crash() throws {
            self.process.send(SIGKILL)
            try self.process.end()
        }
    }

    /// Waits until the replica follows and every sentinel knows all the others.
    public init(password: String? = nil, sentinelPassword: String? = nil) throws {
        var options = ["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"]
        if let password { options += ["--requirepass", password, "--masterauth", password] }
        let master = try RedisServer(options)
        let replica = try RedisServer(options + ["--replicaof", "127.0.0.1", "\(master.port)"])
        self.servers = [master, replica]
        self.password = password
        for _ in 0..<3 {
            let sentinel = try Sentinel(
                watching: master.port, Self.masterName, password: sentinelPassword, serverPassword: password)
            // As it comes, all of this takes seconds.
            try sentinel.ask(
                "SENTINEL", "DEBUG", "info-period", "300", "publish-period", "200", "ask-period", "200", "ping-period", "200",
                "election-timeout", "2000")
            self.sentinels.append(sentinel)
        }
        try Deadline.wait(for: "the replica to follow") { try self.ask(replica, "INFO", "replication").contains("master_link_status:up") }
        for sentinel in self.sentinels {
            try Deadline.wait(for: "the sentinels to know each other") {
                let lines = try sentinel.ask("SENTINEL", "MASTER", Self.masterName).split(whereSeparator: \.isNewline).map(String.init)
                return Self.field("num-slaves", lines) == "1" && Self.field("num-other-sentinels", lines) == "2"
            }
        }
    }

    private let password: String?

    private static func field(_ name: String, _ lines: [String]) -> String? {
        lines.firstIndex(of: name).map { lines[$0 + 1] }
    }

    public var url: String { self.url() }

    /// - Parameters:
    ///   - identity: `:password@`.
    ///   - master: the name that the sentinels are asked for.
    public func url(_ identity: String = "", master: String = SentinelTrio.masterName) -> String {
        "redis+sentinel://\(identity)" + self.sentinels.map { "127.0.0.1:\($0.port)" }.joined(separator: ",") + "/\(master)"
    }

    /// Gives a server a command, with the password that all of them have.
    @discardableResult
    public func ask(_ server: RedisServer, _ words: String...) throws -> String {
        let identity = self.password.map { ["-a", $0, "--no-auth-warning"] } ?? []
        let answer = try run(Checkout.program("redis-cli"), ["-h", "127.0.0.1", "-p", "\(server.port)"] + identity + words)
        return answer.output.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// The server that the first living sentinel names.
    public func master() throws -> RedisServer {
        for sentinel in self.sentinels where sentinel.process.isRunning {
            let lines = try sentinel.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", Self.masterName).split(whereSeparator: \.isNewline)
            if let port = lines.last.flatMap({ UInt16($0) }), let server = self.servers.first(where: { $0.port == port }) { return server }
        }
        throw TestFailure("no sentinel names the master")
    }

    /// Has the replica promoted, as soon as the sentinels agree to.
    public func failOver() throws {
        try Deadline.wait(for: "a failover to begin") {
            try self.sentinels[0].ask("SENTINEL", "FAILOVER", Self.masterName) == "OK"
        }
    }
}
