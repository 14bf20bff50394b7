import Bytes
import ChatModel
import EventLoop
import Foundation
import StoreTestSupport
import TestTraits
import Testing

@testable import RedisStore

private let rex = ConversationKey(tenant: "acme", id: "rex")

@Suite("Searches in Redis", .programs, .ownThread)
struct MessageSearchTests {
    /// Writes 2,000 messages; each 400th has a needle.
    private func haystack(_ store: RedisUnderTest) async -> TestOwner {
        var owner = await store.createConversation(rex)
        for part in 0..<4 {
            let writes = (1...500).map { number in
                owner.post((500 * part + number) % 400 == 1 ? "a Needle, here" : "hay")
            }
            #expect(await store.write(writes, by: owner) == .stored)
        }
        return owner
    }

    @Test("read several pages of the stream, and refuse more requests than may wait")
    func manyPages() async throws {
        let store = try RedisUnderTest(.standalone, history: 3000)
        _ = await self.haystack(store)
        let found = try #require(await store.search(rex, "need", limit: 100))
        #expect(found.messages.map(\.sequence) == [1601, 1201, 801, 401, 1] && found.next == nil)
        let first = try #require(await store.search(rex, "needle", limit: 2))
        #expect(first.messages.map(\.sequence) == [1601, 1201] && first.next == 1201)
        let second = try #require(await store.search(rex, "needle", before: 1201, limit: 3))
        #expect(second.messages.map(\.sequence) == [801, 401, 1] && second.next == nil)

        let answers = AnswerCollector()
        let query = try #require(SearchQuery("needle"))
        let count = SearchAdmission.countLimit + 20
        for _ in 0..<count {
            answers.submit(.search(rex, query, before: nil, limit: 9), to: store)
        }
        var (complete, refused) = (0, 0)
        for (_, answer) in await answers.answers(count) {
            switch answer {
            case .found(let page) where page.messages.count == 5: complete += 1
            case .searchRefused(.nodeIsBusy): refused += 1
            default: Issue.record("\(answer.text)")
            }
        }
        #expect(complete + refused == count && complete >= SearchAdmission.countLimit)
    }

    /// Blocks the thread of searches until the returned closure is called.
    private func blockSearches(of store: RedisUnderTest) -> @Sendable () -> Void {
        let gate = DispatchSemaphore(value: 0)
        store.searchLoop.execute { _ = gate.wait(timeout: .now() + 60) }
        return { gate.signal() }
    }

    @Test("let the loop read, write and list meanwhile: it parses none of their pages")
    func ownThread() async throws {
        let store = try RedisUnderTest(.standalone, history: 3000)
        var owner = await self.haystack(store)
        let answers = AnswerCollector()
        let query = try #require(SearchQuery("needle"))
        let unblock = self.blockSearches(of: store)
        answers.submit(.search(rex, query, before: nil, limit: 9), to: store)
        #expect(await store.page(rex, .newest, limit: 9)?.messages.count == 9)
        #expect(await store.write([owner.post("later")], by: owner) == .stored)
        #expect(await store.memberships(of: "ann") != nil)
        #expect(answers.answers.isEmpty)
        unblock()
        guard case .found(let page) = await answers.answers(1)[0].answer else {
            Issue.record("nothing was found")
            return
        }
        #expect(page.messages.count == 5)
    }

    @Test("end when their client is gone")
    func cancelled() async throws {
        let store = try RedisUnderTest(.standalone, history: 3000)
        _ = await self.haystack(store)
        let admission = SearchAdmission()
        let permit = try admission.begin(
            for: .user(UserID(tokenSubject: "ann"), tenant: "acme"))
        let answers = AnswerCollector()
        let query = try #require(SearchQuery("needle"))
        let unblock = self.blockSearches(of: store)
        answers.submit(.search(rex, query, before: nil, limit: 9, permit: permit), to: store)
        permit.cancel()
        unblock()
        guard case .searchRefused(.cancelled) = await answers.answers(1)[0].answer else {
            Issue.record("it was not cancelled")
            return
        }
    }

    @Test("find the present text of messages with reactions, edits and replies, as a whole")
    func amended() async throws {
        let store = try RedisUnderTest(.standalone, history: 3000)
        var owner = await self.haystack(store)
        let message = try #require(await store.message(rex, 801))
        _ = await store.write([owner.react(to: message, "👍")], by: owner)
        let reply = owner.post("needle", reply: Reply(to: 801, thread: 801))
        _ = await store.write([reply], by: owner)
        let page = try #require(await store.search(rex, "needle"))
        #expect(page.messages.map(\.sequence) == [2001, 1601, 1201, 801, 401, 1])
        for found in page.messages {
            let stored = try #require(await store.message(rex, found.sequence))
            #expect(found.text == stored.text)
        }
    }

    @Test("read texts of any size in small pages")
    func largeTexts() async throws {
        let store = try RedisUnderTest(.standalone, history: 3000)
        var owner = await store.createConversation(rex)
        let hay = String(repeating: "Grüße ", count: 1000)
        for number in 1...10 {
            let writes = (1...40).map { owner.post($0 == 7 ? hay + "needle \(number)" : hay) }
            #expect(await store.write(writes, by: owner) == .stored)
        }
        let page = try #require(await store.search(rex, "gru needle"))
        #expect(page.messages.isEmpty)
        let found = try #require(await store.search(rex, "grüße need"))
        #expect(found.messages.map(\.sequence) == (0..<10).reversed().map { 40 * $0 + 7 })
    }

    /// Measures what a search of 10,000 messages of 12 words costs the loop and the searches'
    /// thread.
    @Test(
        "need little time",
        .enabled(
            if: ProcessInfo.processInfo.environment["CONFAB_MEASURE"] != nil,
            "Measures, and judges nothing: set CONFAB_MEASURE"))
    func loopTime() async throws {
        let store = try RedisUnderTest(.standalone, history: 10_000)
        var owner = await store.createConversation(rex)
        for _ in 0..<20 {
            let writes = (0..<500).map { _ in
                owner.post("The quick brown foxes jump over one of the lazy sleeping dogs")
            }
            #expect(await store.write(writes, by: owner) == .stored)
        }
        for text in ["fox", "dogs wolf", "quick brown fox"] {
            let before = await store.loopTimes()
            let page = try #require(await store.search(rex, text, limit: 20))
            let after = await store.loopTimes()
            print(
                "\(text): \(page.messages.count) found, \(after.store - before.store) of the loop, "
                    + "\(after.searches - before.searches) of the searches' thread")
        }
    }
}
