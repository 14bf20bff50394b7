import Foundation
import TestKit
import TestTraits
import Testing

@Suite(
    "A Redis user with the permissions in docs/operating/redis.md",
    .programs, .serialized, .ownThread)
struct RedisUserTests {
    /// The rule `ACL SETUSER …` in docs/operating/redis.md.
    private static var rule: [String] {
        get throws {
            let page = try String(
                contentsOfFile: Checkout.file("docs/operating/redis.md"), encoding: .utf8)
            let line = try #require(
                page.split(separator: "\n").first { $0.hasPrefix("ACL SETUSER ") })
            return line.split(separator: " ").dropFirst(2).map {
                $0 == ">PASSWORD" ? ">secret word" : String($0)
            }
        }
    }

    /// A permission that is removed from the rule, and the words that the log must contain.
    struct MissingPermission: Sendable, CustomTestStringConvertible {
        let name: String
        /// Words appended to the rule.
        let ruleChanges: [String]
        let expectedWords: [String]
        var testDescription: String { self.name }
    }

    private static let missingPermissions = [
        MissingPermission(
            name: "channels", ruleChanges: ["resetchannels"],
            expectedWords: ["permission", "SUBSCRIBE on the channels confab:*", ":mail"]),
        MissingPermission(
            name: "other channels", ruleChanges: ["resetchannels", "&other:*"],
            expectedWords: ["SUBSCRIBE on the channels confab:*"]),
        MissingPermission(
            name: "subscribe", ruleChanges: ["-subscribe"],
            expectedWords: ["permission", "SUBSCRIBE on the channels confab:*"]),
        MissingPermission(
            name: "publish", ruleChanges: ["-publish"],
            expectedWords: ["permission", "needs PUBLISH on the channels confab:*"]),
        MissingPermission(
            name: "keys", ruleChanges: ["resetkeys", "~other:*"],
            expectedWords: ["permission", "on the keys confab:*", "EVALSHA"]),
        MissingPermission(
            name: "evalsha", ruleChanges: ["-evalsha"],
            expectedWords: ["evalsha", "on the keys confab:*"]),
        MissingPermission(
            name: "script", ruleChanges: ["-script"], expectedWords: ["permission", "script"]),
        MissingPermission(
            name: "writes", ruleChanges: ["-@write"],
            expectedWords: ["permission", "groups read and write"]),
    ]

    private let folder: TemporaryFolder

    init() throws { self.folder = try TemporaryFolder() }

    private func node(_ url: String, _ more: [String] = []) throws -> ChildProcess {
        let secret = try self.folder.write(ConfabServer.secret, to: "jwt.secret")
        return try ChildProcess(
            Checkout.confab,
            [
                "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--admin-token",
                "off", "--jwt-secret-file",
                secret, "--store", url,
            ] + more,
            folder: self.folder.path)
    }

    @Test(
        "waits with a log line that names a missing permission, and starts with it",
        arguments: TestRun.isLong
            ? Self.missingPermissions : Array(Self.missingPermissions.prefix(1)))
    func missingPermission(_ missing: MissingPermission) throws {
        let redis = try RedisServer()
        try redis.execute(["ACL", "SETUSER"] + Self.rule + missing.ruleChanges)
        let node = try self.node("redis://confab:secret%20word@127.0.0.1:\(redis.port)")
        defer { node.kill() }
        // The first line may be logged before the attempt has failed.
        let line = try node.errors.line("the reason") { line in
            line.contains("waiting for redis") && missing.expectedWords.allSatisfy(line.contains)
        }
        #expect(!line.contains("not let the node in"), "\(line)")
        try redis.execute(["ACL", "SETUSER"] + Self.rule)
        try node.errors.line(with: "confab ready on ")
    }

    @Test("reports lost channel permissions in its health, and recovers", .long)
    func losesChannels() throws {
        let redis = try RedisServer()
        try redis.execute(["ACL", "SETUSER"] + Self.rule)
        let node = try ConfabServer([
            "--store", "redis://confab:secret%20word@127.0.0.1:\(redis.port)",
        ])
        try redis.execute(["ACL", "SETUSER"] + Self.rule + ["resetchannels"])
        try Deadline.wait(
            for: "health to name it",
            untilTrue: {
                try JSONObject(node.health().body)["reason"]?.contains("on the channels confab:*")
                    == true
            })
        try redis.execute(["ACL", "SETUSER"] + Self.rule)
        try node.awaitHealthy()
    }

    @Test("is logged if its name, password or database is wrong", .long)
    func wrongURL() throws {
        let redis = try RedisServer()
        try redis.execute(["ACL", "SETUSER"] + Self.rule)
        try redis.execute("CONFIG", "SET", "requirepass", "right")
        let cases = [
            ("redis://127.0.0.1:\(redis.port)", "NOAUTH"),
            ("redis://:wrong@127.0.0.1:\(redis.port)", "WRONGPASS"),
            ("redis://nobody:wrong@127.0.0.1:\(redis.port)", "WRONGPASS"),
            ("redis://:right@127.0.0.1:\(redis.port)/99", "database 99"),
        ]
        for (url, word) in cases {
            let node = try self.node(url)
            defer { node.kill() }
            try node.errors.line("the reason") {
                $0.contains("waiting for redis") && $0.contains(word)
            }
        }
    }

    @Test("is logged if TLS is used on a plain port, or the reverse", .long)
    func wrongTLS() throws {
        let certificates = try TestCertificates()
        let plain = try RedisServer()
        let secure = try RedisServer(certificates: certificates)
        let cases = [
            ("rediss://127.0.0.1:\(plain.port)", "did not answer with TLS"),
            ("redis://127.0.0.1:\(secure.port)", "TLS"),
            ("rediss+sentinel://127.0.0.1:\(plain.port)/m", "did not answer with TLS"),
            ("redis+cluster://127.0.0.1:\(secure.port)", "TLS"),
        ]
        for (url, word) in cases {
            let node = try self.node(url, ["--redis-ca-file", certificates.authority])
            defer { node.kill() }
            // The first line may be logged before the attempt has failed.
            let line = try node.errors.line("the reason") {
                $0.contains("waiting for redis") && $0.contains(word)
            }
            #expect(line.contains("instead of redis"), "\(line)")
        }
    }

    @Test(
        "suffices for nodes, all protocols and operators, in its own database"
    )
    func documentedRuleSuffices() throws {
        let redis = try RedisServer()
        let rule = try Self.rule
        try redis.execute(["ACL", "SETUSER"] + rule)
        // No other user has permissions.
        let url = "redis://confab:secret%20word@127.0.0.1:\(redis.port)/3"
        let nodes = try (1...2).map { number in
            try ConfabServer(["--store", url, "--node-id", "n\(number)", "--anonymous", "on"])
        }
        try nodes[0].awaitShardBalance(of: 2)
        let alice = try nodes[0].connect("alice")
        let bob = try nodes[1].connect("bob")
        try bob.post("here")
        try alice.post("one", as: "a1")
        try alice.send(#"{"action":"edit_message","message_id":"2","content":"two"}"#)
        _ = try bob.next("message.edited")
        #expect(try bob.wholeHistory().map { $0["content"] } == ["here", "two"])
        let chats = try RawWebSocketClient("/ws/chats/?username=carol", port: nodes[1].port)
        try chats.send(#"{"type":"createEmptyChat","data":{"title":"of carol"}}"#)
        try chats.send(#"{"type":"getChats","data":{}}"#)
        while case .text(let text) = try chats.next(), !text.contains("chatsList") {}
        let created = try HTTPReply.post(
            "/api/conversations/create", #"{"title":"room","user_id":"dora"}"#, port: nodes[0].port)
        #expect(created.status == 201, "\(created.body)")
        #expect(try HTTPReply.get("/api/conversations", port: nodes[1].port).status == 200)
        for verb in ["status", "nodes", "shards", "redis", "events"] {
            #expect(
                try HTTPReply.get("/api/cluster/\(verb)", port: nodes[0].adminPort).status == 200,
                "\(verb)")
        }
        #expect(try nodes[1].stop() == .exited(0))
        try alice.post("three")
        try nodes[0].awaitHealthy()

        #expect(try redis.execute("ACL", "LOG") == "")
        #expect(try redis.execute("DBSIZE") == "0")
        #expect(try Int(redis.execute("-n", "3", "DBSIZE")) ?? 0 > 5)
    }
}
