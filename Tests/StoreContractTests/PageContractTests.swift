import Bytes
import ChatModel
import StoreTestSupport
import TestTraits
import Testing

private let rex = ConversationKey(tenant: "acme", id: "rex")

@Suite("Every store, when a page has many bytes,", .ownThread)
struct PageContractTests {
    @Test(
        "ends a page at a number of bytes, and says whether more messages follow",
        arguments: StoreUnderTest.available)
    func pageBytes(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var owner = await store.createConversation(rex)
        let root = Reply(to: 1, thread: 1)
        let writes = (1...8).map {
            owner.post(String(repeating: "\($0)", count: 1000), reply: $0 == 1 ? nil : root)
        }
        #expect(await store.write(writes, by: owner) == .stored)
        let expectations: [(PageRange, PageLimit, [Int], Bool)] = [
            (.newest, PageLimit(messages: 9, bytes: 2500), [6, 7, 8], true),
            (.before(6), PageLimit(messages: 9, bytes: 2500), [3, 4, 5], true),
            (.before(3), PageLimit(messages: 9, bytes: 2500), [1, 2], false),
            (.after(0), PageLimit(messages: 9, bytes: 2500), [1, 2, 3], true),
            (.after(5), PageLimit(messages: 9, bytes: 2500), [6, 7, 8], false),
            // Never fewer than one message, whatever its size.
            (.newest, PageLimit(messages: 9, bytes: 1), [8], true),
            (.before(2), PageLimit(messages: 9, bytes: 1), [1], false),
            (.after(7), PageLimit(messages: 9, bytes: 1), [8], false),
            (.newest, PageLimit(messages: 3, bytes: 2500), [6, 7, 8], true),
            (.newest, 8, Array(1...8), false), (.newest, 7, Array(2...8), true),
            (.after(0), 8, Array(1...8), false), (.after(0), 7, Array(1...7), true),
            (.after(8), 9, [], false), (.before(1), 9, [], false),
        ]
        for (range, limit, numbers, hasMore) in expectations {
            let page = try #require(await store.page(rex, range, within: limit))
            #expect(page.messages.map(\.sequence) == numbers, "\(range) \(limit)")
            #expect(page.hasMore == hasMore, "\(range) \(limit)")
            let thread = try #require(
                await store.thread(rex, 1, range, limit: limit.messages, bytes: limit.bytes))
            #expect(thread.messages.map(\.sequence) == numbers, "thread \(range) \(limit)")
            #expect(thread.hasMore == hasMore, "thread \(range) \(limit)")
        }
        // The present text counts.
        let long = String(repeating: "é", count: 2000)
        for message in try #require(await store.page(rex, .after(5))).messages {
            _ = await store.write([owner.edit(message, to: long)], by: owner)
        }
        let limit = PageLimit(messages: 9, bytes: 6000)
        #expect(
            await store.page(rex, .newest, within: limit)?.messages.map(\.sequence) == [7, 8])
        let amended = try #require(
            await store.amended(rex, through: 8, since: 0, limit: 9, bytes: 6000))
        #expect(amended.amended.map(\.sequence) == [6, 7])
        #expect(amended.hasMore)
        let rest = try #require(
            await store.amended(rex, through: 8, since: amended.amended[1].revision, limit: 9))
        #expect(rest.amended.map(\.sequence) == [8])
        #expect(!rest.hasMore)
    }

    @Test(
        "returns the pages of long histories without a gap, whatever their bytes",
        arguments: StoreUnderTest.available)
    func pagesOfBytes(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(300)
        var owner = await store.createConversation(rex)
        for first in stride(from: 0, to: 400, by: 100) {
            let writes = (first..<first + 100).map {
                owner.post(String(repeating: "x", count: $0 * 37 % 900))
            }
            #expect(await store.write(writes, by: owner) == .stored)
        }
        var newestFirst: [Int] = []
        var oldestFirst: [Int] = []
        var page = try #require(
            await store.page(rex, .newest, within: PageLimit(messages: 200, bytes: 20_000)))
        newestFirst += page.messages.map(\.sequence).reversed()
        while page.hasMore, let first = page.messages.first?.sequence {
            page = try #require(
                await store.page(
                    rex, .before(first), within: PageLimit(messages: 200, bytes: 20_000)))
            newestFirst += page.messages.map(\.sequence).reversed()
        }
        page = try #require(
            await store.page(rex, .after(0), within: PageLimit(messages: 200, bytes: 20_000)))
        oldestFirst += page.messages.map(\.sequence)
        while page.hasMore, let last = page.messages.last?.sequence {
            page = try #require(
                await store.page(
                    rex, .after(last), within: PageLimit(messages: 200, bytes: 20_000)))
            oldestFirst += page.messages.map(\.sequence)
        }
        #expect(oldestFirst == Array(101...400))
        #expect(newestFirst == oldestFirst.reversed())
    }
}
