import Foundation
import TestKit
import Testing

@Suite("A user of Redis that may do what docs/operating.md lists", .serialized)
struct RedisUserTests {
    /// `ACL SETUSER …`, as the page has it.
    private static var rule: [String] {
        get throws {
            let page = try String(
                contentsOfFile: Checkout.file("docs/operating.md"), encoding: .utf8)
            let line = try #require(
                page.split(separator: "\n").first { $0.hasPrefix("ACL SETUSER ") })
            return line.split(separator: " ").dropFirst(2).map {
                $0 == ">PASSWORD" ? ">secret word" : String($0)
            }
        }
    }

    /// A permission that is taken away from the rule, and what the log must say.
    struct MissingPermission: Sendable, CustomTestStringConvertible {
        let name: String
        /// Words behind those of the rule.
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
                "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--jwt-secret-file",
                secret, "--store", url,
            ] + more,
            folder: self.folder.path)
    }

    @Test(
        "and lacks one of these permissions is told which, for which command, and gets in when it has it",
        arguments: Self.missingPermissions)
    func missingPermission(_ lack: MissingPermission) throws {
        let redis = try RedisServer()
        try redis.execute(["ACL", "SETUSER"] + Self.rule + lack.ruleChanges)
        let node = try self.node("redis://confab:secret%20word@127.0.0.1:\(redis.port)")
        defer { node.kill() }
        let line = try node.errors.line(with: "waiting for redis")
        for word in lack.expectedWords { #expect(line.contains(word), "\(line)") }
        #expect(!line.contains("not let the node in"), "\(line)")
        try redis.execute(["ACL", "SETUSER"] + Self.rule)
        try node.errors.line(with: "confab ready on ")
    }

    @Test("and loses its channels while the node runs: health names that, and heals")
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
        try Deadline.wait(for: "health to be good", untilTrue: { try node.health().status == 200 })
    }

    @Test("is not there, has another password or no database: the log says which")
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
            let line = try node.errors.line(with: "waiting for redis")
            #expect(line.contains(word), "\(line)")
        }
    }

    @Test("and a URL with TLS for a plain port, or the other way round, is told that")
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
            // The first line may come before the attempt has ended.
            let line = try node.errors.line("the reason") {
                $0.contains("waiting for redis") && $0.contains(word)
            }
            #expect(line.contains("begins with redis"), "\(line)")
        }
    }

    @Test(
        "is enough for nodes, for what all protocols ask and for what operators do, in a database of its own"
    )
    func documentedRuleSuffices() throws {
        let redis = try RedisServer()
        let rule = try Self.rule
        try redis.execute(["ACL", "SETUSER"] + rule)
        // Nobody else may do anything.
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
        let made = try HTTPReply.post(
            "/api/conversations/create", #"{"title":"room","user_id":"dora"}"#, port: nodes[0].port)
        #expect(made.status == 201, "\(made.body)")
        #expect(try HTTPReply.get("/api/conversations", port: nodes[1].port).status == 200)
        for verb in ["status", "nodes", "shards", "redis", "events"] {
            #expect(
                try HTTPReply.get("/api/cluster/\(verb)", port: nodes[0].adminPort).status == 200,
                "\(verb)")
        }
        #expect(try nodes[1].stop() == .exited(0))
        try alice.post("three")
        try Deadline.wait(
            for: "health to be good", untilTrue: { try nodes[0].health().status == 200 })

        #expect(try redis.execute("ACL", "LOG") == "")
        #expect(try redis.execute("DBSIZE") == "0")
        #expect(try Int(redis.execute("-n", "3", "DBSIZE")) ?? 0 > 5)
    }
}
