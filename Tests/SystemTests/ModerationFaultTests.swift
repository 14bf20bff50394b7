import Glibc
import TestKit
import TestTraits
import Testing

/// Two nodes, each with a connection to one Redis through a proxy of its own, that break while an
/// operator bans a user.
@Suite("A ban, while a part of the cluster fails,", .long, .programs, .serialized, .ownThread)
struct ModerationFaultTests {
    private let redis: RedisServer
    private let proxies: [FaultProxy]
    private let nodes: [ConfabServer]

    init() throws {
        let redis = try RedisServer(["--appendonly", "yes", "--appendfsync", "always"])
        let proxies = try (0..<2).map { _ in try FaultProxy(to: redis.port) }
        self.redis = redis
        self.proxies = proxies
        self.nodes = try proxies.enumerated().map { number, proxy in
            try ConfabServer([
                "--store", "redis://127.0.0.1:\(proxy.port)", "--node-id", "n\(number + 1)",
            ])
        }
        try self.nodes[0].awaitShardBalance(of: 2)
    }

    /// Waits until the server closes the connection because of the ban.
    private static func expectBan(of client: ConversationClient) throws {
        guard case .close(let code, let reason) = try client.closeEvent() else {
            throw TestFailure("the connection ended without the reason")
        }
        #expect(code == 4004 && reason == "You are banned. Spam.")
    }

    private func isStored(_ user: String) throws -> Bool {
        try self.redis.execute("HEXISTS", "confab:{c}:bans", "default:\(user)") == "1"
    }

    private func connectToBoth(_ user: String) throws -> [ConversationClient] {
        try self.nodes.map {
            let client = try $0.connect(user)
            try client.synchronize()
            return client
        }
    }

    /// Bans ann at the first node, whose Redis receives its commands but whose answers are delayed,
    /// and waits until the ban is stored.
    private func banWithoutAnswer() throws -> ChildProcess {
        while true {
            self.proxies[0].set(.stalled(.toClient))
            let command = try ChildProcess(
                Checkout.confab, ["ban", "--user", "ann", "--reason", "Spam.", "--yes"],
                environment: ["CONFAB_ADMIN_URL": "http://127.0.0.1:\(self.nodes[0].adminPort)"])
            let isStored = try Deadline.wait(for: "the ban in Redis") {
                try self.isStored("ann") ? true : command.isRunning ? nil : false
            }
            if isStored { return command }
            // A node closes a connection to Redis that is silent for two seconds. The command was
            // too late for this one.
            self.proxies[0].set(.normal)
            try self.nodes[0].awaitHealthy()
        }
    }

    @Test("is enforced by every node after Redis died between storing and announcing it")
    func deadRedis() throws {
        let ann = try self.connectToBoth("ann")
        let command = try self.banWithoutAnswer()
        try self.redis.crash()
        self.proxies[0].set(.reset)
        self.proxies[0].set(.normal)
        #expect(try command.waitForExit() == .exited(3))
        #expect(
            command.errors.text.hasPrefix("confab: The ban may be stored: "),
            "\(command.errors.text)")
        #expect(command.errors.text.contains("Repeat the command."))
        try self.redis.restart()
        for client in ann { try Self.expectBan(of: client) }
        for node in self.nodes { try Self.expectBan(of: node.connect("ann")) }
        try Deadline.wait(for: "the repeated command to succeed") {
            let again = try confab(
                "ban", "--user", "ann", "--reason", "Spam.", "--yes", at: self.nodes[0].adminPort)
            return again.status == 0
        }
    }

    @Test("is enforced by the other nodes after the asked node died before announcing it")
    func deadNode() throws {
        let ann = try self.connectToBoth("ann")
        let command = try self.banWithoutAnswer()
        try self.nodes[0].crash()
        #expect(try command.waitForExit() == .exited(3))
        // A node that notices the silence before it dies answers with the second sentence.
        #expect(
            [
                "The change may have been made; check before you repeat the command",
                "The ban may be stored: ",
            ].contains { command.errors.text.contains($0) }, "\(command.errors.text)")
        try Self.expectBan(of: ann[1])
        try Self.expectBan(of: self.nodes[1].connect("ann"))
        let listed = try confab("bans", "--output", "json", at: self.nodes[1].adminPort)
        #expect(try listed.rows("bans").map { $0["user"] } == ["ann"])
    }

    /// Some nodes send commands and get their answers, but their subscriptions deliver nothing: not
    /// even an end of the connection.
    @Test(
        "takes effect on nodes that only Pub/Sub cannot reach, and status names the cause",
        arguments: [[1], [0, 1]])
    func pubSubPartition(of cutOff: [Int]) throws {
        let (first, second) = (self.nodes[0].adminPort, self.nodes[1].adminPort)
        let clients = try ["ann", "bob"].map { try self.connectToBoth($0) }
        for node in cutOff { self.proxies[node].set(.halfOpen(.toClient), for: .subscriptions) }
        for (index, port) in [first, second].enumerated() {
            let cause =
                cutOff.contains(index)
                ? "answers, but its Pub/Sub delivers nothing to n\(index + 1)"
                : "! n2: cluster: the node receives no messages from Redis Pub/Sub"
            try Deadline.wait(
                for: cause, untilTrue: { try confab("status", at: port).output.contains(cause) })
        }
        // First the asked node does not reach the other one, and then the other way round. A node
        // that is asked reads all bans, so the first ban must be enforced before the second.
        for (index, (user, port)) in [("ann", first), ("bob", second)].enumerated() {
            let ban = try confab("ban", "--user", user, "--reason", "Spam.", "--yes", at: port)
            #expect(ban.status == 3 && ban.output.contains("1 of 2 nodes answered"), "\(ban)")
            #expect(ban.output.contains("banned \(user) from tenant default"))
            for client in clients[index] { try Self.expectBan(of: client) }
        }
        for node in self.nodes { try Self.expectBan(of: node.connect("ann")) }
        for port in [first, second] {
            let events = try confab("events", "--type", "ban", "--output", "json", at: port)
            #expect(
                try events.rows("events").map { $0["detail"]?.prefix(3) } == ["ann", "bob"],
                "\(events)")
        }
        for node in cutOff { self.proxies[node].set(.normal) }
        for port in [first, second] {
            try Deadline.wait(
                for: "the end of the problem",
                untilTrue: { try confab("status", at: port).output.hasSuffix("No problems.") })
        }
        let events = try confab("events", "--output", "json", "--last", "1000", at: first)
        let kinds = try events.rows("events").compactMap { $0["event"] }
        #expect(!kinds.contains("dies"), "\(kinds)")
        #expect(kinds.count { $0 == "rebuild" } == cutOff.count, "\(kinds)")
        let unban = try confab("unban", "--user", "ann", "--yes", at: first)
        #expect(unban.status == 0, "\(unban)")
        try self.nodes[1].connect("ann").post("back")
    }
}
