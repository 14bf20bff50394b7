import Bytes
import Cluster
import ClusterWire
import EventLoop
import TestKit
import Testing

@testable import NodeLink

/// The membership of one node, over a connection of its own.
private final class ShellFixture {
    let agent: AgentFixture
    let shell: ClusterMembershipShell
    let problems: ProblemReporter

    init(_ server: RedisServer, _ incarnation: UInt64, name: String) throws {
        let agent = try AgentFixture(server, seed: incarnation)
        let problems = ProblemReporter(
            on: agent.loop, redisKeys: agent.redisKeys, isRedisCluster: false,
            receiver: agent.receiver, logger: agent.logger)
        self.agent = agent
        self.problems = problems
        self.shell = ClusterMembershipShell(
            .sample(incarnation, name: name), on: agent.loop, redis: agent.redis,
            redisKeys: agent.redisKeys,
            mailbox: LoopBound(MailboxMonitor(at: agent.run { NodeAgent.now }), on: agent.loop),
            problems: problems, receiver: agent.receiver, logger: agent.logger)
        self.agent.run { [shell] in
            shell.redisChanged(isReady: true, at: NodeAgent.now)
        }
    }

    /// Ticks as a loop does, until a condition is true. The node's own probe returns before each
    /// tick.
    func tick(until description: String, isTrue: () throws -> Bool) throws {
        try Deadline.wait(for: "\(description); the log: \(self.agent.log)") {
            self.agent.run { [shell] in
                shell.probeReturned(at: NodeAgent.now)
                shell.tick(at: NodeAgent.now)
            }
            return try isTrue() ? () : nil
        }
    }

    func state<Value: Sendable>(
        _ read: @escaping @Sendable (ClusterMembershipShell.State) -> Value
    ) -> Value {
        self.agent.run { [shell] in shell.state.with { read($0) } }
    }

    var members: Set<UInt64> { self.agent.run { [shell] in shell.members } }
    var problem: String? { self.agent.run { [problems] in problems.reason } }

    func join() throws {
        try self.tick(until: "joining") { self.state { $0.membership.isJoined } }
    }
}

extension AgentSuites {
    @Suite("The membership of a node")
    struct ClusterMembershipShellTests {
        private let server: RedisServer

        init() throws { self.server = try RedisServer() }

        private func view() throws -> View {
            try View(text: try self.server.execute("HGET", "chat:{c}:view", "text"))
        }

        @Test("stores the node's record, and a view with the node, which its loops then follow")
        func joining() throws {
            let node = try ShellFixture(self.server, 7, name: "n1")
            try node.join()
            #expect(node.agent.receiver.calls == ["follow 1: [7]"])
            #expect(try self.view().nodes.map(\.incarnation) == [7])
            let record = try NodeRecord(
                text: try self.server.execute("HGET", "chat:{c}:node:7", "record"))
            #expect(record.name == "n1")
            #expect(try self.server.execute("GET", "chat:{c}:name:n1") == "7")
            #expect(
                try self.server.execute("XRANGE", "chat:{c}:events", "-", "+").contains("joins"))
            #expect(node.agent.count(ofLines: "view followed") == 1)
            #expect(node.agent.count(ofLines: "view followed number=1 nodes=1 joined=n1") == 1)
            #expect(node.agent.count(ofLines: "node joined node=n1 incarnation=7 view=1") == 1)
            #expect(node.members == [7])
            let areMembers = node.agent.run { [shell = node.shell] in
                [7, 8].map { shell.isMember($0) }
            }
            #expect(areMembers == [true, false])
        }

        @Test("learns of another node when the view is announced, and reads its record")
        func secondNode() throws {
            let (first, second) = (
                try ShellFixture(self.server, 7, name: "n1"),
                try ShellFixture(self.server, 8, name: "n2")
            )
            try first.join()
            try second.join()
            #expect(second.agent.receiver.calls == ["follow 2: [7, 8]"])
            first.agent.run { [shell = first.shell] in shell.viewAnnounced(at: NodeAgent.now) }
            try first.agent.wait(for: "the second view") { [receiver = first.agent.receiver] in
                receiver.calls.contains("follow 2: [7, 8]")
            }
            try first.agent.wait(for: "the record") { [shell = first.shell] in
                shell.state.with { $0.peerDirectory.name(of: 8) } == "n2"
            }
            #expect(first.members == [7, 8])
            #expect(second.agent.count(ofLines: "node joined node=n2 incarnation=8 view=2") == 1)
            #expect(first.agent.count(ofLines: "peer discovered node=n2 incarnation=8") == 1)

            // The second node stops without leaving.
            try first.tick(until: "the eviction") { first.members == [7] }
            try first.tick(until: "the next view") {
                first.agent.count(ofLines: "nodes=1 left=n2") == 1
            }
            let evicted = #/node evicted node=n2 incarnation=8 .* reason=lease_expired silent=/#
            #expect(first.agent.log.matches(of: evicted).count == 1)
        }

        @Test("keeps a node out while another process holds its name, and logs that once")
        func takenName() throws {
            try self.server.execute("SET", "chat:{c}:name:n1", "other", "PX", "60000")
            let node = try ShellFixture(self.server, 7, name: "n1")
            try node.tick(until: "the holder") { node.state { $0.nameHolder } == "other" }
            node.agent.run { [shell = node.shell] in shell.viewAnnounced(at: NodeAgent.now) }
            let calls = try self.commandCount("evalsha")
            try node.tick(until: "another heartbeat") {
                try self.commandCount("evalsha") > calls
            }
            #expect(node.agent.receiver.calls == [])
            #expect(node.agent.count(ofLines: "node name in use") == 1)

            try self.server.execute("DEL", "chat:{c}:name:n1")
            try node.tick(until: "the name") { node.state { $0.nameHolder } == nil }
            #expect(node.agent.count(ofLines: "node name released") == 1)
        }

        @Test("keeps a node out while a copy into the cluster is incomplete, and says so once")
        func incompleteCopy() throws {
            try self.server.execute("SET", "chat:{c}:copy", "/var/confab.db")
            let node = try ShellFixture(self.server, 7, name: "n1")
            let words = "COPY from /var/confab.db is incomplete: repeat `confab copy`"
            try node.tick(until: "the reason") { node.agent.count(ofLines: words) == 1 }
            let calls = try self.commandCount("evalsha")
            try node.tick(until: "another heartbeat") {
                try self.commandCount("evalsha") > calls
            }
            #expect(node.agent.count(ofLines: words) == 1)
            #expect(node.members == [])

            try self.server.execute("DEL", "chat:{c}:copy")
            try node.tick(until: "the view") { node.members == [7] }
        }

        private func commandCount(_ name: String) throws -> Int {
            let statistics = try self.server.execute("INFO", "commandstats")
            let line = statistics.split(whereSeparator: \.isNewline).first {
                $0.hasPrefix("cmdstat_\(name):")
            }
            let count = line?.split(separator: "=").dropFirst().first?.prefix { $0 != "," }
            return count.flatMap { Int($0) } ?? 0
        }

        @Test(
            "reports that the cluster's state is unusable until it is usable again",
            arguments: [
                (["SET", "chat:{c}:view", "x"], "cluster state not stored"),
                (
                    ["EVAL", "redis.call('RPUSH', KEYS[1], '?')", "1", "chat:{c}:views"],
                    "view unreadable"
                ),
            ])
        func unusableState(command: [String], event: String) throws {
            try self.server.execute(command)
            let node = try ShellFixture(self.server, 7, name: "n1")
            try node.tick(until: "the problem") { node.problem != nil }
            #expect(node.agent.count(ofLines: event) == 1)
            #expect(node.agent.receiver.calls == [])
            try self.server.execute("FLUSHALL")
            try node.join()
            #expect(node.problem == nil)
        }

        @Test("continues under another incarnation after the node was evicted")
        func eviction() throws {
            let node = try ShellFixture(self.server, 7, name: "n1")
            try node.join()
            let other = View(number: 2, nodes: [View.Node(incarnation: 9, loops: 1)])
            try self.server.execute(
                "HSET", "chat:{c}:view", "number", "2", "text", other.text, "hash",
                HeartbeatExchange.hash(other.text))
            try self.server.execute("RPUSH", "chat:{c}:views", other.text)
            try node.tick(until: "rejoining") {
                node.state { $0.membership.isJoined && $0.membership.localNode.incarnation != 7 }
            }
            let incarnation = node.agent.run { [shell = node.shell] in shell.incarnation }
            #expect(node.agent.receiver.calls.last == "rejoin as \(incarnation) in 3")
            #expect(try self.view().nodes.map(\.incarnation).contains(incarnation))
            #expect(node.agent.count(ofLines: "node rejoined after eviction") == 1)
        }

        @Test("removes the node from the view and releases its name when it leaves")
        func leaving() throws {
            let node = try ShellFixture(self.server, 7, name: "n1")
            try node.join()
            node.agent.run { [shell = node.shell] in shell.change { $0.leave() } }
            try node.tick(until: "leaving") { node.state { !$0.membership.isJoined } }
            #expect(try self.server.execute("HGET", "chat:{c}:view", "text") == "")
            #expect(try self.server.execute("EXISTS", "chat:{c}:name:n1") == "0")
        }

        @Test("regards a heartbeat that cannot be sent as failed, and sends the next one")
        func lostConnection() throws {
            let node = try ShellFixture(self.server, 7, name: "n1")
            try node.join()
            node.agent.run { [shell = node.shell] in
                shell.redisChanged(isReady: false, at: NodeAgent.now)
            }
            let calls = try self.commandCount("evalsha")
            node.agent.run { [shell = node.shell] in
                for _ in 0..<3 { shell.tick(at: NodeAgent.now + 10_000) }
            }
            #expect(try self.commandCount("evalsha") == calls)
            node.agent.run { [shell = node.shell] in
                shell.redisChanged(isReady: true, at: NodeAgent.now)
            }
            try node.tick(until: "another heartbeat") {
                try self.commandCount("evalsha") > calls
            }
        }
    }
}
