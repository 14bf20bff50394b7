import Bytes
import ChatModel
import Cluster
import ClusterWire
import JSON
import NodeLink
import RedisClient
import TestKit
import TestTraits
import Testing

@testable import OperatorClient

@Suite("The cluster's state from Redis", .programs, .ownThread)
struct RedisAdminSourceTests {
    private let redis: RedisServer
    private let source: RedisAdminSource
    private static let lobby = ConversationKey(tenant: "t", id: "lobby")

    init() throws {
        self.redis = try RedisServer()
        self.source = RedisAdminSource(
            try ClusterReader(
                try RedisURL(self.redis.url), trusting: nil, clusterName: "confab",
                timeout: Deadline.defaultTimeout))
    }

    /// Stores two nodes: `n1` has a heartbeat in the future, and `n2` had none for a long time.
    private func storeNodes() throws -> View {
        let view = View(
            number: 7,
            nodes: [View.Node(incarnation: 1, loops: 1), View.Node(incarnation: 2, loops: 1)])
        try self.redis.execute("HSET", "confab:{c}:view", "text", view.text)
        for (node, beat) in [(1, "9999999999999"), (2, "1")] as [(UInt64, String)] {
            let record = NodeRecord(
                incarnation: node, name: "n\(node)", address: "here:\(node)", host: "h",
                version: "1", loops: 1, startedAt: Timestamp(milliseconds: 0))
            try self.redis.execute(
                "HSET", "confab:{c}:node:\(node)", "record", record.text, "beat", beat)
        }
        return view
    }

    @Test("has a row for each node, without the data that only nodes have")
    func nodes() throws {
        let view = try self.storeNodes()
        let document = try self.source.get("nodes", [])
        #expect(document["schema_version"]?.integerValue == 1)
        #expect(document["view"]?.integerValue == 7)
        let rows = document["nodes"]?.elements ?? []
        #expect(rows.map { $0["node"]?.stringValue } == ["n1", "n2"])
        #expect(rows.map { $0["state"]?.stringValue } == ["active", "gone"])
        #expect(rows.map { $0["address"]?.stringValue } == ["here:1", "here:2"])
        #expect(rows.map { $0["unreachable_for"]?.isNull } == [true, false])
        #expect(rows.map { $0["uptime"]?.isNull } == [false, true])
        #expect(
            rows.map { $0["shards"]?.integerValue } == [view.shardCounts[1], view.shardCounts[2]])
        for key in ["connections", "health", "reason", "redis_unreachable_for"] {
            #expect(rows.allSatisfy { $0[key]?.isNull == true }, "\(key)")
        }
        // One value for each key.
        for row in rows {
            let keys = row.members?.map(\.name) ?? []
            #expect(Set(keys).count == keys.count)
        }
    }

    @Test("has the epoch of a shard only if the last claim is its owner's")
    func shards() throws {
        let view = try self.storeNodes()
        let shards = (0..<Shard.count).filter { view.owner(of: $0).incarnation == 1 }
        for (shard, claim) in zip(shards, ["12 1.0", "13 2.0"]) {
            try self.redis.execute("HSET", "confab:{s\(shard)}:lease", "owner", claim)
        }
        let rows = try self.source.get("shards", [.init("node", "n1")])["shards"]?.elements ?? []
        #expect(rows.map { $0["shard"]?.integerValue } == shards)
        #expect(rows.allSatisfy { $0["owner"]?.stringValue == "n1" })
        #expect(rows.prefix(3).map { $0["epoch"]?.integerValue } == [12, nil, nil])
        #expect(try self.source.get("shards", [])["shards"]?.elements?.count == Shard.count)
    }

    @Test("has the owner and the stored state of a conversation")
    func owner() throws {
        let view = try self.storeNodes()
        let shard = Shard.of(Self.lobby)
        try self.redis.execute("HSET", "confab:{s\(shard)}:conv:t:lobby", "at", "1 9 4 60")
        let document = try self.source.get(
            "owner", [.init("conversation", "lobby"), .init("tenant", "t")])
        #expect(document["owner"]?.stringValue == "n\(view.owner(of: shard).incarnation)")
        #expect(document["shard"]?.integerValue == shard)
        #expect(document["head"]?.integerValue == 4)
        #expect(document["revision"]?.integerValue == 9)
    }

    @Test("says what does not exist")
    func missing() throws {
        #expect(
            throws: AdminProblem.rejected(
                status: 400,
                "--via: the cluster confab has no nodes: none has started, or all have left")
        ) { try self.source.get("nodes", []) }
        _ = try self.storeNodes()
        #expect(
            throws: AdminProblem.rejected(
                status: 404, "There is no conversation lobby in tenant t.")
        ) { try self.source.get("owner", [.init("conversation", "lobby"), .init("tenant", "t")]) }
        do {
            _ = try self.source.get("shards", [.init("node", "n9")])
            Issue.record("there is no n9")
        } catch {
            #expect(error.exitStatus == 1 && error.message.contains("n9"))
        }
    }

    @Test("has the servers of Redis")
    func servers() throws {
        let rows = try self.source.get("redis", [])["redis"]?.elements ?? []
        #expect(rows.map { $0["servers"]?.stringValue } == ["127.0.0.1:\(self.redis.port)"])
        #expect(rows.map { $0["mode"]?.stringValue } == ["standalone"])
    }
}
