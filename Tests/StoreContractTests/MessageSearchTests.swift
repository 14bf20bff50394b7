import Bytes
import ChatModel
import EventLoop
import Foundation
import StoreTestSupport
import TestTraits
import Testing

@testable import RedisStore

private let rex = ConversationKey(tenant: "acme", id: "rex")

private final class NoClient: StoreClient {
    func storeAnswered(_ answer: StoreAnswer, ticket: StoreTicket) {}
}

@Suite("Searches in Redis", .ownThread)
struct MessageSearchTests {
    private func search() throws -> MessageSearch {
        MessageSearch(
            rex, try #require(SearchQuery("word")), before: nil, limit: 1,
            for: PendingCommand.StoreRequester(client: NoClient(), ticket: 1))
    }

    @Test("run a few at a time; some wait in order, and more are refused")
    func bounds() throws {
        var searches = PendingSearches()
        var active: [MessageSearchID] = []
        for _ in 0..<PendingSearches.activeLimit {
            guard case .started(let id) = searches.add(try self.search()) else {
                Issue.record("it does not start")
                return
            }
            active.append(id)
        }
        #expect(Set(active).count == PendingSearches.activeLimit)
        for _ in 0..<PendingSearches.waitingLimit {
            guard case .waits = searches.add(try self.search()) else {
                Issue.record("it does not wait")
                return
            }
        }
        guard case .full = searches.add(try self.search()) else {
            Issue.record("it is not refused")
            return
        }
        for _ in 0..<PendingSearches.waitingLimit {
            let ended = searches.end(active.removeFirst())
            let next = try #require(ended)
            #expect(searches[next] != nil)
            active.append(next)
        }
        for id in active {
            let next = searches.end(id)
            #expect(next == nil && searches[id] == nil)
            let again = searches.end(id)
            #expect(again == nil, "it ends once")
        }
        guard case .started = searches.add(try self.search()) else {
            Issue.record("there is no place although none is active")
            return
        }
    }

    @Test("read several pages of the stream, and answer all of many requests at once", .programs)
    func manyPages() async throws {
        let store = try RedisUnderTest(.standalone, history: 2000)
        var owner = await store.createConversation(rex)
        for part in 0..<4 {
            let writes = (1...500).map { number in
                owner.post((500 * part + number) % 400 == 1 ? "a Needle, here" : "hay")
            }
            #expect(await store.write(writes, by: owner) == .stored)
        }
        let found = try #require(await store.search(rex, "need", limit: 100))
        #expect(found.messages.map(\.sequence) == [1601, 1201, 801, 401, 1] && found.next == nil)
        let first = try #require(await store.search(rex, "needle", limit: 2))
        #expect(first.messages.map(\.sequence) == [1601, 1201] && first.next == 1201)
        let second = try #require(await store.search(rex, "needle", before: 1201, limit: 3))
        #expect(second.messages.map(\.sequence) == [801, 401, 1] && second.next == nil)

        let answers = AnswerCollector()
        let query = try #require(SearchQuery("needle"))
        let count = PendingSearches.activeLimit + PendingSearches.waitingLimit + 20
        for _ in 0..<count {
            answers.submit(.search(rex, query, before: nil, limit: 9), to: store)
        }
        var (complete, refused) = (0, 0)
        for (_, answer) in await answers.answers(count) {
            switch answer {
            case .found(let page) where page.messages.count == 5: complete += 1
            case .failed(let failure) where failure.effect == .none: refused += 1
            default: Issue.record("\(answer.text)")
            }
        }
        #expect(complete + refused == count && complete >= count - 20)
    }

    /// Measures how long a search of 10,000 messages of 12 words occupies the loop.
    @Test(
        "need little of a loop's time", .programs,
        .enabled(if: ProcessInfo.processInfo.environment["CONFAB_MEASURE"] != nil))
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
            let before = await store.loopTime()
            let page = try #require(await store.search(rex, text, limit: 20))
            let spent = await store.loopTime() - before
            print("\(text): \(page.messages.count) found, \(spent) of the loop's time")
        }
    }
}
