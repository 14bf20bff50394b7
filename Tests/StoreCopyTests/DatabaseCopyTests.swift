import Bytes
import ChatModel
import EmbeddedStore
import EventLoop
import Foundation
import NodeLink
import RedisClient
import RedisStore
import StoreTestSupport
import TestKit
import TestTraits
import Testing

@testable import StoreCopy

private let history = 20

/// A database, and a cluster in a Redis of its own.
private final class StorePair {
    enum RedisMode: CaseIterable { case standalone, sentinel, cluster }

    /// The server, or one of them.
    let redis: RedisServer
    private let url: String
    private let servers: AnyObject
    let folder: TemporaryFolder
    var path: String { self.folder.file("confab.db") }

    init(_ mode: RedisMode = .standalone) throws {
        switch mode {
        case .standalone:
            let server = try RedisServer()
            (self.redis, self.url, self.servers) = (server, server.url, server)
        case .sentinel:
            let trio = try RedisSentinelServers()
            (self.redis, self.url, self.servers) = (trio.servers[0], trio.url, trio)
        case .cluster:
            let cluster = try RedisClusterServers()
            (self.redis, self.url, self.servers) = (cluster.servers[0], cluster.url(), cluster)
        }
        self.folder = try TemporaryFolder()
    }

    func openSource(outbox: OutboxWriter? = nil) throws -> SQLiteStore {
        var options = SQLiteOptions(history: history)
        options.outbox = outbox
        return try SQLiteStore(path: self.path, options: options)
    }

    func target() throws -> CopyTarget {
        try CopyTarget(RedisURL(self.url), trusting: nil, clusterName: "confab")
    }

    func copy(isDryRun: Bool = false) throws -> CopySummary {
        let store = try DatabaseCopy.open(self.path, history: history)
        defer { store.close() }
        return try DatabaseCopy(
            from: store, at: self.path, to: self.target(), clusterName: "confab"
        ) { _ in
        }.run(isDryRun: isDryRun)
    }

    /// The target as nodes use it.
    func openTarget() throws -> (loop: EventLoop, connection: LoopConnection) {
        let url = try RedisURL(self.url)
        let loop = try EventLoop.start(name: "copied")
        let settings = RedisStoreSettings(clusterName: "confab", history: history, url: url)
        // The connection receives the replies for its store.
        return (
            loop, LoopConnection(try RedisSettings(url), store: settings, on: loop, seed: 1)
        )
    }
}

@Suite("A copy of a SQLite database in Redis", .programs, .ownThread)
struct DatabaseCopyTests {
    private static let users = ["ann", "bob", "robot", "zoë"].map { TestOwner.person($0).id }

    /// Executes thousands of random requests of owners. Returns the conversations.
    private func fill(_ store: SQLiteStore, seed: UInt64, _ count: Int) async -> [ConversationKey] {
        var model = MemoryTables(history: history)
        var requests = RandomRequests(seed: seed, tenant: "acme", conversations: 6)
        for _ in 0..<count {
            let request = requests.next { model.execute($0) }
            _ = model.execute(request)
            let answer = await store.request(request)
            if case .claim(let shard, let owner, _) = request, case .claimed(let epoch) = answer {
                requests.recordClaim(shard, epoch, by: owner)
            }
        }
        guard
            case .conversations(let page) = await store.request(
                .conversations(after: nil, limit: 100))
        else { return [] }
        return page.keys
    }

    /// Everything that nodes read from a store.
    private func readings(of keys: [ConversationKey], heads: [Int], revisions: [Int])
        -> [StoreRequest]
    {
        var requests: [StoreRequest] = [.bans]
        for (index, key) in keys.enumerated() {
            requests += [.load(key), .recent(key, limit: 40)]
            for number in stride(
                from: -1, through: heads[index] + 1, by: 1 + heads[index] / 12)
            {
                requests += [
                    .page(key, .after(number), limit: 7), .page(key, .before(number), limit: 7),
                    .thread(key, root: number, .newest, limit: 3),
                ]
                requests += Self.users.map { .unread(key, after: number, by: $0) }
                for revision in stride(
                    from: 0, through: revisions[index] + 1, by: 1 + revisions[index] / 8)
                {
                    requests += [
                        .changes(key, after: number, since: revision, limit: 100),
                        .amended(key, through: number, since: revision, limit: 5),
                    ]
                }
            }
        }
        for tenant in Set(keys.map(\.tenant)) {
            requests += Self.users.map {
                .memberships(of: $0, tenant: tenant, after: nil, limit: 100, unreadLimit: 9)
            }
            requests += [
                .catalog(tenant: tenant, after: nil, limit: 100),
                .users(
                    numbered: (-1..<9).map { StoreRequest.firstUserNumber + $0 }, tenant: tenant),
                .numbers(of: Self.users, tenant: tenant), .nextNumber(tenant: tenant),
            ]
        }
        return requests
    }

    @Test("says whether it leaves out events for webhooks", arguments: [false, true])
    func leavesEvents(hasWebhooks: Bool) async throws {
        let pair = try StorePair()
        let writer = OutboxWriter(
            limit: 10,
            event: {
                OutboxEvent(
                    id: "evt_1", type: "conversation.created", conversation: $0.conversation,
                    queuedAt: Timestamp(milliseconds: 0), body: [])
            }, appended: { _ in })
        let source = try pair.openSource(outbox: hasWebhooks ? writer : nil)
        _ = await self.fill(source, seed: 1, 50)
        source.close()
        #expect(try pair.copy(isDryRun: true).leavesEvents == hasWebhooks)
    }

    @Test(
        "answers every read as the database does, and accepts writes",
        arguments: TestRun.isLong
            ? [
                (1, StorePair.RedisMode.standalone), (2, .standalone), (3, .sentinel),
                (4, .cluster),
            ] : [(4, .cluster)])
    private func equality(seed: Int, mode: StorePair.RedisMode) async throws {
        let pair = try StorePair(mode)
        var source = try pair.openSource()
        let keys = await self.fill(source, seed: UInt64(seed), 2500)
        source.close()
        let planned = try pair.copy(isDryRun: true)
        #expect(try pair.redis.execute("DBSIZE") == "0")
        #expect(try pair.copy() == planned)
        #expect(planned.conversations == keys.count && keys.count >= 4)

        source = try pair.openSource()
        let (loop, connection) = try pair.openTarget()
        defer { withExtendedLifetime(connection) { loop.stop() } }
        let target = connection.store
        var (heads, revisions): ([Int], [Int]) = ([], [])
        for key in keys {
            let loaded = try #require(await source.load(key))
            heads.append(loaded.head)
            revisions.append(loaded.revision)
        }
        #expect(heads.contains { $0 > history }, "no history was trimmed")
        for request in self.readings(of: keys, heads: heads, revisions: revisions) {
            let (expected, answer) = (await source.request(request), await target.request(request))
            guard expected.text == answer.text else {
                Issue.record("seed \(seed): \(request):\n\(answer.text)\nnot\n\(expected.text)")
                return
            }
        }
        for (index, key) in keys.enumerated() {
            #expect(await target.request(.examine(key)).text == "repairable [], unrepairable []")
            let id = LoopID(incarnation: 7, loop: 0)
            var owner = TestOwner(key: key, id: id, epoch: await target.claim(key.shard, by: id))
            (owner.head, owner.revision) = (heads[index], revisions[index])
            #expect(await target.write([owner.post("next"), owner.join("new")], by: id) == .stored)
            let page = await target.page(key, .newest, limit: 2)
            #expect(page?.messages.last?.body.content == "next")
        }
    }

    @Test("is completed by a second run, which begins an incomplete conversation again")
    func interruption() async throws {
        let pair = try StorePair()
        let source = try pair.openSource()
        let keys = await self.fill(source, seed: 9, 1500)
        let first = try #require(keys.first)
        let loaded = try #require(await source.load(first))
        source.close()

        // A copy that was killed: it has reserved the cluster and written the first part.
        let killed = try pair.target()
        #expect(try !killed.reserve(for: Self.resolved(pair.path)))
        var part = RestoreCommands.RestoredPart()
        part.members =
            loaded.members
            + loaded.members.map { member in
                var other = member
                other.user = UserID(tokenSubject: "left over")
                return other
            }
        let commands = RestoreCommands(of: "confab")
        #expect(try killed.write([commands.write(part, of: first)])[0].text == "done")
        try killed.unlock()
        try pair.redis.execute("SET", "confab:{c}:copy-lock", "another process")
        #expect(throws: CopyFailure.self) { try pair.copy() }
        try pair.redis.execute("DEL", "confab:{c}:copy-lock")
        let summary = try pair.copy()
        #expect(summary.conversations == keys.count && summary.earlierConversations == 0)

        let (loop, connection) = try pair.openTarget()
        defer { withExtendedLifetime(connection) { loop.stop() } }
        let target = connection.store
        #expect(await target.load(first)?.text == loaded.text)
        // A suspended process continues too late, and its command may still be in flight.
        #expect(throws: CopyTarget.CopyRefusal.self) { try killed.complete() }
        let late = try BlockingRedisClient(RedisSettings(RedisURL(pair.redis.url)), name: "late")
        #expect(try late.send([commands.write(part, of: first)])[0].text == "exists")
    }

    private static func resolved(_ path: String) -> String {
        URL(fileURLWithPath: path).resolvingSymlinksInPath().path
    }

    @Test("is refused if the target has conversations or a copy of another database")
    func refusal() async throws {
        let pair = try StorePair()
        let source = try pair.openSource()
        _ = await self.fill(source, seed: 3, 300)
        source.close()
        func failure() -> String {
            do {
                _ = try pair.copy()
                return "copied"
            } catch {
                return "\(error)"
            }
        }
        try pair.redis.execute("SET", "confab:{c}:copy", "/other.db")
        #expect(failure().contains("has a part of /other.db"))
        try pair.redis.execute("DEL", "confab:{c}:copy")
        #expect(failure() == "copied")
        #expect(failure().contains("already has conversations"))
        #expect(try pair.redis.execute("EXISTS", "confab:{c}:copy", "confab:{c}:copy-lock") == "0")

        let open = try pair.openSource()
        #expect(failure().contains("confab.db is in use by another process"))
        open.close()
        #expect(throws: CopyFailure.self) {
            try DatabaseCopy.open(pair.folder.file("none.db"), history: 1)
        }
        #expect(!pair.folder.hasFile("none.db"))
    }

    @Test("refuses a database that has changed since the copy began, and other numbers")
    func changes() async throws {
        let pair = try StorePair()
        let key = ConversationKey(tenant: "acme", id: "rex")
        var source = try pair.openSource()
        var owner = await source.createConversation(key)
        #expect(await source.write([owner.post("one")], by: owner) == .stored)
        #expect(await source.numbers(of: ["ann", "bob"]) != nil)
        source.close()
        _ = try pair.copy()
        try pair.redis.execute("SET", "confab:{c}:copy", Self.resolved(pair.path))
        #expect(try pair.copy().earlierConversations == 1)

        source = try pair.openSource()
        owner.epoch = await source.claim(key.shard, by: owner.id)
        #expect(await source.write([owner.post("two")], by: owner) == .stored)
        source.close()
        try pair.redis.execute("SET", "confab:{c}:copy", Self.resolved(pair.path))
        #expect(throws: CopyFailure.self) { try pair.copy() }
        #expect(try pair.redis.execute("EXISTS", "confab:{c}:copy") == "1")

        let numbers = "confab:{t:acme}:numbers"
        try pair.redis.execute("HSET", numbers, "u:ann", "7")
        do {
            _ = try pair.copy()
            Issue.record("other numbers were accepted")
        } catch let failure as CopyFailure {
            #expect(failure.description.contains("user ann of tenant acme"))
        }
    }
}
