import Bytes
import ChatModel
import StoreTestSupport
import Testing

@Suite("The streams of a Redis store")
struct RedisStreamTests {
    @Test("keep as many messages as are asked for, and little more", arguments: RedisListTests.kinds)
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
}
