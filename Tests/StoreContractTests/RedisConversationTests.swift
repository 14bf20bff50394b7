import Bytes
import ChatModel
import StoreTestSupport
import TestTraits
import Testing

@Suite("The conversations of a Redis store", .programs, .ownThread)
struct RedisConversationTests {
    @Test(
        "have streams with little more than the requested number of messages",
        arguments: RedisUnderTest.Kind.allCases)
    func trimming(_ kind: RedisUnderTest.Kind) async throws {
        let store = try RedisUnderTest(kind, history: 100)
        let key = ConversationKey(tenant: "acme", id: "rex")
        var rex = await store.createConversation(key)
        for _ in 0..<10 {
            #expect(
                await store.write((0..<64).map { rex.post("message \($0)") }, by: rex) == .stored)
        }
        #expect(await store.load(key)?.head == 640)
        // Redis trims a hundred entries at a time, and the store requests it after every 64th
        // message.
        let retained = try #require(
            Int(try store.redisCLI("XLEN", "\(store.name):{s\(key.shard)}:log:acme:rex")))
        #expect((100..<300).contains(retained), "\(retained)")
    }

    @Test("are damaged without their origin, which the failure says")
    func missingOrigin() async throws {
        let store = try RedisUnderTest(.standalone, history: 100)
        let key = ConversationKey(tenant: "acme", id: "rex")
        _ = await store.createConversation(key)
        try store.redisCLI("HDEL", "\(store.name):{s\(key.shard)}:conv:acme:rex", "origin")
        guard case .failed(let failure) = await store.request(.load(key)) else {
            Issue.record("a conversation without an origin")
            return
        }
        #expect(failure.isRequestSpecific && failure.description.contains("origin is missing"))
    }

    @Test("are not created over a foreign value", arguments: RedisUnderTest.Kind.allCases)
    func foreignHash(_ kind: RedisUnderTest.Kind) async throws {
        let store = try RedisUnderTest(kind, history: 100)
        let key = ConversationKey(tenant: "acme", id: "rex")
        let hash = "\(store.name):{s\(key.shard)}:conv:acme:rex"
        try store.redisCLI("HSET", hash, "title", "mine")
        let ownerID = LoopID(incarnation: 1, loop: 0)
        let epoch = await store.claim(key.shard, by: ownerID)
        for made in [ConversationTemplate.unlisted, .listed] {
            var rex = TestOwner(key: key, id: ownerID, epoch: epoch)
            #expect(await store.write([rex.create("", made)], by: rex) == .refused([0: .damaged]))
        }
        #expect(try store.redisCLI("HKEYS", hash) == "title")
    }
}
