import Foundation
import Glibc
import TestKit
import TestTraits
import Testing

/// Faults are planted in Redis with redis-cli.
@Suite("Faults of stored conversations", .long, .programs, .serialized, .ownThread)
struct RepairCommandTests {
    private let redis: RedisServer
    private let nodes: [ConfabServer]

    init() throws {
        let redis = try RedisServer(["--appendonly", "yes", "--appendfsync", "always"])
        self.redis = redis
        self.nodes = try ["n1", "n2", "n3"].map {
            try ConfabServer(["--store", redis.url, "--node-id", $0])
        }
        try self.nodes[0].awaitShardBalance(of: 3)
    }

    private var port: UInt16 { self.nodes[0].adminPort }

    /// The conversation's key of this kind.
    private func key(_ kind: String, of conversation: String) throws -> String {
        let owner = try confab("owner", conversation, "--output", "json", at: self.port).document
        return "confab:{s\(Int(try #require(owner.number("shard"))))}:\(kind):default:"
            + conversation
    }

    /// Creates a conversation with three messages, and resets its record to the first one.
    private func plantOldRecord(in conversation: String) throws {
        let alice = try self.nodes[0].connect("alice", to: conversation)
        try alice.post("one")
        let key = try self.key("conv", of: conversation)
        let old = try self.redis.execute("HGET", key, "at")
        try alice.post("two")
        try alice.post("three")
        try self.redis.execute("HSET", key, "at", old)
    }

    private func verifyAll(_ arguments: String..., at port: UInt16? = nil) throws -> CommandResult {
        try confab(
            ["verify", "--all", "--output", "json"] + arguments, at: port ?? self.port)
    }

    @Test("are found by verify --all, and repaired if that is safe")
    func repair() throws {
        #expect(try self.verifyAll().document.number("conversations") == 0)
        for number in 1...4 {
            try self.nodes[number % 3].connect("bob", to: "room\(number)").post("x")
        }
        let whole = try self.verifyAll()
        #expect(try whole.status == 0 && whole.document.number("conversations") == 4)

        try self.plantOldRecord(in: "behind")
        let carol = try self.nodes[1].connect("carol", to: "hole")
        for number in 1...3 { try carol.post("\(number)") }
        try self.redis.execute("XDEL", self.key("log", of: "hole"), "2-0")
        try self.redis.execute(
            "ZREM", "confab:{u:default:carol}:convs", "hole")
        let found = try self.verifyAll()
        #expect(found.status == 1)
        let faults = try found.rows("faults")
        #expect(Set(faults.map { $0["conversation"] }) == ["behind", "hole"], "\(faults)")
        #expect(try confab("verify", "behind", at: self.port).status == 1)

        let plan = try confab("repair", "behind", "--dry-run", at: self.nodes[2].adminPort)
        #expect(plan.output == "would repair 1 fault of behind", "\(plan)")
        let planned = try self.verifyAll("--repair", "--dry-run")
        #expect(planned.status == 1)
        #expect(
            try planned.rows("faults").filter { $0["outcome"] == "repairable" }.count == 2)
        #expect(try self.verifyAll("--repair").status == 2)

        let repaired = try self.verifyAll("--repair", "--yes", at: self.nodes[1].adminPort)
        #expect(repaired.status == 1)
        let outcomes = try repaired.rows("faults")
        #expect(outcomes.filter { $0["outcome"] == "repaired" }.count == 2, "\(outcomes)")
        #expect(
            outcomes.filter { $0["outcome"] == "remains" }.allSatisfy {
                $0["conversation"] == "hole"
            })
        #expect(try confab("verify", "behind", at: self.port).status == 0)
        let alice = try self.nodes[2].connect("alice", to: "behind")
        try alice.post("four")
        #expect(
            try alice.wholeHistory().map { $0["content"] } == ["one", "two", "three", "four"])
        let events = try confab("events", "--output", "json", at: self.port).rows("events")
        #expect(events.contains { $0["event"] == "repair" && $0["operator"] == "127.0.0.1" })
        #expect(
            try confab("repair", "nowhere", "--yes", at: self.port).errors
                == "confab: There is no conversation nowhere in tenant default.")
    }

    @Test("are repaired once by two repairs at the same time, and despite the death of an owner")
    func deaths() throws {
        let names = (1...12).map { "room\($0)" }
        for name in names { try self.plantOldRecord(in: name) }
        let repairs = try self.nodes.prefix(2).map { node in
            try ChildProcess(
                Checkout.confab,
                [
                    "verify", "--all", "--repair", "--yes", "--output", "json", "--admin",
                    "http://127.0.0.1:\(node.adminPort)",
                ])
        }
        try self.nodes[2].crash()
        for repair in repairs { _ = try repair.waitForExit() }
        // The next owners of the killed node's shards repair what it could not.
        try Deadline.wait(for: "all conversations to be repaired") {
            try self.verifyAll("--repair", "--yes").status == 0
        }
        #expect(try self.verifyAll().status == 0)
        for name in names {
            let history = try confab("history", name, "--output", "json", at: self.port)
                .rows("messages")
            #expect(history.map { $0["content"] } == ["one", "two", "three"], "\(name)")
        }
    }

    @Test("are not overlooked if Redis dies during verify --all")
    func redisDies() throws {
        for number in 1...70 { try self.nodes[0].connect("bob", to: "room\(number)").post("x") }
        let slow = ["verify", "--all", "--rate", "5", "--output", "json"]
        func start() throws -> ChildProcess {
            let command = try ChildProcess(
                Checkout.confab, slow + ["--admin", "http://127.0.0.1:\(self.port)"])
            try command.errors.line(with: "conversations, ")
            return command
        }
        let unfinished = try start()
        try self.redis.crash()
        #expect(try unfinished.waitForExit(within: .seconds(60)) == .exited(3))
        #expect(try unfinished.errors.wholeText().contains("not finished, after "))
        try self.redis.restart()
        try self.nodes[0].awaitHealthy()

        let resumed = try start()
        try self.redis.crash()
        try resumed.errors.line(with: "waiting: ")
        try self.redis.restart()
        #expect(try resumed.waitForExit(within: .seconds(60)) == .exited(0))
        let document = try JSONObject(resumed.output.wholeText())
        #expect(document.number("conversations") ?? 0 >= 70)
    }

    @Test("of Redis' settings are failures of confab doctor on every node")
    func doctor() throws {
        func rows(_ check: String) throws -> [JSONObject] {
            try confab("doctor", "--output", "json", at: self.port).rows("checks").filter {
                $0["check"] == check
            }
        }
        #expect(try rows("redis-eviction").map { $0["result"] } == ["ok", "ok", "ok"])
        #expect(Set(try rows("redis-commands").map { $0["node"] }) == ["n1", "n2", "n3"])
        #expect(try rows("redis-commands").allSatisfy { $0["result"] == "ok" })
        #expect(try rows("redis-persistence").allSatisfy { $0["result"] == "ok" })
        #expect(try rows("clock-nodes").count == 3)
        try self.redis.execute("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        let failed = try confab("doctor", at: self.port)
        #expect(failed.status == 1)
        for name in ["n1", "n2", "n3"] {
            #expect(failed.output.contains("! \(name), redis-eviction: maxmemory-policy of Redis"))
        }
        try self.redis.execute("CONFIG", "SET", "maxmemory-policy", "noeviction")
        try self.redis.execute("CONFIG", "SET", "maxmemory", "1")
        // A full Redis rejects the trial's writes.
        #expect(try rows("redis-memory").allSatisfy { $0["result"] == "failed" })
        try self.redis.execute("CONFIG", "SET", "maxmemory", "0")
        try self.nodes[2].crash()
        let missing = try confab("doctor", at: self.port)
        #expect(missing.status == 1 || missing.status == 3)
        #expect(missing.output.contains("2 of 3 nodes answered") || missing.output.contains("n3"))
    }
}

/// As the first test above, with one node and thus one owner.
@Suite("A fault of a conversation at a single node", .programs, .ownThread)
struct RepairOfOneNodeTests {
    @Test("is found by verify --all, and repaired")
    func repair() throws {
        let redis = try RedisServer()
        let node = try ConfabServer(["--store", redis.url, "--node-id", "n1"])
        let port = node.adminPort
        let alice = try node.connect("alice")
        try alice.post("one")
        let owner = try confab("owner", "lobby", "--output", "json", at: port).document
        let shard = Int(try #require(owner.number("shard")))
        let key = "confab:{s\(shard)}:conv:default:lobby"
        let old = try redis.execute("HGET", key, "at")
        try alice.post("two")
        try redis.execute("HSET", key, "at", old)

        let found = try confab("verify", "--all", "--output", "json", at: port)
        #expect(found.status == 1)
        #expect(try Set(found.rows("faults").map { $0["conversation"] }) == ["lobby"], "\(found)")
        let plan = try confab("repair", "lobby", "--dry-run", at: port)
        #expect(plan.output == "would repair 1 fault of lobby", "\(plan)")
        let repaired = try confab("repair", "lobby", "--yes", at: port)
        #expect(repaired.status == 0, "\(repaired)")
        #expect(try confab("verify", "lobby", at: port).status == 0)
        let bob = try node.connect("bob")
        try bob.post("three")
        #expect(try bob.wholeHistory().map { $0["content"] } == ["one", "two", "three"])
    }
}
