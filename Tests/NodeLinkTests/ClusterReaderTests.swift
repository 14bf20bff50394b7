import Bytes
import ChatModel
import Cluster
import ClusterWire
import RedisClient
import TestKit
import TestTraits
import Testing

@testable import NodeLink

@Suite("A reader of the cluster's state in Redis", .programs, .ownThread)
struct ClusterReaderTests {
    private let redis: RedisServer
    private let reader: ClusterReader

    init() throws {
        self.redis = try RedisServer()
        self.reader = try Self.reader(self.redis.url)
    }

    private static func reader(
        _ url: String, timeout: Duration = Deadline.defaultTimeout
    ) throws -> ClusterReader {
        try ClusterReader(
            try RedisURL(url), trusting: nil, clusterName: "confab", timeout: timeout)
    }

    private func store(_ view: View) throws {
        try self.redis.execute("HSET", "confab:{c}:view", "number", "7", "text", view.text)
    }

    private static func error(_ read: () throws -> Void) -> ClusterReader.ClusterReadError? {
        do {
            try read()
            return nil
        } catch {
            return error as? ClusterReader.ClusterReadError
        }
    }

    @Test("reads the nodes of the view with their records and the age of their heartbeats")
    func members() throws {
        try self.store(
            View(
                number: 7,
                nodes: [
                    View.Node(incarnation: 1, loops: 2),
                    View.Node(incarnation: 2, loops: 2, isDraining: true),
                    View.Node(incarnation: 35, loops: 2),
                ]))
        let now = try #require(
            self.redis.execute("TIME").split(separator: "\n").first.flatMap { Int64($0) })
        // The first heartbeat lies in the future by an hour, so its age is always 0.
        for (node, beat) in [(1, (now + 3600) * 1000), (2, (now - 100) * 1000)] as [(UInt64, Int64)]
        {
            let record = NodeRecord(
                incarnation: node, name: "n\(3 - node)", address: "here:1", host: "h",
                version: "1", loops: 2, startedAt: Timestamp(milliseconds: 5))
            try self.redis.execute(
                "HSET", "confab:{c}:node:\(node)", "record", record.text, "beat", "\(beat)")
        }
        let members = try self.reader.members()
        #expect(members.view.number == 7)
        #expect(members.now >= now * 1000)
        #expect(members.peers.map(\.name) == ["n1", "n2", "z"])
        #expect(members.peers.map(\.state) == ["gone", "active", "gone"])
        #expect(members.peers.map(\.isDraining) == [true, false, false])
        #expect(members.peers[1].silentFor == 0)
        #expect((100_000..<3_600_000).contains(members.peers[0].evictedFor ?? 0))
        #expect(members.peers[2].record == nil && members.peers[2].evictedFor == 60_000)
        #expect(members.name(of: 35) == "z")
    }

    @Test(
        "says why there are no nodes, and that a retry is useless",
        arguments: [
            ([], "the cluster confab has no nodes: none has started, or all have left"),
            (["HSET", "confab:{c}:view", "text", "x"], "the Redis key confab:{c}:view: "),
            (["SET", "confab:{c}:view", "x"], "WRONGTYPE"),
        ])
    func noView(command: [String], reason: String) throws {
        if !command.isEmpty { try self.redis.execute(command) }
        let error = Self.error { _ = try self.reader.members() }
        #expect(error?.description.contains(reason) == true, "\(String(describing: error))")
        #expect(error?.isPermanent == true)
    }

    @Test("reads the last claim of each shard, without shards that were never claimed")
    func leases() throws {
        try self.redis.execute("HSET", "confab:{s3}:lease", "owner", "12 1.0")
        try self.redis.execute("HSET", "confab:{s5}:lease", "owner", "not a claim")
        let leases = try self.reader.leases(of: [3, 4, 5])
        #expect(leases.keys.sorted() == [3])
        #expect(leases[3]?.epoch == 12 && leases[3]?.owner == "1.0")
    }

    @Test(
        "reads a conversation's head and revision",
        arguments: [(nil, nil), ("1 9 4 60", [4, 9])] as [(String?, [Int]?)])
    func head(stored: String?, expected: [Int]?) throws {
        let key = ConversationKey(tenant: "t", id: "lobby")
        if let stored {
            try self.redis.execute(
                "HSET", "confab:{s\(Shard.of(key))}:conv:t:lobby", "at", stored)
        }
        let head = try self.reader.head(of: key)
        #expect(head.map { [$0.head, $0.revision] } == expected)
    }

    @Test("rejects the state of a conversation that no store has written")
    func foreignHead() throws {
        let key = ConversationKey(tenant: "t", id: "lobby")
        let name = "confab:{s\(Shard.of(key))}:conv:t:lobby"
        try self.redis.execute("HSET", name, "at", "2 9 4 60")
        let error = Self.error { _ = try self.reader.head(of: key) }
        #expect(error?.description == "the Redis key \(name): it is not what was stored")
        #expect(error?.isPermanent == true)
    }

    @Test("reports the server that accepts commands")
    func servers() throws {
        let servers = try self.reader.servers()
        #expect(servers.map(\.endpoint) == ["127.0.0.1:\(self.redis.port)"])
        #expect(self.reader.mode == "standalone")
    }

    @Test("fails within its timeout without a server, and may be retried")
    func unreachable() throws {
        let reader = try Self.reader("redis://127.0.0.1:\(freePort())", timeout: .seconds(1))
        let error = Self.error { try reader.checkAccess() }
        #expect(error?.isPermanent == false, "\(String(describing: error))")
        try self.reader.checkAccess()
    }
}
