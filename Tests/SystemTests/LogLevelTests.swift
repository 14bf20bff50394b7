import Glibc
import TestKit
import TestTraits
import Testing

@Suite("confab log-level", .long, .programs, .ownThread)
struct LogLevelTests {
    private let redis: RedisServer
    private let nodes: [ConfabServer]

    init() throws {
        let redis = try RedisServer()
        self.redis = redis
        self.nodes = try ["n1", "n2"].map { name in
            let folder = try TemporaryFolder()
            try folder.write(#"{"log-level": "info"}"#, to: "confab.json")
            return try ConfabServer(
                [
                    "--store", redis.url, "--node-id", name, "--config",
                    folder.file("confab.json"),
                ], in: folder)
        }
        for node in self.nodes { try node.awaitShardBalance(of: 2) }
    }

    private func set(_ arguments: String..., at node: Int = 0) throws -> CommandResult {
        try confab(["log-level"] + arguments + ["--yes"], at: self.nodes[node].adminPort)
    }

    /// Waits until the node logs at `debug`: a request has a line of its own there.
    private func awaitDebugging(_ node: ConfabServer) throws {
        let before = self.requestLines(of: node)
        _ = try node.health()
        try Deadline.wait(
            for: "a line about the request", untilTrue: { self.requestLines(of: node) > before })
    }

    /// Expects that the node does not log at `debug`.
    private func expectNoDebugging(
        _ node: ConfabServer, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let before = self.requestLines(of: node)
        _ = try node.health()
        // The line would be written by another thread.
        usleep(500_000)
        #expect(self.requestLines(of: node) == before, sourceLocation: sourceLocation)
    }

    private func requestLines(of node: ConfabServer) -> Int {
        node.process.errors.text.matches(of: /request answered/).count
    }

    @Test("changes all nodes for a time, also if one of them reloads meanwhile")
    func forATime() throws {
        let (first, second) = (self.nodes[0], self.nodes[1])
        try self.expectNoDebugging(first)

        let plan = try confab("log-level", "debug", "--dry-run", at: first.adminPort)
        #expect(plan.status == 0)
        #expect(plan.output == "would set the log level of n1, n2 to debug")
        try self.expectNoDebugging(second)

        let result = try self.set("debug", "--for", "15s", "--output", "json")
        #expect(result.status == 0, "\(result.errors)")
        #expect(try result.rows("nodes").map { $0["level"] } == ["debug", "debug"])
        #expect(
            try result.document["summary"] == "set the log level of n1, n2 to debug for 15 s")
        for node in self.nodes { try self.awaitDebugging(node) }
        try first.process.errors.line(with: "log level changed to=debug from=info seconds=15.000s")

        // The reloaded level applies after the time.
        try second.folder.write(#"{"log-level": "error"}"#, to: "confab.json")
        second.process.send(SIGHUP)
        try second.process.errors.line(with: "settings reloaded")
        try self.awaitDebugging(second)

        try first.process.errors.line(
            with: "log level restored to=info from=debug", within: .seconds(60))
        try second.process.errors.line(
            with: "log level restored to=error from=debug", within: .seconds(60))
        for node in self.nodes { try self.expectNoDebugging(node) }

        let events = try confab("events", "--output", "json", at: first.adminPort).rows("events")
        let event = try #require(events.first { $0["event"] == "log-level" })
        #expect(event["detail"] == "the log level of n1, n2 to debug for 15 s")
        #expect(event["operator"]?.isEmpty == false)
    }

    @Test("leaves all nodes at one of the levels if two operators change them at once")
    func twoOperators() throws {
        let port = self.nodes.map(\.adminPort)
        let processes = try zip(port, ["debug", "warning"]).map { port, level in
            try ChildProcess(
                Checkout.confab, ["log-level", level, "--for", "1h", "--yes"],
                environment: ["CONFAB_ADMIN_URL": "http://127.0.0.1:\(port)"],
                folder: self.nodes[0].folder.path)
        }
        for process in processes { #expect(try process.waitForExit() == .exited(0)) }
        for node in self.nodes {
            let changes = try Deadline.wait(for: "both changes") {
                let matches = node.process.errors.text.matches(of: /log level changed to=([a-z]+)/)
                let levels = matches.map { String($0.1) }
                return Set(levels) == ["debug", "warning"] ? levels : nil
            }
            if changes.last == "debug" {
                try self.awaitDebugging(node)
            } else {
                try self.expectNoDebugging(node)
            }
        }
    }
}
