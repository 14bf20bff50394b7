import Bytes
import ChatModel
import StoreTestSupport
import TestTraits
import Testing

extension ChatStore {
    /// The ids on all pages, with the duplicates that a page may have.
    fileprivate func allKeys(limit: Int) async throws -> [ConversationKey] {
        var keys: [ConversationKey] = []
        var cursor: ByteString?
        repeat {
            guard
                case .conversations(let page) = await self.request(
                    .conversations(after: cursor, limit: limit))
            else { throw InspectionFailure() }
            keys += page.keys
            cursor = page.next
        } while cursor != nil
        return keys
    }

    fileprivate func faults(_ request: StoreRequest) async throws -> StoredFaults {
        guard case .examined(let faults) = await self.request(request) else {
            throw InspectionFailure()
        }
        return faults
    }
}

private struct InspectionFailure: Error {}

@Suite("Every store, when it is inspected,", .ownThread)
struct InspectionContractTests {
    @Test("lists all conversations of all tenants", arguments: StoreUnderTest.available)
    func conversations(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        // Waits until the store knows its servers.
        _ = await store.request(.load(ConversationKey(tenant: "acme", id: "nothing")))
        #expect(try await store.allKeys(limit: 5) == [])
        var expected: Set<ConversationKey> = []
        for tenant in ["acme", "other:tenant"] {
            for number in 1...23 {
                let key = ConversationKey(
                    tenant: ByteString(tenant), id: ByteString("room {\(number)}:%"))
                _ = await store.createConversation(key)
                expected.insert(key)
            }
        }
        for limit in [1, 5, 200] {
            let keys = try await store.allKeys(limit: limit)
            #expect(Set(keys) == expected, "limit \(limit)")
        }
    }

    @Test("refuses a cursor that it has not returned", arguments: StoreUnderTest.available)
    func cursor(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        for cursor in ["x", "-1:0", "0:x:1", ":"] {
            guard
                case .failed(let failure) = await store.request(
                    .conversations(after: ByteString(cursor), limit: 5))
            else {
                Issue.record("\(cursor) was accepted")
                continue
            }
            #expect(failure.isRequestSpecific)
        }
    }

    @Test(
        "finds no fault in what it has stored, and repairs only for the owner",
        arguments: StoreUnderTest.available)
    func noFaults(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        let key = ConversationKey(tenant: "acme", id: "rex")
        #expect(try await store.faults(.examine(key)) == StoredFaults())
        var rex = await store.createConversation(key, .listed)
        let post = rex.post("one")
        guard case .message(let message) = post.change else { throw InspectionFailure() }
        let writes = [post, rex.join("ann"), rex.edit(message, to: "two"), rex.post("three")]
        #expect(await store.write(writes, by: rex) == .stored)
        #expect(try await store.faults(.examine(key)) == StoredFaults())
        #expect(
            try await store.faults(.repair(key, owner: rex.id, epoch: rex.epoch)) == StoredFaults())

        let next = LoopID(incarnation: 2, loop: 0)
        let epoch = await store.claim(key.shard, by: next)
        let late = await store.request(.repair(key, owner: rex.id, epoch: rex.epoch))
        guard case .failed(let failure) = late else { throw InspectionFailure() }
        #expect(failure == .repairFenced)
        #expect(try await store.faults(.repair(key, owner: next, epoch: epoch)) == StoredFaults())
        #expect(await store.load(key)?.head == 2)
    }
}

@Suite("A fault in a Redis store", .programs, .ownThread)
struct RedisFaultTests {
    private static let key = ConversationKey(tenant: "acme", id: "rex")

    private func name(_ part: String, _ store: RedisUnderTest) -> String {
        "\(store.name):{s\(Self.key.shard)}:\(part):acme:rex"
    }

    /// A listed conversation with three messages, of which the first is edited, and two members.
    private func conversation(in store: RedisUnderTest) async throws -> TestOwner {
        var rex = await store.createConversation(Self.key, .listed)
        let post = rex.post("one")
        guard case .message(let message) = post.change else { throw InspectionFailure() }
        let writes = [
            post, rex.join("ann"), rex.join("bob"), rex.edit(message, to: "1"), rex.post("two"),
            rex.post("three"),
        ]
        #expect(await store.write(writes, by: rex) == .stored)
        return rex
    }

    @Test("is found and repaired", arguments: RedisUnderTest.Kind.allCases)
    func repair(_ kind: RedisUnderTest.Kind) async throws {
        let store = try RedisUnderTest(kind, history: 100)
        let rex = try await self.conversation(in: store)
        let state = try store.redisCLI("HGET", self.name("conv", store), "at")
        // The record is older than the stream, and two lists lack the conversation.
        try store.redisCLI("HSET", self.name("conv", store), "at", "1 5 1 1700000000005")
        try store.redisCLI("HSET", self.name("conv", store), "arev", "0")
        try store.redisCLI("ZREM", "\(store.name):{t:acme}:rooms", "rex")
        let user = TestOwner.person("bob").id.storageKey
        try store.redisCLI("ZREM", "\(store.name):{u:acme:\(user)}:convs", "rex")

        let faults = try await store.faults(.examine(Self.key))
        #expect(faults.unrepairable == [])
        #expect(
            faults.repairable == [
                "the record is at message 1, and the stream has 2 more",
                "the record names 0 as the last edit; edits go up to 5",
                "the catalog of tenant acme lacks the conversation",
                "the list of bob lacks the conversation",
            ])
        let request = StoreRequest.repair(Self.key, owner: rex.id, epoch: rex.epoch)
        #expect(try await store.faults(request) == faults)
        #expect(try await store.faults(.examine(Self.key)) == StoredFaults())
        #expect(try await store.faults(request) == StoredFaults())
        #expect(try store.redisCLI("HGET", self.name("conv", store), "at") == state)
        #expect(await store.catalog()?.entries.map(\.key) == [Self.key])
        var next = rex
        #expect(await store.write([next.post("four")], by: next) == .stored)
    }

    @Test("of a thread or a pin is found and repaired", arguments: RedisUnderTest.Kind.allCases)
    func parts(_ kind: RedisUnderTest.Kind) async throws {
        let store = try RedisUnderTest(kind, history: 100)
        var rex = try await self.conversation(in: store)
        _ = await store.write(
            [
                rex.post("four", reply: Reply(to: 1, thread: 1)),
                rex.post("five", reply: Reply(to: 4, thread: 1)),
            ], by: rex)
        for message in try #require(await store.page(Self.key, .newest, limit: 2)).messages {
            _ = await store.write([rex.pin(message, true, by: "ann")], by: rex)
        }
        let whole = try #require(await store.load(Self.key)).text
        let page = try #require(await store.page(Self.key, .newest)).text
        try store.redisCLI("DEL", self.name("threads", store))
        try store.redisCLI("HDEL", self.name("pins", store), "5")
        let faults = try await store.faults(.examine(Self.key))
        #expect(
            faults.repairable == ["the threads lack 2 replies", "the pins lack message 5"]
                && faults.unrepairable.isEmpty)
        let request = StoreRequest.repair(Self.key, owner: rex.id, epoch: rex.epoch)
        #expect(try await store.faults(request) == faults)
        #expect(try await store.faults(.examine(Self.key)) == StoredFaults())
        #expect(await store.load(Self.key)?.text == whole)
        #expect(await store.page(Self.key, .newest)?.text == page)
        for part in ["threads", "pins"] {
            try store.redisCLI("DEL", self.name(part, store))
            try store.redisCLI("SET", self.name(part, store), "x")
            guard case .failed(let failure) = await store.request(.examine(Self.key)) else {
                throw InspectionFailure()
            }
            #expect(failure.description.contains(self.name(part, store)), "\(failure)")
            try store.redisCLI("DEL", self.name(part, store))
        }
    }

    @Test("is repaired once if two repairs run at the same time")
    func twoRepairs() async throws {
        let store = try RedisUnderTest(.standalone, history: 100)
        let rex = try await self.conversation(in: store)
        let other = try store.otherNode()
        for _ in 0..<20 {
            try store.redisCLI("HSET", self.name("conv", store), "at", "1 5 1 1700000000005")
            let request = StoreRequest.repair(Self.key, owner: rex.id, epoch: rex.epoch)
            async let first = store.request(request)
            async let second = other.request(request)
            let repairs = [await first, await second].filter {
                if case .examined(let faults) = $0 { !faults.repairable.isEmpty } else { false }
            }
            #expect(repairs.count == 1)
            #expect(await store.load(Self.key)?.head == 3)
        }
    }

    @Test("is not repaired if the right order is unknown")
    func broken() async throws {
        let store = try RedisUnderTest(.standalone, history: 100)
        let rex = try await self.conversation(in: store)
        let old = "1 5 1 1700000000005"
        try store.redisCLI("HSET", self.name("conv", store), "at", old)
        try store.redisCLI("XDEL", self.name("log", store), "2-0")
        let faults = try await store.faults(.repair(Self.key, owner: rex.id, epoch: rex.epoch))
        #expect(faults.repairable == [] && faults.unrepairable.count == 1, "\(faults)")
        #expect(try store.redisCLI("HGET", self.name("conv", store), "at") == old)
    }

    @Test("in the record's own format is reported with the key")
    func damaged() async throws {
        let store = try RedisUnderTest(.standalone, history: 100)
        _ = try await self.conversation(in: store)
        try store.redisCLI("HSET", self.name("conv", store), "at", "nonsense")
        guard case .failed(let failure) = await store.request(.examine(Self.key)) else {
            throw InspectionFailure()
        }
        #expect(failure.isRequestSpecific && failure.description.contains(self.name("conv", store)))
    }
}
