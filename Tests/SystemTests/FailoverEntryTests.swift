import Foundation
import TestKit
import TestTraits
import Testing

/// Clients that connect while a master of a Redis Cluster is gone.
@Suite("A client that connects during a failover of Redis Cluster", .programs, .long, .ownThread)
struct FailoverEntryTests {
    /// A client of a protocol that connects and enters the conversation.
    private final class EnteringClient {
        static let conversation = "lobby"
        /// Clients wait up to 5 s for the store. A node gives up a little earlier, so that its
        /// answer comes in time.
        static let shortestWait = Duration.seconds(4)
        let adapter: ProtocolAdapter
        private let user: String
        private let stream: ByteStream
        private let start = ContinuousClock.now

        /// Sends the upgrade request, and waits for nothing.
        init(_ adapter: ProtocolAdapter, _ user: String, _ node: ConfabServer) throws {
            self.adapter = adapter
            self.user = user
            let token = try ConfabServer.token(for: user, conversations: [Self.conversation])
            self.stream = try ByteStream(port: node.port)
            try RawWebSocketClient.requestUpgrade(
                adapter.path(Self.conversation, token, nil), port: node.port, on: self.stream)
        }

        /// Enters, sends a message and returns true when it is stored. Returns false if the store
        /// came too late, and throws if the server gave up too early.
        func hasEntered() throws -> Bool {
            let socket = try RawWebSocketClient(upgradeRequestedOn: self.stream)
            for (behind, text) in self.adapter.entryFrames(Self.conversation) {
                if !behind.isEmpty {
                    guard try self.next(from: socket, { $0.hasPrefix(behind) }) else {
                        return false
                    }
                }
                try socket.send(text)
            }
            let content = "by \(self.user)"
            try socket.send(self.adapter.messageFrame(Self.conversation, content))
            var isStored = false
            let isAnswered = try self.next(from: socket) { text in
                let events = self.adapter.events(text, self.user)
                isStored = events.contains {
                    if case .message(_, self.user, content) = $0 { true } else { false }
                }
                isStored = isStored || text.contains(#""ACK""#)
                return isStored || text.contains(#""outcome""#) || text.contains(#""error""#)
            }
            if isAnswered, !isStored { try self.checkWait(before: "an error") }
            return isAnswered && isStored
        }

        private func checkWait(before end: String) throws {
            let time = ContinuousClock.now - self.start
            guard time > Self.shortestWait else {
                throw TestFailure("\(self.user) got \(end) after \(time)")
            }
        }

        /// Returns whether such a frame came before the connection was closed.
        private func next(from socket: RawWebSocketClient, _ matches: (String) -> Bool) throws
            -> Bool
        {
            while true {
                switch try socket.next() {
                case .text(let text): if matches(text) { return true }
                case .close(code: 1013, let reason):
                    try self.checkWait(before: "1013: \(reason)")
                    return false
                case let other: throw TestFailure("\(self.adapter.name) got \(other)")
                }
            }
        }
    }

    /// Whether all clients that connect while the master of the conversation is gone have entered.
    private func enterDuringFailover(
        _ servers: RedisClusterServers, _ nodes: [ConfabServer], slot: Int, round: Int
    ) throws -> Bool {
        let old = try servers.master(of: slot)
        let oldServer = try servers.server(of: old)
        let replica = try servers.server(of: servers.replica(of: old))
        try oldServer.crash()
        // All masters refuse commands then. Before that, commands wait for the one that is gone.
        for server in servers.servers where server.process.isRunning {
            try Deadline.wait(
                for: "the cluster to be down",
                untilTrue: {
                    try server.execute("CLUSTER", "INFO").contains("cluster_state:fail")
                })
        }
        func connect(_ moment: String) throws -> [EnteringClient] {
            try ProtocolAdapter.all.flatMap { adapter in
                try nodes.enumerated().map { number, node in
                    try EnteringClient(
                        adapter, "\(adapter.name.lowercased())-\(moment)\(round)-\(number)", node)
                }
            }
        }
        let first = try connect("a")
        // Meanwhile the nodes read these clients' requests.
        for _ in 0..<50 { for node in nodes { _ = try node.health() } }
        try replica.execute("CLUSTER", "FAILOVER", "TAKEOVER")
        let second = try connect("b")
        var hasEntered = true
        for client in first + second where try !client.hasEntered() { hasEntered = false }
        try oldServer.restart()
        try servers.awaitHealthy()
        for node in nodes { try node.awaitHealthy() }
        return hasEntered
    }

    @Test("waits for the store in every protocol, and enters", arguments: 1...2)
    func entry(nodeCount: Int) throws {
        // The test decides when a replica takes over.
        let servers = try RedisClusterServers(
            failureTimeout: .seconds(2), ["--cluster-replica-no-failover", "yes"])
        let nodes = try (1...nodeCount).map {
            try ConfabServer(["--store", servers.url(), "--node-id", "n\($0)"])
        }
        try nodes[0].awaitShardBalance(of: nodeCount)
        try nodes[0].connect("reader", to: EnteringClient.conversation).post("before")
        let owner = try confab(
            "owner", EnteringClient.conversation, "--output", "json", at: nodes[0].adminPort
        ).document
        let shard = Int(try #require(owner.number("shard")))
        let slot = try #require(
            Int(servers.servers[0].execute("CLUSTER", "KEYSLOT", "{s\(shard)}")))
        // On a slow machine, a failover takes longer than a client waits.
        var round = 0
        try Deadline.wait(for: "a failover during which all clients enter", within: .seconds(240)) {
            round += 1
            return try self.enterDuringFailover(servers, nodes, slot: slot, round: round)
        }
    }
}
