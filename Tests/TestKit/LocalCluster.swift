import Foundation

/// A running `script/cluster` with the program under test.
public final class LocalCluster {
    /// A process that the script has started, as the script prints it.
    public struct ServiceProcess: Sendable, Equatable {
        public let name: String
        public let port: UInt16
        /// The admin port; only nodes have one.
        public let adminPort: UInt16?
        public let process: Int32
    }

    public let folder: TemporaryFolder
    public let script: ChildProcess
    /// The processes at the start of the cluster.
    public let services: [ServiceProcess]

    /// Starts the script and waits until everything runs and each node has its share of the shards:
    /// the nodes start one after the other, and conversations move to the later ones.
    ///
    /// - Parameters:
    ///    - command: the shell command, run in the checkout; nil for `script/cluster` with
    ///      `options`.
    ///    - operatorsNeedToken: whether the admin listeners have their default, a token in a file.
    ///    - folder: the script's folder, if `command` already names it.
    public init(
        _ options: [String] = [], command: String? = nil, operatorsNeedToken: Bool = false,
        in folder: TemporaryFolder? = nil
    ) throws {
        let folder = try folder ?? TemporaryFolder()
        self.folder = folder
        let arguments = options + ["--admin-port", "0", "--folder", folder.path]
        let defaultCommand = (["script/cluster"] + arguments).joined(separator: " ")
        let script = try ChildProcess(
            "/bin/sh", ["-c", "exec \(command ?? defaultCommand)"],
            environment: ["CONFAB_BINARY": Checkout.confab].merging(
                operatorsNeedToken ? [:] : ["CONFAB_ADMIN_TOKEN": "off"]
            ) { $1 },
            folder: Checkout.path)
        self.script = script
        do {
            try script.output.line(with: "Ctrl-C stops everything", within: .seconds(90))
            self.services = try script.output.lines.compactMap(Self.service)
            let adminPorts = self.services.compactMap(\.adminPort)
            for port in adminPorts {
                try ConfabServer.awaitShardBalance(of: adminPorts.count, adminPort: port)
            }
        } catch {
            script.send(SIGTERM)
            throw TestFailure("\(error)\n\(script.errors.text)")
        }
    }

    // SIGTERM, so that the script can stop its processes. The test does not wait for that.
    deinit { self.script.send(SIGTERM) }

    private static func service(_ line: String) throws -> ServiceProcess? {
        let pattern =
            #/
            ([a-z0-9]+)\s+[a-z]+://127\.0\.0\.1:([0-9]+)\s+
            (?:admin\shttp://127\.0\.0\.1:([0-9]+)\s+)?PID\s([0-9]+)
            /#
        guard let match = line.wholeMatch(of: pattern) else { return nil }
        guard let port = UInt16(match.2), let process = Int32(match.4) else {
            throw TestFailure("no address in: \(line)")
        }
        return ServiceProcess(
            name: String(match.1), port: port, adminPort: match.3.flatMap { UInt16($0) },
            process: process)
    }

    public var nodes: [ServiceProcess] { self.services.filter { $0.adminPort != nil } }

    /// The port for clients, which is that of the last service.
    public var port: UInt16 { self.services.last?.port ?? 0 }

    /// Connects a client to a conversation through the load balancer.
    public func connect(_ user: String, to conversation: String = "lobby", after: Int = 0) throws
        -> PythonClient
    {
        let secret = try self.folder.read("jwt.secret").trimmingCharacters(in: .newlines)
        let token = try ConfabServer.token(for: user, secret: secret)
        let url =
            "ws://127.0.0.1:\(self.port)/conversations/\(conversation)/"
            + "?token=\(token)&after=\(after)"
        return try Deadline.wait(for: "a node that accepts \(user)") { () -> PythonClient? in
            do { return try PythonClient(url) } catch {
                // A node that is unhealthy for a moment gets no new clients.
                guard "\(error)".hasSuffix(": refused 503") else { throw error }
                return nil
            }
        }
    }

    // MARK: Nodes

    /// The present number of WebSockets of a node; nil if the node does not answer. Its metrics
    /// show the number of up to a second before.
    public func connections(of node: ServiceProcess) -> Int? {
        guard let port = node.adminPort,
            let reply = try? HTTPReply.get("/api/cluster/nodes", port: port), reply.status == 200,
            let rows = try? JSONObject(reply.body).objects("nodes")
        else { return nil }
        return rows.first { $0["node"] == node.name }?.number("connections").map { Int($0) }
    }

    /// Waits until the nodes have this number of clients in total, and returns the number per node.
    public func awaitConnections(count: Int) throws -> [(node: ServiceProcess, connections: Int)] {
        try Deadline.wait(for: "\(count) connections") {
            let counts = self.nodes.map { (node: $0, connections: self.connections(of: $0) ?? 0) }
            return counts.map(\.connections).reduce(0, +) == count ? counts : nil
        }
    }

    /// Waits until the script has restarted a node that ended, and the node is healthy.
    public func awaitRestart(of node: ServiceProcess) throws {
        try self.script.output.line("a line that \(node.name) restarted") {
            $0.hasPrefix("\(node.name) ") && $0.contains("restarted, PID")
        }
        try Deadline.wait(
            for: "\(node.name) to be healthy",
            untilTrue: { (try? HTTPReply.get("/api/health", port: node.port).status) == 200 })
    }

    // MARK: Stopping

    /// Sends SIGTERM to the script and waits for it to end.
    @discardableResult
    public func stop() throws -> ChildProcess.ExitStatus {
        self.script.send(SIGTERM)
        return try self.script.waitForExit(within: .seconds(90))
    }

    /// Whether a process of a script with this folder still runs: every process holds the lock.
    public static func isRunning(in folder: TemporaryFolder) throws -> Bool {
        try run("/usr/bin/flock", ["--nonblock", folder.file("lock"), "/bin/true"]).exitStatus
            != .exited(0)
    }
}
