import Foundation
import Glibc
import TestKit
import TestTraits
import Testing

/// `drain`, `resume` and `rebalance` with several nodes.
@Suite("Nodes leave and return to service", .long, .programs, .serialized, .ownThread)
struct ServiceCommandTests {
    private let cluster: LocalCluster

    init() throws {
        self.cluster = try LocalCluster(["2"])
        for node in self.cluster.nodes.indices { try self.cluster.awaitHealth(at: node) }
    }

    private func port(_ node: Int) throws -> UInt16 {
        try #require(self.cluster.nodes[node].adminPort)
    }

    /// The first node may not have the last view, and sees a node as suspect after a second
    /// without a heartbeat.
    private func awaitStates(_ states: [String]) throws {
        try Deadline.wait(
            for: "\(states)",
            untilTrue: {
                try confab("nodes", "--output", "json", at: self.port(0)).rows("nodes").map {
                    $0["state"]
                } == states
            })
    }

    private func drain(_ node: String, at index: Int) throws -> ChildProcess {
        try ChildProcess(
            Checkout.confab,
            [
                "drain", node, "--yes", "--deadline", "0.2", "--admin",
                "http://127.0.0.1:\(try self.port(index))",
            ])
    }

    @Test("of two drains at once, the view refuses one; --force drains the last node")
    func lastNode() throws {
        let drains = [try self.drain("n1", at: 0), try self.drain("n2", at: 1)]
        let statuses = try drains.map { try $0.waitForExit() }
        #expect(statuses.contains(.exited(0)) && statuses.contains(.exited(1)))
        let refused = statuses[0] == .exited(1) ? 0 : 1
        let name = "n\(refused + 1)"
        let sentence = "\(name) is the last node that accepts clients; --force drains it anyway."
        #expect(drains[refused].errors.text.contains("confab: \(sentence)"))
        try self.awaitStates(refused == 0 ? ["active", "drained"] : ["drained", "active"])

        let again = try confab("drain", name, "--yes", at: self.port(refused))
        #expect(again.status == 1 && again.errors == "confab: \(sentence)")
        let forced = try confab(
            "drain", name, "--yes", "--force", "--deadline", "0.2", at: self.port(1 - refused))
        #expect(forced.status == 0, "\(forced)")
        try self.awaitStates(["drained", "drained"])
        let status = try confab("status", at: self.port(0))
        #expect(status.output.contains("! n1 is drained"), "\(status.output)")

        func services() throws -> [String] {
            try confab(
                "events", "--last", "100", "--node", name, "--output", "json", at: self.port(0)
            ).rows("events").compactMap { $0["event"] }.filter {
                ["drain", "drained", "resume"].contains($0)
            }
        }
        // A node that resumes before its drain has ended does not log that it ended.
        try Deadline.wait(
            for: "the drain to end", untilTrue: { try services() == ["drain", "drained"] })
        for node in ["n1", "n2"] {
            #expect(try confab("resume", node, "--yes", at: self.port(0)).status == 0)
        }
        #expect(try services() == ["drain", "drained", "resume"])
    }

    /// Whether the rebalance closes this client; events of the conversation are skipped.
    private static func isClosed(_ client: ConversationClient, within time: Duration) throws -> Bool
    {
        while let event = try client.socket.nextIfAny(within: time) {
            switch event {
            case .text: continue
            case .close(let code, let reason):
                #expect(code == 1012 && reason == "the cluster spreads its clients; connect again")
                return true
            case let other: throw TestFailure("expected the rebalance and got \(other)")
            }
        }
        return false
    }

    @Test("rebalance closes the surplus of a node, and ends when it is spread")
    func rebalance() throws {
        let secret = try self.cluster.folder.read("jwt.secret").trimmingCharacters(in: .newlines)
        func connect(_ user: String, _ node: Int) throws -> ConversationClient {
            let token = try ConfabServer.token(for: user, secret: secret)
            let client = ConversationClient(
                try RawWebSocketClient(
                    "/conversations/lobby/?token=\(token)", port: self.cluster.nodes[node].port))
            try client.synchronize()
            return client
        }
        let clients = try (1...4).map { try connect("user\($0)", 0) }
        let port = try self.port(1)
        let plan = try confab("rebalance", "--dry-run", at: port)
        #expect(
            plan.output.hasPrefix(
                "would close 2 of 4 clients of n1 with 1012; every shard is where"), "\(plan)")
        // Idle HTTP connections are no clients, and do not change how many of them are closed.
        let idle = try (0..<20).map { _ in try ByteStream(port: self.cluster.nodes[0].port) }
        let command = try ChildProcess(
            Checkout.confab,
            ["rebalance", "--rate", "100/s", "--yes", "--admin", "http://127.0.0.1:\(port)"])
        var open = clients
        try Deadline.wait(
            for: "two closed clients",
            untilTrue: {
                try open.removeAll { try Self.isClosed($0, within: .milliseconds(50)) }
                return open.count == 2
            })
        // The first client that returns makes two and one of them: three cannot be more even.
        let other = try connect("user5", 1)
        #expect(try command.waitForExit() == .exited(0), "\(command.errors.text)")
        #expect(
            command.output.text.hasSuffix(
                "the clients are spread evenly: n1: 2 clients, n2: 1 client"),
            "\(command.output.text)")
        #expect(self.cluster.connections(of: self.cluster.nodes[0]) == 2)
        for client in open { try client.post("still here") }
        withExtendedLifetime((idle, other)) {}
        let event = try #require(
            try confab("events", "--type", "rebalance", "--output", "json", at: port).rows(
                "events"
            ).last)
        #expect(event["node"] == "n1" && event["operator"] == "127.0.0.1")
    }
}
