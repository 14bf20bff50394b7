import Bytes
import ChatModel
import Foundation
import RedisClient
import RedisStore
import StoreTestSupport
import TestKit
import TestTraits
import Testing

private func acme(_ id: String) -> ConversationKey {
    ConversationKey(tenant: "acme", id: ByteString(id))
}
private let bob = TestOwner.person("bob").id

/// The indexes of a Redis store are separate from the conversations: entries without a
/// conversation, and foreign values under index keys.
@Suite("The indexes of a Redis store", .programs, .ownThread)
struct RedisListTests {
    @Test(
        "have an entry for every membership, and for every conversation of a catalog",
        arguments: RedisUnderTest.Kind.allCases)
    func indexEntries(_ kind: RedisUnderTest.Kind) async throws {
        let store = try RedisUnderTest(kind, history: 100)
        var rex = await store.createConversation(acme("rex"), .listed)
        _ = await store.write([rex.join("bob"), rex.join("zoë"), rex.post("hello")], by: rex)
        var kim = await store.createConversation(acme("kim"))
        _ = await store.write([kim.join("bob")], by: kim)
        // In the order of their writes, which may have the same time.
        let mine = try store.redisCLI("ZRANGE", "\(store.name):{u:acme:bob}:convs", "0", "-1")
        #expect(Set(mine.split(separator: "\n")) == ["rex", "kim"])
        #expect(
            try store.redisCLI("ZRANGE", "\(store.name):{u:acme:zo%C3%AB}:convs", "0", "-1")
                == "rex")
        #expect(
            try store.redisCLI("ZRANGE", "\(store.name):{t:acme}:rooms", "0", "-1", "WITHSCORES")
                == "rex\n\(TestOwner.time(0).milliseconds)"
        )
        #expect(
            try store.redisCLI(
                "HMGET", "\(store.name):{s\(kim.key.shard)}:conv:acme:kim", "details") == ""
        )
    }

    @Test(
        "may have entries without a conversation, which a dying process leaves",
        arguments: RedisUnderTest.Kind.allCases)
    func orphanedEntries(_ kind: RedisUnderTest.Kind) async throws {
        let store = try RedisUnderTest(kind, history: 100)
        let (mine, rooms) = ("\(store.name):{u:acme:bob}:convs", "\(store.name):{t:acme}:rooms")
        let now = "4000000000000"
        // Entries of a conversation that does not exist, of one without bob as a member, and of one
        // that is not in the catalog.
        try store.redisCLI("ZADD", mine, now, "nowhere", now, "strangers", now, "half")
        try store.redisCLI("ZADD", rooms, now, "nowhere", now, "strangers")
        var strangers = await store.createConversation(acme("strangers"))
        _ = await store.write([strangers.join("ann")], by: strangers)
        var rex = await store.createConversation(acme("rex"), .listed)
        _ = await store.write([rex.join("bob")], by: rex)

        #expect(await store.memberships(of: "bob")?.memberships.map(\.key.id) == ["rex"])
        #expect(await store.memberships(of: "bob", limit: 1)?.memberships.map(\.key.id) == ["rex"])
        #expect(await store.catalog(limit: 1)?.entries.map(\.key.id) == ["rex"])
        // The write that belongs to the index entry follows.
        var half = await store.createConversation(acme("half"), .listed)
        _ = await store.write([half.join("bob")], by: half)
        #expect(
            Set(try #require(await store.memberships(of: "bob")).memberships.map(\.key.id)) == [
                "rex", "half",
            ])
        #expect(Set(try #require(await store.catalog()).entries.map(\.key.id)) == ["rex", "half"])
        #expect(try store.redisCLI("ZCARD", mine) == "4")
    }

    @Test(
        "lose such entries when they are old, and no others",
        arguments: RedisUnderTest.Kind.allCases)
    func staleEntriesRemoved(_ kind: RedisUnderTest.Kind) async throws {
        let store = try RedisUnderTest(kind, history: 100)
        let (mine, rooms) = ("\(store.name):{u:acme:bob}:convs", "\(store.name):{t:acme}:rooms")
        var rex = await store.createConversation(acme("rex"), .listed)
        var over = await store.createConversation(acme("over"), .listed)
        _ = await store.write(
            [rex.join("bob"), over.join("bob"), over.write(.end(at: TestOwner.time(9)))], by: rex)
        let young = "4000000000000"
        try store.redisCLI("ZADD", mine, "1", "nowhere", young, "soon")
        try store.redisCLI("ZADD", mine, "1", "rex")
        try store.redisCLI("ZADD", rooms, "1", "nowhere", young, "soon")
        #expect(await store.memberships(of: "bob")?.memberships.map(\.key.id) == ["rex", "over"])
        #expect(await store.catalog()?.entries.map(\.key.id) == ["rex"])
        try Deadline.wait(
            for: "the removal of old entries",
            untilTrue: {
                try store.redisCLI("ZRANGE", mine, "0", "-1") == "rex\nover\nsoon"
                    && store.redisCLI("ZRANGE", rooms, "0", "-1") == "rex\nsoon"
            })
    }

    @Test(
        "end with the last membership of a guest, but not if it joins again at once",
        arguments: RedisUnderTest.Kind.allCases)
    func guests(_ kind: RedisUnderTest.Kind) async throws {
        let store = try RedisUnderTest(kind, history: 100)
        var rex = await store.createConversation(acme("rex"))
        func member(_ key: ByteString) -> Member {
            Member(
                user: UserID(guest: "gus", key: key, provenBy: .connection), name: "Gus",
                role: .member, joinedAt: TestOwner.time(1))
        }
        func list(_ member: Member) -> String {
            "\(store.name):{u:acme:%03\(member.user.guestKey ?? "")gus}:convs"
        }
        let (gone, back, removed) = (member("aaaaaaaa"), member("bbbbbbbb"), member("cccccccc"))
        var former = removed
        former.role = .removed
        for guest in [gone, back, removed] {
            _ = await store.write([rex.write(.member(guest))], by: rex)
            #expect(try store.redisCLI("EXISTS", list(guest)) == "1")
        }
        #expect(
            await store.write(
                [
                    rex.write(.remove(gone.user)), rex.write(.remove(back.user)),
                    rex.write(.member(back)), rex.write(.member(former)),
                ], by: rex) == .stored)
        for guest in [gone, removed] {
            try Deadline.wait(
                for: "the removal of a list",
                untilTrue: { try store.redisCLI("EXISTS", list(guest)) == "0" })
        }
        #expect(try store.redisCLI("ZRANGE", list(back), "0", "-1") == "rex")
        #expect(await store.load(rex.key)?.currentMembers.map(\.user) == [back.user])
    }

    @Test(
        "refuse only the writes that need an index whose key holds a foreign value",
        arguments: RedisUnderTest.Kind.allCases)
    func foreignList(_ kind: RedisUnderTest.Kind) async throws {
        let store = try RedisUnderTest(kind, history: 100)
        try store.redisCLI("SET", "\(store.name):{u:acme:bob}:convs", "mine")
        try store.redisCLI("SET", "\(store.name):{t:acme}:rooms", "mine")
        var rex = await store.createConversation(acme("rex"))
        var kim = await store.createConversation(acme("kim"))
        let batch = [
            rex.post("one"), rex.join("ann"), kim.post("first"), rex.join("bob"), rex.post("two"),
            kim.join("ann"),
        ]
        #expect(await store.write(batch, by: rex) == .refused([3: .damaged, 4: .damaged]))
        #expect(await store.load(rex.key)?.members.map(\.user) == [TestOwner.person("ann").id])
        #expect(await store.load(rex.key)?.head == 1)
        #expect(await store.load(kim.key)?.head == 1)
        #expect(
            Set(try #require(await store.memberships(of: "ann")).memberships.map(\.key.id)) == [
                "rex", "kim",
            ])
        var room = TestOwner(
            key: acme("room"), id: rex.id, epoch: await store.claim(acme("room").shard, by: rex.id))
        #expect(await store.write([room.create("", .listed)], by: room) == .refused([0: .damaged]))
        #expect(await store.load(room.key) == nil)

        let requests: [(StoreRequest, String)] = [
            (
                .memberships(of: bob, tenant: "acme", after: nil, limit: 9, unreadLimit: 9),
                """
                the conversations of acme/bob: the Redis key \
                \(store.name):{u:acme:bob}:convs is not a sorted set
                """
            ),
            (
                .catalog(tenant: "acme", after: nil, limit: 9),
                """
                the catalog of acme: the Redis key \
                \(store.name):{t:acme}:rooms is not a sorted set
                """
            ),
        ]
        try await self.expect(store, requests)
        try store.redisCLI("DEL", "\(store.name):{u:acme:bob}:convs")
        (rex.revision, rex.head) = (3, 1)
        #expect(await store.write([rex.join("bob")], by: rex) == .stored)
        #expect(await store.memberships(of: "bob")?.memberships.map(\.key.id) == ["rex"])
    }

    private func expect(_ store: RedisUnderTest, _ requests: [(StoreRequest, String)]) async throws
    {
        for (request, sentence) in requests {
            guard case .failed(let failure) = await store.request(request) else {
                return _ = Issue.record("\(request) was accepted")
            }
            #expect(failure.description == sentence)
            #expect(failure.isRequestSpecific)
        }
    }

    @Test(
        "report damaged numbers of a tenant, and an invalid cursor",
        arguments: RedisUnderTest.Kind.allCases)
    func foreignNumbers(_ kind: RedisUnderTest.Kind) async throws {
        let store = try RedisUnderTest(kind, history: 100)
        let key = "\(store.name):{t:acme}:numbers"
        try store.redisCLI("HSET", key, "minted", "many", "counted", "few", "u:ann", "?")
        try await self.expect(
            store,
            [
                (
                    .numbers(of: [bob], tenant: "acme"),
                    "the numbers of acme: the Redis key \(key) has no count in minted"
                ),
                (
                    .numbers(of: [TestOwner.person("ann").id], tenant: "acme"),
                    "the numbers of acme: the Redis key \(key) has no number in u:ann"
                ),
                (
                    .nextNumber(tenant: "acme"),
                    "the numbers of acme: the Redis key \(key) has no count in counted"
                ),
            ])
        try store.redisCLI("DEL", key)
        try store.redisCLI("SET", key, "mine")
        try await self.expect(
            store,
            [
                (
                    .numbers(of: [bob], tenant: "acme"),
                    "the numbers of acme: the Redis key \(key) is not a hash"
                ),
                (
                    .users(numbered: [1], tenant: "acme"),
                    "the numbers of acme: the Redis key \(key) is not a hash"
                ),
                (
                    .nextNumber(tenant: "acme"),
                    "the numbers of acme: the Redis key \(key) has no count in counted"
                ),
                (
                    .memberships(
                        of: bob, tenant: "acme", after: "behind", limit: 9, unreadLimit: 9),
                    "after: it is not a valid cursor in the conversations of acme/bob"
                ),
            ])
        #expect(await store.numbers(of: ["bob"], in: "other") == [StoreRequest.firstUserNumber])
    }

    @Test(
        "return the other conversations if one is damaged, and name that one",
        arguments: RedisUnderTest.Kind.allCases)
    func damaged(_ kind: RedisUnderTest.Kind) async throws {
        let store = try RedisUnderTest(kind, history: 100)
        for id in ["rex", "kim", "joe", "tom"] {
            var owner = await store.createConversation(acme(id), .listed)
            _ = await store.write([owner.join("bob"), owner.post("hello")], by: owner)
        }
        let log = "\(store.name):{s\(acme("tom").shard)}:log:acme:tom"
        try store.redisCLI("DEL", log)
        try store.redisCLI("XADD", log, "1-0", "m", "1 2 0 3 0 0 0 0 bo")
        let key = "\(store.name):{s\(acme("kim").shard)}:conv:acme:kim"
        try store.redisCLI("HSET", key, "at", "9 1 1 1")
        try store.redisCLI(
            "HSET", "\(store.name):{s\(acme("joe").shard)}:members:acme:joe", "bob", "nonsense")
        let page = try #require(await store.memberships(of: "bob"))
        #expect(page.memberships.map(\.key.id) == ["rex"])
        #expect(
            page.damaged.map(\.description).contains(
                "acme/kim: the Redis key \(key) has the format 9, which is unknown"))
        #expect(
            page.damaged.contains {
                $0.description.hasPrefix("acme/tom: ")
                    && $0.description.hasSuffix("message 1 is not what was stored")
            }
        )
        #expect(page.damaged.count == 3)
        #expect(page.damaged.allSatisfy { $0.isRequestSpecific })
        let catalog = try #require(await store.catalog())
        #expect(Set(catalog.entries.map(\.key.id)) == ["rex", "joe", "tom"])
        #expect(
            catalog.damaged.map(\.description) == [
                "acme/kim: the Redis key \(key) has the format 9, which is unknown"
            ])
    }

    @Test(
        "are the same for another node, and after all scripts were flushed",
        arguments: RedisUnderTest.Kind.allCases)
    func otherNode(_ kind: RedisUnderTest.Kind) async throws {
        // On shared servers, the flush could take the script from another test's removal of old
        // entries, which is not repeated.
        let store = try RedisUnderTest(kind, history: 100, hasOwnServers: kind != .cluster)
        var rex = await store.createConversation(acme("rex"), .listed)
        _ = await store.write([rex.join("bob"), rex.post("hello")], by: rex)
        let numbers = await store.numbers(of: ["ann", "bob"])
        _ = await store.nextNumber()
        let other = try store.otherNode()
        #expect(await other.request(.probe).text == "done")
        if kind != .cluster { try store.redisCLI("SCRIPT", "FLUSH") }
        #expect(
            await other.memberships(of: "bob")?.text == (await store.memberships(of: "bob"))?.text)
        #expect(await other.catalog()?.entries.map(\.key.id) == ["rex"])
        #expect(await other.numbers(of: ["bob", "ann"]) == numbers?.reversed())
        #expect(await other.nextNumber() == 2)
    }

    @Test("and numbers exist after a restart of Redis")
    func restart() async throws {
        let server = try RedisServer(["--appendonly", "yes", "--appendfsync", "always"])
        // Each write waits for the disk.
        let store = try RedisUnderTest(
            at: server.url, history: 100, confirmationTimeout: Deadline.defaultTimeout,
            isPatient: true)
        var rex = await store.createConversation(acme("rex"), .listed)
        _ = await store.write([rex.join("bob"), rex.post("hello")], by: rex)
        let numbers = await store.numbers(of: ["ann", "bob"])
        _ = await store.nextNumber()
        let before = (await store.memberships(of: "bob")?.text, await store.catalog()?.text)
        try server.crash()
        try server.restart()
        let other = try store.otherNode()
        #expect(await other.memberships(of: "bob")?.text == before.0)
        #expect(await other.catalog()?.text == before.1)
        #expect(
            await other.numbers(of: ["bob", "cat", "ann"]) == [
                StoreRequest.firstUserNumber + 1, StoreRequest.firstUserNumber + 2,
                StoreRequest.firstUserNumber,
            ])
        #expect(numbers == [StoreRequest.firstUserNumber, StoreRequest.firstUserNumber + 1])
        #expect(await other.nextNumber() == 2)
    }

    @Test(
        "in a cluster, while their server is unavailable, refuse only new members"
    )
    func serverUnavailable() async throws {
        let cluster = try RedisClusterServers()
        let store = try RedisUnderTest(at: cluster.url() + "?wait=0", history: 100)
        func server(of tag: String) throws -> RedisServer {
            try cluster.server(
                of: cluster.master(of: Int(RedisSlot(key: ByteString("{\(tag)}")).number)))
        }
        var rex = await store.createConversation(acme("rex"))
        var kim = await store.createConversation(acme("kim"))
        let home = try server(of: "s\(acme("rex").shard)")
        let other = try #require(
            try (0..<100).lazy.map { "user \($0)" }.first {
                let name = $0.replacingOccurrences(of: " ", with: "%20")
                return try server(of: "u:acme:\(name)") !== home
                    && server(of: "u:acme:\(name)") !== server(of: "s\(acme("kim").shard)")
            })
        let unavailable = try server(
            of: "u:acme:\(other.replacingOccurrences(of: " ", with: "%20"))")
        try unavailable.freeze()
        defer { unavailable.unfreeze() }
        let answers = AnswerCollector()
        answers.submit(
            .write(WriteBatch(owner: rex.id, writes: [rex.post("one"), rex.join(other)])),
            to: store)
        answers.submit(
            .write(WriteBatch(owner: kim.id, writes: [kim.post("first")])), to: store)
        let texts = await answers.answers(2).map(\.answer.text)
        #expect(
            texts[0].hasPrefix(
                "0: failed(Not written, because its index entry could not be written."), "\(texts)"
        )
        #expect(texts[1] == "stored", "\(texts)")
        unavailable.unfreeze()
        var loaded: LoadedConversation?
        let deadline = Deadline()
        while loaded == nil, !deadline.isExpired {
            loaded = await store.load(rex.key)
            try await Task.sleep(for: .milliseconds(50))
        }
        #expect(loaded?.members.count == 0)
        #expect(loaded?.head == 0)
    }
}
