import Foundation

/// A running `script/cluster` with the program of the tests.
public final class LocalCluster {
    /// What the script has started, and says of it.
    public struct ServiceProcess: Sendable, Equatable {
        public let name: String
        public let port: UInt16
        /// Of nodes.
        public let adminPort: UInt16?
        public let process: Int32
    }

    public let folder: TemporaryFolder
    public let script: ChildProcess
    /// As it was at the start.
    public let services: [ServiceProcess]

    /// Starts the script and waits until everything runs.
    ///
    /// - Parameters:
    ///   - command: as somebody types it in the checkout; nil for `script/cluster` with `options`.
    ///   - folder: the script's, if `command` names it already.
    public init(_ options: [String] = [], command: String? = nil, in folder: TemporaryFolder? = nil)
        throws
    {
        let folder = try folder ?? TemporaryFolder()
        self.folder = folder
        let words = (["script/cluster"] + options + ["--folder", folder.path]).joined(
            separator: " ")
        let script = try ChildProcess(
            "/bin/sh", ["-c", "exec \(command ?? words)"],
            environment: ["CONFAB_BINARY": Checkout.confab], folder: Checkout.path)
        self.script = script
        do {
            try script.output.line(with: "Ctrl-C stops everything", within: .seconds(90))
            self.services = try script.output.lines.compactMap(Self.service)
        } catch {
            script.send(SIGTERM)
            throw TestFailure("\(error)\n\(script.errors.text)")
        }
    }

    // Not killed, so that it can end the others; the end of the tests does not wait for it.
    deinit { self.script.send(SIGTERM) }

    private static func service(_ line: String) throws -> ServiceProcess? {
        let pattern =
            /^([a-z0-9]+) +[a-z]+:\/\/127\.0\.0\.1:([0-9]+) +(?:admin http:\/\/127\.0\.0\.1:([0-9]+) +)?PID ([0-9]+)$/
        guard let match = line.wholeMatch(of: pattern) else { return nil }
        guard let port = UInt16(match.2), let process = Int32(match.4) else {
            throw TestFailure("no address in: \(line)")
        }
        return ServiceProcess(
            name: String(match.1), port: port, adminPort: match.3.flatMap { UInt16($0) },
            process: process)
    }

    public var nodes: [ServiceProcess] { self.services.filter { $0.adminPort != nil } }

    /// Where clients connect: the last of the parts.
    public var port: UInt16 { self.services.last?.port ?? 0 }

    /// A stock client in a conversation, by the load balancer.
    public func connect(_ user: String, to conversation: String = "lobby", after: Int = 0) throws
        -> PythonClient
    {
        let secret = try self.folder.read("jwt.secret").trimmingCharacters(in: .newlines)
        let token = try ConfabServer.token(for: user, secret: secret)
        return try PythonClient(
            "ws://127.0.0.1:\(self.port)/conversations/\(conversation)/?token=\(token)&after=\(after)"
        )
    }

    // MARK: Nodes

    /// How many WebSockets a node has; nil when it does not answer.
    public func connections(of node: ServiceProcess) -> Int? {
        guard let port = node.adminPort, let reply = try? HTTPReply.get("/metrics", port: port),
            reply.status == 200
        else { return nil }
        return reply.body.firstMatch(of: /confab_connections\{dialect="conversations"\} ([0-9]+)/)
            .flatMap { Int($0.1) }
    }

    /// Waits until the nodes together have so many clients, and says who has how many.
    public func awaitConnections(count: Int) throws -> [(node: ServiceProcess, connections: Int)] {
        try Deadline.wait(for: "\(count) connections") {
            let found = self.nodes.map { (node: $0, connections: self.connections(of: $0) ?? 0) }
            return found.map(\.connections).reduce(0, +) == count ? found : nil
        }
    }

    /// Waits until the script has started a node again that has ended, and the node serves.
    public func awaitRestart(of node: ServiceProcess) throws {
        try self.script.output.line("a line that \(node.name) is started again") {
            $0.hasPrefix("\(node.name) ") && $0.contains("is started again, PID")
        }
        try Deadline.wait(
            for: "\(node.name) to be healthy",
            untilTrue: { (try? HTTPReply.get("/api/health", port: node.port).status) == 200 })
    }

    // MARK: Its end

    /// Asks the script to end, and waits until it has.
    @discardableResult
    public func stop() throws -> ChildProcess.ExitStatus {
        self.script.send(SIGTERM)
        return try self.script.waitForExit(within: .seconds(90))
    }

    /// Whether something still runs that a script with this folder has started: all of them hold the lock.
    public static func isRunning(in folder: TemporaryFolder) throws -> Bool {
        try run("/usr/bin/flock", ["--nonblock", folder.file("lock"), "/bin/true"]).ending
            != .exited(0)
    }
}
