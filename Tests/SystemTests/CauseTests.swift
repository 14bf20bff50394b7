import Foundation
import Glibc
import TestKit
import TestTraits
import Testing

/// Three nodes and a real Redis, one part of which fails: operator commands name that part.
@Suite("confab status names the cause", .long, .programs, .serialized, .ownThread)
struct CauseTests {
    private let cluster: LocalCluster

    init() throws {
        self.cluster = try LocalCluster(["3"])
        try self.cluster.awaitHealth()
    }

    private var redis: LocalCluster.ServiceProcess {
        get throws { try #require(self.cluster.services.first { $0.name == "redis" }) }
    }

    private func port(_ node: Int) throws -> UInt16 {
        try #require(self.cluster.nodes[node].adminPort)
    }

    /// Waits until `status` at a node shows this text, and returns that result.
    private func status(at node: Int = 0, showing text: String) throws -> CommandResult {
        let port = try self.port(node)
        var last = CommandResult(status: 0, output: "", errors: "")
        do {
            return try Deadline.wait(for: "a status with \(text)") {
                last = try confab("status", at: port)
                return last.output.contains(text) ? last : nil
            }
        } catch {
            throw TestFailure("\(error)\n\(last.output)\(last.errors)")
        }
    }

    /// The events of a node's membership, without its moves and outages.
    private func incidents(of node: String) throws -> [String] {
        try self.events("--node", node).compactMap { $0["event"] }.filter {
            ["joins", "leaves", "dies"].contains($0)
        }
    }

    private func events(_ arguments: String...) throws -> [JSONObject] {
        try confab(
            ["events", "--last", "1000", "--output", "json"] + arguments, at: self.port(0)
        ).rows("events")
    }

    @Test("if Redis is frozen, at every node and without blaming a living one")
    func frozenRedis() throws {
        let redis = try self.redis
        let start = ContinuousClock.now
        try ChildProcess.freeze(redis.process)
        defer { kill(redis.process, SIGCONT) }
        for node in 0..<3 {
            let status = try self.status(
                at: node, showing: "! Redis at 127.0.0.1:\(redis.port) has not answered for ")
            #expect(status.status == 3)
            #expect(status.output.hasSuffix("Redis did not answer"), "\(status.output)")
            #expect(status.output.contains("sends are refused"))
            #expect(status.output.split(separator: "\n").count { $0.hasPrefix("! ") } == 1)
        }
        let nodes = try confab("nodes", "--output", "json", at: self.port(1))
        #expect(nodes.status == 3)
        #expect(try nodes.rows("nodes").map { $0["state"] } == ["active", "active", "active"])
        #expect(try nodes.document.number("nodes_answered") == 3)
        #expect(try nodes.document.bool("redis_up") == false)
        let rows = try confab("redis", "--output", "json", at: self.port(2)).rows("redis")
        #expect(rows.count == 3 && rows.allSatisfy { $0["failure"] != nil })

        kill(redis.process, SIGCONT)
        let silence = ContinuousClock.now - start
        try self.cluster.awaitHealth()
        // A busy machine may cause a shorter outage before or after this one.
        let outages = try self.events("--type", "outage").filter {
            let time = $0["detail"]?.firstMatch(of: /did not answer for ([0-9.]+) s/)
            return Duration.seconds(time.flatMap { Double($0.1) } ?? 0) > silence - .seconds(2)
        }
        #expect(outages.count == 1, "\(outages)")
        #expect(try self.events("--type", "dies").isEmpty)
    }

    @Test("if Redis is killed, and records the outage once")
    func killedRedis() throws {
        let redis = try self.redis
        // The script must not restart Redis before the status has named the cause.
        try self.cluster.script.freeze()
        defer { self.cluster.script.send(SIGCONT) }
        kill(redis.process, SIGKILL)
        let status = try self.status(
            showing: "Cause: 127.0.0.1:\(redis.port) refuses the connection: no Redis listens")
        #expect(status.status == 3)
        #expect(!status.output.contains("does not answer"), "\(status.output)")
        self.cluster.script.send(SIGCONT)
        try self.cluster.awaitHealth()
        let outages = try self.events("--type", "outage").filter {
            $0["detail"]?.contains("refuses the connection") == true
        }
        #expect(outages.count == 1, "\(outages)")
    }

    @Test("if a node is frozen: what it is and what happens next")
    func frozenNode() throws {
        let frozen = self.cluster.nodes[2]
        try ChildProcess.freeze(frozen.process)
        defer { kill(frozen.process, SIGCONT) }
        let status = try self.status(showing: "! n3 ")
        #expect(status.status == 3 && status.output.hasSuffix("2 of 3 nodes answered"))
        let gone = try self.status(showing: "! n3 has been gone for ")
        #expect(gone.status == 3)
        #expect(gone.output.contains("the other nodes took over its shards"))
        let redisPort = try self.redis.port
        #expect(gone.output.contains("REDIS          127.0.0.1:\(redisPort) answers\n"))

        kill(frozen.process, SIGCONT)
        try self.cluster.awaitHealth()
        #expect(try self.incidents(of: "n3").suffix(2) == ["dies", "joins"])
        let events = try self.events("--node", "n3", "--since", "1h")
        #expect(!events.isEmpty && events.allSatisfy { $0["node"] == "n3" }, "\(events)")
    }

    @Test("if the node that is asked first is frozen, from another one")
    func frozenAskedNode() throws {
        let frozen = self.cluster.nodes[0]
        try ChildProcess.freeze(frozen.process)
        defer { kill(frozen.process, SIGCONT) }
        let urls = try (0..<3).map { "http://127.0.0.1:\(try self.port($0))" }
        let result = try run(
            Checkout.confab, ["status"],
            environment: ["CONFAB_ADMIN_URL": urls.joined(separator: ",")])
        #expect(result.exitStatus == .exited(3))
        #expect(result.output.contains("! n1 "), "\(result.output)\(result.errors)")
        #expect(result.output.hasSuffix("2 of 3 nodes answered"))
    }

    @Test("of a kill as one event, of a restart as a stop and a start, and of moves as one row")
    func incidents() throws {
        kill(self.cluster.nodes[1].process, SIGKILL)
        try self.cluster.awaitRestart(of: self.cluster.nodes[1])
        kill(self.cluster.nodes[2].process, SIGTERM)
        try self.cluster.awaitRestart(of: self.cluster.nodes[2])
        try self.cluster.awaitHealth()
        #expect(try self.incidents(of: "n2") == ["joins", "dies", "joins"])
        #expect(try self.incidents(of: "n3") == ["joins", "leaves", "joins"])
        let all = try self.events()
        let moves = all.filter { $0["event"] == "moves" }
        #expect(moves.count <= all.count { $0["event"] == "joins" }, "\(all)")
        let detail = try #require(moves.last?["detail"])
        #expect(
            detail.wholeMatch(of: /[0-9]+ shards moved: ([0-9]+ from n[12] to n3(, )?)+/) != nil,
            "\(detail)")
        #expect(all.allSatisfy { ["n1", "n2", "n3"].contains($0["node"]) })
    }

    @Test("and the node at the admin address rejects questions of strangers")
    func strangers() throws {
        let port = try self.port(0)
        #expect(try HTTPReply.get("/api/node", port: port).status == 405)
        let posted = try run(
            "/usr/bin/curl",
            [
                "--silent", "--output", "/dev/null", "--write-out", "%{http_code}",
                "--data-binary", "M\u{1}" + String(repeating: "x", count: 60),
                "http://127.0.0.1:\(port)/api/node",
            ])
        #expect(posted.output == "403")
    }
}
