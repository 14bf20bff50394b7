import Bytes
import ChatModel
import StoreTestSupport
import TestKit
import TestTraits
import Testing

@Suite("The reads of a Redis store", .programs, .ownThread)
struct InterruptedReadTests {
    @Test("whose connection breaks are sent again, and answered")
    func brokenConnection() async throws {
        let server = try RedisServer()
        let proxy = try FaultProxy(to: server.port)
        let store = try RedisUnderTest(
            at: "redis://127.0.0.1:\(proxy.port)", history: 100, isPatient: true)
        let key = ConversationKey(tenant: "acme", id: "rex")
        var rex = await store.createConversation(key)
        #expect(await store.write([rex.post("hello"), rex.join("ann")], by: rex) == .stored)
        let ann = UserID(tokenSubject: "ann")
        let requests: [StoreRequest] = [
            .page(key, .newest, limit: 10), .unread(key, after: 0, by: ann),
            .memberships(of: ann, tenant: "acme", after: nil, limit: 10, unreadLimit: 0),
            .numbers(of: [ann], tenant: "acme"),
        ]
        func executedScripts() throws -> Int {
            let line = try server.execute("INFO", "commandstats").split(whereSeparator: \.isNewline)
                .first { $0.hasPrefix("cmdstat_evalsha:") }
            return line?.firstMatch(of: /calls=([0-9]+)/).flatMap { Int($0.1) } ?? 0
        }
        let executed = try executedScripts()

        proxy.set(.stalled(.toClient))
        let collector = AnswerCollector()
        for request in requests { collector.submit(request, to: store) }
        try Deadline.wait(
            for: "Redis to execute them",
            untilTrue: { try executedScripts() >= executed + requests.count })
        proxy.set(.reset)
        proxy.set(.normal)
        for (_, answer) in await collector.answers(requests.count) {
            if case .failed(let failure) = answer { Issue.record("\(failure)") }
        }
    }
}
