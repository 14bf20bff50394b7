import Foundation
import TestKit
import TestTraits
import Testing

/// The answers to failed sends, and the fate of the messages, with one client per protocol on two
/// nodes.
@Suite("A failed send", .programs, .serialized, .ownThread)
struct FailedSendTests {
    /// The deployment of Redis.
    enum Kind: String, CaseIterable {
        case redis, sentinel, cluster
    }

    private struct FailedSendStore {
        let url: String
        let masters: () throws -> [RedisServer]
        /// Keeps the servers alive.
        let owner: Any

        init(_ kind: Kind) throws {
            switch kind {
            case .redis:
                let server = try RedisServer()
                (self.url, self.masters, self.owner) = (server.url, { [server] }, server)
            case .sentinel:
                let sentinelServers = try RedisSentinelServers()
                (self.url, self.masters, self.owner) = (
                    sentinelServers.url, { [try sentinelServers.master()] }, sentinelServers
                )
            case .cluster:
                let servers = try RedisClusterServers()
                (self.url, self.owner) = (servers.url(), servers)
                self.masters = {
                    try servers.nodes().filter(\.isMaster).map { try servers.server(of: $0) }
                }
            }
        }

        func execute(_ command: String...) throws {
            for master in try self.masters() { try master.execute(command) }
        }
    }

    /// A client in the shared conversation.
    private final class FailedSendClient {
        static let conversation = "lobby"
        let adapter: ProtocolAdapter
        private let socket: RawWebSocketClient

        init(_ adapter: ProtocolAdapter, _ node: ConfabServer) throws {
            self.adapter = adapter
            let token = try ConfabServer.token(
                for: adapter.name.lowercased(), conversations: [Self.conversation])
            self.socket = try RawWebSocketClient(
                adapter.path(Self.conversation, token, nil), port: node.port)
            for (behind, text) in adapter.entryFrames(Self.conversation) {
                if !behind.isEmpty { try self.awaitFrame("that it is in") { $0.hasPrefix(behind) } }
                try self.socket.send(text)
            }
        }

        @discardableResult
        private func awaitFrame(_ description: String, _ matches: (String) -> Bool) throws -> String
        {
            let deadline = Deadline()
            while true {
                guard case .text(let text) = try self.socket.next(within: deadline.remaining) else {
                    throw TestFailure(
                        "\(self.adapter.name)'s connection ended before \(description)")
                }
                if matches(text) { return text }
            }
        }

        func sendMessage(_ content: String) throws {
            try self.socket.send(self.adapter.messageFrame(Self.conversation, content))
        }

        /// Sends a message and waits until it is stored.
        func post(_ content: String) throws {
            try self.sendMessage(content)
            let userName = self.adapter.name.lowercased()
            let text = try self.awaitFrame("the answer to \(content)") { text in
                if text.contains(#""outcome""#) { return true }
                if text.contains(#""ACK""#) { return true }
                return self.adapter.events(text, userName).contains {
                    if case .message(_, userName, content) = $0 { true } else { false }
                }
            }
            if text.contains(#""outcome""#) { throw TestFailure("\(content): \(text)") }
        }

        /// The outcome of a failed send, in any object of the protocol.
        func outcome() throws -> String {
            let text = try self.awaitFrame("an outcome") { $0.contains(#""outcome":"#) }
            return text.contains(#""outcome":"refused""#)
                ? "refused" : text.contains(#""outcome":"unknown""#) ? "unknown" : text
        }
    }

    private func nodes(_ store: FailedSendStore) throws -> [ConfabServer] {
        let nodes = try (1...2).map {
            try ConfabServer(["--store", store.url, "--node-id", "n\($0)"])
        }
        try nodes[0].awaitShardBalance(of: 2)
        return nodes
    }

    private func history(through node: ConfabServer) throws -> [String] {
        try node.connect("reader", to: FailedSendClient.conversation).wholeHistory().map {
            $0["content"] ?? ""
        }
    }

    /// The commands that begin and end a state in which Redis rejects writes.
    private static let refusals: [(Kind, [String], [String])] = [
        (.redis, ["CONFIG", "SET", "maxmemory", "1"], ["CONFIG", "SET", "maxmemory", "0"]),
        (.redis, ["REPLICAOF", "127.0.0.1", "1"], ["REPLICAOF", "NO", "ONE"]),
        (.sentinel, ["CONFIG", "SET", "maxmemory", "1"], ["CONFIG", "SET", "maxmemory", "0"]),
        (.cluster, ["CONFIG", "SET", "maxmemory", "1"], ["CONFIG", "SET", "maxmemory", "0"]),
    ]

    @Test(
        "is refused if the store rejects writes, and its message never appears",
        arguments: TestRun.isLong ? Self.refusals : Array(Self.refusals.prefix(1)))
    func refused(_ kind: Kind, _ begin: [String], _ end: [String]) throws {
        let store = try FailedSendStore(kind)
        var nodes = try self.nodes(store)
        var clients = try ProtocolAdapter.all.enumerated().map {
            try FailedSendClient($0.element, nodes[$0.offset % 2])
        }
        for client in clients { try client.post("\(client.adapter.name) before") }
        for master in try store.masters() { try master.execute(begin) }
        var inDoubt: [String] = []
        for client in clients {
            let start = ContinuousClock.now
            try client.sendMessage("\(client.adapter.name) meanwhile")
            if try client.outcome() == "unknown" {
                // A node disconnects from a server that answers READONLY, and repeats a request to
                // the owner after a second. The outcome of what was in flight is unknown.
                #expect(begin[0] == "REPLICAOF" || .now - start >= .seconds(1))
                inDoubt.append("\(client.adapter.name) meanwhile")
            }
        }
        // The authors disconnect before the store accepts writes again.
        clients = []
        for master in try store.masters() { try master.execute(end) }
        for node in nodes {
            try node.awaitHealthy()
        }
        clients = try ProtocolAdapter.all.enumerated().map {
            try FailedSendClient($0.element, nodes[$0.offset % 2])
        }
        for client in clients { try client.post("\(client.adapter.name) after") }
        let expected =
            (["before", "after"].flatMap { word in ProtocolAdapter.all.map { "\($0.name) \(word)" }
            })
        for node in nodes {
            #expect(try self.history(through: node).filter { !inDoubt.contains($0) } == expected)
        }
        // A new owner does not have the refused messages either.
        for node in nodes { try node.crash() }
        nodes = try self.nodes(store)
        #expect(try self.history(through: nodes[0]).filter { !inDoubt.contains($0) } == expected)
    }

    @Test(
        "has an unknown outcome at most if the store hangs, and is stored once or never"
    )
    func unknown() throws {
        let store = try FailedSendStore(.redis)
        let nodes = try self.nodes(store)
        let clients = try ProtocolAdapter.all.enumerated().map {
            try FailedSendClient($0.element, nodes[$0.offset % 2])
        }
        for client in clients { try client.post("\(client.adapter.name) before") }
        let master = try store.masters()[0]
        try master.freeze()
        for client in clients { try client.sendMessage("\(client.adapter.name) meanwhile") }
        let outcomes = try clients.map { try $0.outcome() }
        #expect(outcomes.allSatisfy { ["refused", "unknown"].contains($0) })
        #expect(outcomes.contains("unknown"))
        master.unfreeze()
        for node in nodes {
            try node.awaitHealthy()
        }
        for client in clients { try client.post("\(client.adapter.name) after") }

        let histories = try nodes.map { try self.history(through: $0) }
        #expect(histories[0] == histories[1])
        let certain = ["before", "after"].flatMap { word in
            ProtocolAdapter.all.map { "\($0.name) \(word)" }
        }
        let inDoubt = zip(ProtocolAdapter.all, outcomes).filter { $0.1 == "unknown" }.map {
            "\($0.0.name) meanwhile"
        }
        #expect(histories[0].filter { !$0.hasSuffix("meanwhile") } == certain)
        let stored = histories[0].filter { $0.hasSuffix("meanwhile") }
        #expect(
            Set(stored).count == stored.count && Set(stored).isSubset(of: inDoubt),
            "\(stored) of \(inDoubt)")
        // The outcome is final: a new owner loads the same history.
        for node in nodes { try node.crash() }
        #expect(try self.history(through: self.nodes(store)[0]) == histories[0])
    }
}
