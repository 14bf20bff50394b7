import Bytes
import ChatModel
import StoreTestSupport
import Testing

@Suite("The conversations of a Redis store")
struct RedisConversationTests {
    @Test("have streams of as many messages as are asked for, and little more", arguments: RedisUnderTest.Kind.allCases)
    func trimming(_ kind: RedisUnderTest.Kind) async throws {
        let store = try RedisUnderTest(kind, history: 100)
        let key = ConversationKey(tenant: "acme", id: "rex")
        var rex = await store.begin(key)
        for _ in 0..<10 {
            #expect(await store.write((0..<64).map { rex.say("message \($0)") }, by: rex) == .stored)
        }
        #expect(await store.load(key)?.head == 640)
        // Redis drops a hundred at a time, and is asked to after every 64th.
        let kept = try #require(Int(try store.ask(redis: "XLEN", "\(store.name):{s\(key.shard)}:log:acme:rex")))
        #expect((100..<300).contains(kept), "\(kept)")
    }

    @Test("are not made of what is none of ours", arguments: RedisUnderTest.Kind.allCases)
    func foreignHash(_ kind: RedisUnderTest.Kind) async throws {
        let store = try RedisUnderTest(kind, history: 100)
        let key = ConversationKey(tenant: "acme", id: "rex")
        let hash = "\(store.name):{s\(key.shard)}:conv:acme:rex"
        try store.ask(redis: "HSET", hash, "title", "mine")
        let owner = OwnerID(incarnation: 1, loop: 0)
        let epoch = await store.claim(key.shard, by: owner)
        for made in [ConversationRecord.Kind.conversations, .rooms] {
            var rex = Scribe(key: key, owner: owner, epoch: epoch)
            #expect(await store.write([rex.create(kind: made)], by: rex) == .refused([0: .damaged]))
        }
        #expect(try store.ask(redis: "HKEYS", hash) == "title")
    }
}
