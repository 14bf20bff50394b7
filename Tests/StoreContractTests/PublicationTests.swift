import Bytes
import ChatModel
import StoreTestSupport
import TestKit
import TestTraits
import Testing

@Suite("A Redis store publishes a batch's publications", .programs, .ownThread)
struct PublicationTests {
    private static let key = ConversationKey(tenant: "acme", id: "rex")

    @Test("in the script that stores it, and only if the whole batch is stored")
    func published() async throws {
        let server = try RedisServer()
        let subscriber = try ChildProcess(
            Checkout.program("redis-cli"), ["-p", "\(server.port)", "SUBSCRIBE", "mail"])
        defer { subscriber.kill() }
        try subscriber.output.line("the subscription") { $0 == "subscribe" }
        let store = try RedisUnderTest(at: server.url + "?wait=0", history: 100)
        var owner = await store.createConversation(Self.key)
        var stale = owner
        stale.epoch = 99
        func write(_ write: Write, _ payload: String) async -> String {
            var batch = WriteBatch(owner: owner.id, writes: [write])
            batch.publications = [
                Publication(channel: "mail", payload: Array(payload.utf8)),
                Publication(channel: "elsewhere", payload: []),
            ]
            return await store.request(.write(batch)).text
        }
        #expect(await write(stale.post("late"), "of a refused one") == "0: fenced(1)")
        #expect(await write(owner.post("one"), "of the first") == "stored")
        #expect(await write(owner.post("two"), "of the second") == "stored")
        try subscriber.output.line("the second notice") { $0 == "of the second" }
        #expect(
            subscriber.output.lines.filter { $0.hasPrefix("of ") } == [
                "of the first", "of the second",
            ])
        #expect(
            await store.page(Self.key, .newest)?.messages.map(\.body.content) == ["one", "two"])
    }
}
