import Foundation
import TestKit
import Testing

/// What clients are told of sends that fail, and what becomes of their messages: one client of each protocol, on two nodes.
@Suite("A send that fails", .serialized)
struct FailedSendTests {
    /// What keeps the messages, and what is done to it.
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
                // Nobody dies here: a machine that stands still for a while is no reason for a failover.
                let trio = try RedisSentinelServers(failureTimeout: .seconds(30))
                (self.url, self.masters, self.owner) = (trio.url, { [try trio.master()] }, trio)
            case .cluster:
                let servers = try RedisClusterServers()
                (self.url, self.owner) = (servers.url(), servers)
                self.masters = {
                    try servers.nodes().filter(\.isMaster).map { try servers.server(of: $0) }
                }
            }
        }

        func execute(_ words: String...) throws {
            for master in try self.masters() { try master.execute(words) }
        }
    }

    /// Somebody in the conversation that all are in.
    private final class FailedSendClient {
        static let conversation = "lobby"
        let adapter: ProtocolAdapter
        private let socket: RawWebSocketClient

        init(_ speaker: ProtocolAdapter, _ node: ConfabServer) throws {
            self.adapter = speaker
            let token = try ConfabServer.token(
                for: speaker.name.lowercased(), conversations: [Self.conversation])
            self.socket = try RawWebSocketClient(
                speaker.path(Self.conversation, token, nil), port: node.port)
            for (behind, text) in speaker.entryFrames(Self.conversation) {
                if !behind.isEmpty { try self.awaitFrame("that it is in") { $0.hasPrefix(behind) } }
                try self.socket.send(text)
            }
        }

        @discardableResult
        private func awaitFrame(_ what: String, _ isWanted: (String) -> Bool) throws -> String {
            let deadline = Deadline()
            while true {
                guard case .text(let text) = try self.socket.next(within: deadline.remaining) else {
                    throw TestFailure("\(self.adapter.name)'s connection ended before \(what)")
                }
                if isWanted(text) { return text }
            }
        }

        func sendMessage(_ content: String) throws {
            try self.socket.send(self.adapter.messageFrame(Self.conversation, content))
        }

        /// Says it, and waits until it is stored.
        func post(_ content: String) throws {
            try self.sendMessage(content)
            let me = self.adapter.name.lowercased()
            let text = try self.awaitFrame("the answer to \(content)") { text in
                if text.contains(#""outcome""#) { return true }
                if text.contains(#""ACK""#) { return true }
                return self.adapter.events(text, me).contains {
                    if case .message(_, me, content) = $0 { true } else { false }
                }
            }
            if text.contains(#""outcome""#) { throw TestFailure("\(content): \(text)") }
        }

        /// What it is told of a send that fails, in whatever object of its protocol that stands.
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

    @Test(
        "because the store takes no writes is refused, and its message never appears",
        arguments: [
            (.redis, ["CONFIG", "SET", "maxmemory", "1"], ["CONFIG", "SET", "maxmemory", "0"]),
            (.redis, ["REPLICAOF", "127.0.0.1", "1"], ["REPLICAOF", "NO", "ONE"]),
            (.sentinel, ["CONFIG", "SET", "maxmemory", "1"], ["CONFIG", "SET", "maxmemory", "0"]),
            (.cluster, ["CONFIG", "SET", "maxmemory", "1"], ["CONFIG", "SET", "maxmemory", "0"]),
        ] as [(Kind, [String], [String])])
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
            try client.sendMessage("\(client.adapter.name) meanwhile")
            if try client.outcome() == "unknown" {
                inDoubt.append("\(client.adapter.name) meanwhile")
            }
        }
        // Who answers READONLY is left, and what was under way to it is in doubt.
        #expect(inDoubt == [] || begin[0] == "REPLICAOF")
        // The authors are gone before the store takes writes again.
        clients = []
        for master in try store.masters() { try master.execute(end) }
        for node in nodes {
            try Deadline.wait(
                for: "health to be good", untilTrue: { try node.health().status == 200 })
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
        // Nor does anybody have it who takes the conversation over.
        for node in nodes { try node.crash() }
        nodes = try self.nodes(store)
        #expect(try self.history(through: nodes[0]).filter { !inDoubt.contains($0) } == expected)
    }

    @Test(
        "because the store stands still has an unknown outcome at most: what was stored is stored once, and the rest never appears"
    )
    func unknown() throws {
        let store = try FailedSendStore(.redis)
        let nodes = try self.nodes(store)
        let clients = try ProtocolAdapter.all.enumerated().map {
            try FailedSendClient($0.element, nodes[$0.offset % 2])
        }
        for client in clients { try client.post("\(client.adapter.name) before") }
        let master = try store.masters()[0]
        master.freeze()
        for client in clients { try client.sendMessage("\(client.adapter.name) meanwhile") }
        let outcomes = try clients.map { try $0.outcome() }
        #expect(outcomes.allSatisfy { ["refused", "unknown"].contains($0) })
        #expect(outcomes.contains("unknown"))
        master.unfreeze()
        for node in nodes {
            try Deadline.wait(
                for: "health to be good", untilTrue: { try node.health().status == 200 })
        }
        for client in clients { try client.post("\(client.adapter.name) after") }

        let histories = try nodes.map { try self.history(through: $0) }
        #expect(histories[0] == histories[1])
        let sure = ["before", "after"].flatMap { word in
            ProtocolAdapter.all.map { "\($0.name) \(word)" }
        }
        let inDoubt = zip(ProtocolAdapter.all, outcomes).filter { $0.1 == "unknown" }.map {
            "\($0.0.name) meanwhile"
        }
        #expect(histories[0].filter { !$0.hasSuffix("meanwhile") } == sure)
        let stored = histories[0].filter { $0.hasSuffix("meanwhile") }
        #expect(
            Set(stored).count == stored.count && Set(stored).isSubset(of: inDoubt),
            "\(stored) of \(inDoubt)")
        // That is settled: whoever loads the conversation finds the same.
        for node in nodes { try node.crash() }
        #expect(try self.history(through: self.nodes(store)[0]) == histories[0])
    }
}
