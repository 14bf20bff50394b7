import Glibc
import TestKit
import TestTraits
import Testing

/// Redis is available, and rejects commands.
@Suite("A Redis that rejects", .long, .programs, .serialized, .ownThread)
struct RefusingRedisTests {
    private let redis: RedisServer
    private let nodes: [ConfabServer]

    init() throws {
        let redis = try RedisServer()
        self.redis = redis
        self.nodes = try (1...2).map {
            try ConfabServer(["--store", redis.url, "--node-id", "n\($0)"])
        }
        try self.nodes[0].awaitShardBalance(of: 2)
    }

    private func waitForHealth(_ status: Int) throws {
        for node in self.nodes {
            try Deadline.wait(
                for: "health \(status)", untilTrue: { try node.health().status == status })
        }
    }

    /// Waits until every stored heartbeat is older than the 3 s after which a node is evicted, and
    /// the nodes have had another second to do so.
    private func awaitOverdueHeartbeats() throws {
        let keys = try self.redis.execute("KEYS", "confab:{c}:node:*").split(separator: "\n")
        #expect(keys.count == self.nodes.count)
        try Deadline.wait(
            for: "overdue heartbeats",
            untilTrue: {
                let seconds = try self.redis.execute("TIME").split(separator: "\n").first
                let now = try #require(seconds.flatMap { Int($0) }) * 1000
                return try keys.allSatisfy { key in
                    let heartbeat = try self.redis.execute("HGET", "\(key)", "beat")
                    return try #require(Int(heartbeat)) < now - 4000
                }
            })
    }

    @Test(
        "all writes causes failed sends, but no eviction, and recovers",
        arguments: [("maxmemory", "1", "(OOM)"), ("min-replicas-to-write", "1", "(NOREPLICAS)")])
    func writes(_ setting: (name: String, value: String, word: String)) throws {
        let clients = try ["alice", "bob"].enumerated().map {
            try self.nodes[$0.offset].connect($0.element)
        }
        for (number, client) in clients.enumerated() { try client.post("before \(number)") }
        try self.redis.execute("CONFIG", "SET", setting.name, setting.value)
        for (number, client) in clients.enumerated() {
            // The outcome is unknown if an attempt has no answer for a second.
            let failed = try Deadline.wait(for: "a refusal") { () -> JSONObject? in
                try client.sendMessage("meanwhile", as: "m\(number)")
                let failed = try client.next("message.failed")
                return failed["outcome"] == "refused" ? failed : nil
            }
            #expect(
                failed["error"]
                    == "this could not be stored, because the store accepts no writes; "
                    + "try again"
            )
        }
        try self.waitForHealth(503)
        for node in self.nodes {
            try Deadline.wait(
                for: "health to name it",
                untilTrue: {
                    try JSONObject(node.health().body)["reason"]?.contains(setting.word) == true
                })
            try node.process.errors.line("what is refused") {
                $0.contains("cluster state not stored") && $0.contains(setting.word)
            }
        }
        try self.awaitOverdueHeartbeats()

        try self.redis.execute("CONFIG", "SET", setting.name, "0")
        try self.waitForHealth(200)
        for (number, client) in clients.enumerated() { try client.post("after \(number)") }
        #expect(
            try clients[0].wholeHistory().map { $0["content"] ?? "" } == [
                "before 0", "before 1", "after 0", "after 1",
            ])
        #expect(try !self.redis.execute("XRANGE", "confab:{c}:events", "-", "+").contains("dies"))
    }

    @Test("all writes because it is a replica refuses every send, however many are in flight")
    func replica() throws {
        let clients = try ["alice", "bob"].enumerated().map {
            try self.nodes[$0.offset].connect($0.element)
        }
        for (number, client) in clients.enumerated() { try client.post("before \(number)") }
        try self.redis.execute("REPLICAOF", "127.0.0.1", "1")
        for (number, client) in clients.enumerated() {
            for send in 1...4 { try client.sendMessage("meanwhile", as: "m\(number)-\(send)") }
        }
        for client in clients {
            for _ in 1...4 { #expect(try client.next("message.failed")["outcome"] == "refused") }
        }
        try self.redis.execute("REPLICAOF", "NO", "ONE")
        for (number, client) in clients.enumerated() {
            try Deadline.wait(for: "a stored message") {
                (try? client.post("after \(number)")).map { _ in }
            }
        }
        #expect(try !clients[0].wholeHistory().contains { $0["content"] == "meanwhile" })
    }

    @Test("the view's key is logged, and messages continue")
    func foreignViewKey() throws {
        try self.redis.execute("DEL", "confab:{c}:view")
        try self.redis.execute("SET", "confab:{c}:view", "somebody else's")
        for node in self.nodes {
            try node.process.errors.line("what is refused") {
                $0.contains("cluster state not stored") && $0.contains("WRONGTYPE")
            }
        }
        for node in self.nodes { try node.connect("alice").post("still there") }
        try self.redis.execute("DEL", "confab:{c}:view")
        try self.nodes[0].awaitShardBalance(of: 2)
    }

    @Test(
        "the view's key and loses it gets the view again, and shards can still move"
    )
    func deletedViewKey() throws {
        try self.redis.execute("DEL", "confab:{c}:view")
        try Deadline.wait(
            for: "the view to be stored",
            untilTrue: { try self.redis.execute("HGET", "confab:{c}:view", "number") != "" })
        #expect(try self.nodes[1].stop() == .exited(0))
        try self.nodes[0].awaitShardBalance(of: 1)
        #expect(try !self.redis.execute("XRANGE", "confab:{c}:events", "-", "+").contains("dies"))
    }

    @Test("the view's key and loses it during a move does not stop the move")
    func viewKeyDeletedDuringMove() throws {
        // A third of the shards moves to it in steps, which take more than a second.
        let third = try ConfabServer(["--store", self.redis.url, "--node-id", "n3"])
        try self.redis.execute("DEL", "confab:{c}:view")
        try third.awaitShardBalance(of: 3)
    }
}
