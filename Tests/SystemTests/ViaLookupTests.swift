import Glibc
import TestKit
import TestTraits
import Testing

/// Conversations, users and bans, read from Redis after all nodes were killed.
@Suite("Lookups with --via", .long, .programs, .ownThread)
struct ViaLookupTests {
    private static let keysOfNodes: Set = [
        "in_memory", "unstored", "msg_s", "present", "presence", "online", "connections", "count",
    ]

    private static func read(_ arguments: String..., at url: String) throws -> CommandResult {
        // No node listens at this admin address.
        try confab(arguments + ["--via", url, "--output", "json"], at: freePort())
    }

    /// Two members that have sent and read messages, and bans of other users.
    private static func fill(_ nodes: [ConfabServer]) throws {
        let alice = try nodes[0].connect("alice")
        let bob = try nodes[nodes.count - 1].connect("bob")
        try bob.synchronize()
        for number in 1...5 { try alice.post("message \(number)") }
        try bob.post("sixth")
        for (words, node) in [
            (["--user", "eve", "--reason", "Spam."], 0),
            (["--user", "mallory", "--conversation", "lobby", "--for", "1h"], nodes.count - 1),
            (["--user", "eve", "--tenant", "other"], 0),
        ] {
            let ban = try confab(["ban"] + words + ["--yes"], at: nodes[node].adminPort)
            #expect(ban.status == 0, "\(ban)")
        }
    }

    /// The documents of a node and of Redis, without what only nodes know.
    private static func stored(_ document: JSONObject, _ verb: String) throws -> [String] {
        switch verb {
        case "conversation":
            let fields = [
                "conversation", "tenant", "kind", "join_policy", "title", "creator", "created",
                "updated", "ended", "owner",
            ].map { "\($0)=\(document[$0] ?? "-")" }
            let numbers = ["shard", "loop", "head", "oldest", "revision", "member_count"].map {
                "\($0)=\(document.number($0) ?? -1)"
            }
            let members = try #require(document.objects("members")).map { member in
                let texts = ["user", "name", "role", "joined"].map { member[$0] ?? "-" }
                let cursors = ["read_cursor", "delivered_cursor"].map {
                    "\(member.number($0) ?? -1)"
                }
                return (texts + cursors).joined(separator: " ")
            }
            return fields + numbers + members.sorted() + [Self.bans(document)]
        case "user":
            let rows = try #require(document.objects("conversations"))
            return rows.map(\.text) + [Self.bans(document)]
        default: return [Self.bans(document)]
        }
    }

    private static func bans(_ document: JSONObject) -> String {
        (document.objects("bans") ?? []).map(\.text).joined(separator: "\n")
    }

    /// Waits until Redis and the node print the same stored values.
    private static func awaitAgreement(_ arguments: [String], _ node: ConfabServer, _ url: String)
        throws
    {
        var last: [[String]] = []
        do {
            try Deadline.wait(for: "Redis and the node to agree") {
                let fromNode = try confab(arguments + ["--output", "json"], at: node.adminPort)
                let fromRedis = try confab(
                    arguments + ["--output", "json", "--via", url], at: freePort())
                guard fromNode.status == 0, fromRedis.status == 0 else {
                    last = [[fromNode.errors], [fromRedis.errors]]
                    return false
                }
                last = try [fromNode, fromRedis].map {
                    try Self.stored($0.document, arguments[0])
                }
                return last[0] == last[1]
            }
        } catch {
            throw TestFailure("\(arguments): \(error)\n\(last)")
        }
    }

    private static let lookups = [
        ["conversation", "lobby"], ["conversation", "lobby", "--members", "1"], ["user", "alice"],
        ["user", "bob"], ["user", "eve"], ["bans"], ["bans", "--user", "eve"],
        ["bans", "--tenant", "other"],
    ]

    @Test("match the nodes' documents, write nothing, and work after all nodes were killed")
    func killedNodes() throws {
        let redis = try RedisServer()
        let nodes = try ["n1", "n2"].map {
            try ConfabServer(["--store", redis.url, "--node-id", $0])
        }
        try nodes[0].awaitShardBalance(of: 2)
        try Self.fill(nodes)
        for lookup in Self.lookups { try Self.awaitAgreement(lookup, nodes[0], redis.url) }

        for node in nodes { node.process.send(SIGKILL) }
        for node in nodes { _ = try node.process.waitForExit() }
        // A node would remove this entry without a conversation, because it is old.
        try redis.execute("ZADD", "confab:{u:default:alice}:convs", "1", "never-created")
        let writes = try Self.writes(of: redis)
        let conversation = try Self.read("conversation", "lobby", at: redis.url)
        #expect(conversation.status == 0, "\(conversation)")
        let document = try conversation.document
        #expect(document.number("head") == 6 && document.number("member_count") == 2)
        #expect(document["owner"] == "n1" || document["owner"] == "n2")
        #expect(Self.bans(document).contains("mallory") && !Self.bans(document).contains("eve"))
        let user = try Self.read("user", "bob", at: redis.url)
        #expect(user.status == 0, "\(user)")
        let row = try #require(try user.rows("conversations").first)
        #expect(row["conversation"] == "lobby" && row.number("head") == 6)
        for text in [conversation.output, user.output] {
            for key in Self.keysOfNodes where text.contains("\"\(key)\":") {
                #expect(text.contains("\"\(key)\":null"), "\(key) in \(text)")
            }
        }
        for lookup in Self.lookups {
            let table = try confab(lookup + ["--via", redis.url], at: freePort())
            #expect(table.status == 0, "\(table)")
        }
        let table = try confab("user", "alice", "--via", redis.url, at: freePort())
        #expect(table.output.contains("\nCONNECTIONS: unknown\n"), "\(table.output)")
        #expect(try Self.writes(of: redis) == writes)
        #expect(
            try redis.execute("ZSCORE", "confab:{u:default:alice}:convs", "never-created") == "1")
    }

    /// The number of changes since the start, with those of scripts.
    private static func writes(of redis: RedisServer) throws -> String {
        let info = try redis.execute("INFO", "persistence")
        let match = try #require(info.firstMatch(of: /rdb_changes_since_last_save:([0-9]+)/))
        return String(match.1)
    }

    @Test("read from every master of a Redis Cluster after the node was killed")
    func cluster() throws {
        let servers = try RedisClusterServers()
        let node = try ConfabServer(["--store", servers.url(), "--node-id", "n1"])
        try Self.fill([node])
        for lookup in Self.lookups { try Self.awaitAgreement(lookup, node, servers.url()) }
        try node.crash()
        for (lookup, text) in [
            (["conversation", "lobby"], #""head":6"#), (["user", "alice"], #""lobby""#),
            (["bans"], "Spam."),
        ] {
            let result = try confab(
                lookup + ["--via", servers.url(), "--output", "json"], at: freePort())
            #expect(result.status == 0 && result.output.contains(text), "\(result)")
        }
    }

    @Test("answer with a sentence for what does not exist, is damaged or does not answer")
    func missing() throws {
        let redis = try RedisServer()
        let node = try ConfabServer(["--store", redis.url, "--node-id", "n1"])
        try node.connect("alice").post("one")
        try node.connect("alice", to: "garden").post("one")
        #expect(try node.stop() == .exited(0))
        // No node is left, so the conversation has no owner.
        let left = try Self.read("conversation", "lobby", at: redis.url)
        #expect(left.status == 0 && left.output.contains(#""owner":null"#), "\(left)")

        for (arguments, sentence) in [
            (["conversation", "nowhere"], "There is no conversation nowhere in tenant default."),
            (
                ["user", "nobody", "--tenant", "t"],
                """
                There is no user nobody in tenant t: no conversation with this member, and no ban.
                """
            ),
        ] {
            let result = try confab(arguments + ["--via", redis.url], at: freePort())
            #expect(result.status == 1 && result.errors == "confab: \(sentence)", "\(result)")
        }
        #expect(try Self.read("bans", at: redis.url).rows("bans").isEmpty)
        let conversations = try Self.read("conversations", at: redis.url)
        #expect(conversations.status == 2 && conversations.errors.contains("--via"))

        try redis.execute("HSET", "confab:{c}:bans", "default:ann", "not a ban")
        let bans = try Self.read("bans", at: redis.url)
        #expect(bans.status == 1 && bans.errors.contains("default:ann is not what"), "\(bans)")
        let shard = try #require(left.document.number("shard"))
        try redis.execute(
            "HSET", "confab:{s\(Int(shard))}:conv:default:lobby", "at", "2 1 1 1")
        let damaged = try Self.read("conversation", "lobby", at: redis.url)
        #expect(damaged.status == 1 && damaged.errors.contains("format 2"), "\(damaged)")
        let user = try Self.read("user", "alice", at: redis.url)
        #expect(user.status == 3 && user.errors.contains("stored data is damaged"), "\(user)")
        #expect(try user.rows("conversations").map { $0["conversation"] } == ["garden"])

        try redis.freeze()
        let frozen = try Self.read("conversation", "garden", at: redis.url)
        redis.unfreeze()
        #expect(frozen.status == 3 && frozen.errors.hasPrefix("confab: --via: "), "\(frozen)")
        try redis.crash()
        let gone = try Self.read("user", "alice", at: redis.url)
        #expect(gone.status == 3 && gone.errors.contains("no Redis listens there"), "\(gone)")
    }
}
