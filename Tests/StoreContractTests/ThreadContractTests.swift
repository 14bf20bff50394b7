import Bytes
import ChatModel
import StoreTestSupport
import TestTraits
import Testing

private let rex = ConversationKey(tenant: "acme", id: "rex")

@Suite("Every store, when messages reply to others,", .ownThread)
struct ThreadContractTests {
    /// Messages 1 to 8. 3, 5 and 8 reply in the thread of 1, and 6 in that of 4.
    private func writeThreads(_ store: any ChatStore) async -> TestOwner {
        var owner = await store.createConversation(rex)
        let replies: [Int: Reply] = [
            3: Reply(to: 1, thread: 1), 5: Reply(to: 3, thread: 1), 6: Reply(to: 4, thread: 4),
            8: Reply(to: 1, thread: 1),
        ]
        let writes = (1...8).map { owner.post("\($0)", reply: replies[$0]) }
        #expect(await store.write(writes, by: owner) == .stored)
        return owner
    }

    @Test("returns the pages of a thread, always oldest first", arguments: StoreUnderTest.available)
    func pages(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        _ = await self.writeThreads(store)
        let expectations: [(PageRange, Int, [Int])] = [
            (.newest, 9, [1, 3, 5, 8]), (.newest, 2, [5, 8]), (.newest, 0, []), (.newest, -1, []),
            (.newest, .max, [1, 3, 5, 8]), (.before(8), 2, [3, 5]), (.before(5), 9, [1, 3]),
            (.before(4), 1, [3]), (.before(1), 9, []), (.before(.min), 9, []),
            (.before(.max), 1, [8]), (.after(0), 2, [1, 3]), (.after(1), 9, [3, 5, 8]),
            (.after(4), 1, [5]), (.after(8), 9, []), (.after(.max), 9, []),
            (.after(.min), .max, [1, 3, 5, 8]),
        ]
        for (range, limit, numbers) in expectations {
            let page = try #require(await store.thread(rex, 1, range, limit: limit))
            #expect(page.messages.map(\.sequence) == numbers, "\(range), \(limit)")
            #expect(page.head == 8 && page.oldest == 1 && page.revision == 9)
            #expect(
                page.threads
                    == (numbers.contains(1) ? [1: ThreadSummary(replyCount: 3, lastReply: 8)] : [:])
            )
        }
        #expect(await store.thread(rex, 4)?.messages.map(\.sequence) == [4, 6])
        #expect(await store.thread(rex, 7)?.messages.map(\.sequence) == [7])
        #expect(await store.thread(rex, 7)?.threads.isEmpty == true)
        for root in [0, 9, -1, Int.max, .min] {
            #expect(await store.thread(rex, root)?.messages.count == 0)
        }
        #expect(
            await store.request(
                .thread(
                    ConversationKey(tenant: "acme", id: "none"), root: 1, .newest, limit: 9)
            ).text == MessagePage(messages: [], head: 0, oldest: 1, revision: 0).text)
    }

    @Test("counts the replies of the threads on a page", arguments: StoreUnderTest.available)
    func summaries(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var owner = await self.writeThreads(store)
        let all = [
            1: ThreadSummary(replyCount: 3, lastReply: 8),
            4: ThreadSummary(replyCount: 1, lastReply: 6),
        ]
        #expect(await store.page(rex, .newest)?.threads == all)
        #expect(await store.page(rex, .after(1))?.threads == [4: all[4]!])
        #expect(await store.page(rex, .after(4))?.threads.isEmpty == true)
        // A deleted reply stays a place of the thread.
        let reply = try #require(await store.message(rex, 5))
        _ = await store.write([owner.delete(reply)], by: owner)
        #expect(await store.page(rex, .newest)?.threads == all)
        let thread = try #require(await store.thread(rex, 1)?.messages)
        #expect(thread.map(\.state) == [.asSent, .asSent, .deleted, .asSent])
        let root = try #require(thread.first)
        _ = await store.write(
            [owner.delete(root), owner.post("9", reply: Reply(to: 1, thread: 1))], by: owner)
        #expect(
            await store.thread(rex, 1, .newest, limit: 9)?.threads == [
                1: ThreadSummary(replyCount: 4, lastReply: 9)
            ])
    }

    @Test(
        "adds the messages that are replied to and are not on the page, in their present state",
        arguments: StoreUnderTest.available)
    func targets(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var owner = await self.writeThreads(store)
        func targets(_ page: MessagePage?) throws -> [Int] {
            try #require(page).replyTargets.map(\.sequence).sorted()
        }
        #expect(try targets(await store.page(rex, .newest)) == [])
        #expect(try targets(await store.page(rex, .after(2))) == [1])
        #expect(try targets(await store.page(rex, .after(4))) == [1, 3, 4])
        #expect(try targets(await store.page(rex, .after(6), limit: 1)) == [])
        #expect(try targets(await store.thread(rex, 1)) == [])
        #expect(try targets(await store.thread(rex, 1, .after(3))) == [1, 3])
        #expect(try targets(await store.changes(rex, after: 7, since: 0)) == [])

        let messages = try #require(await store.page(rex, .newest)?.messages)
        _ = await store.write(
            [owner.edit(messages[0], to: "eins"), owner.delete(messages[2])], by: owner)
        let page = try #require(await store.page(rex, .after(4)))
        #expect(page.message(1)?.text == messages[0].edited(to: "eins", revision: 10).text)
        #expect(page.message(3)?.text == messages[2].deleted(revision: 11).text)
        #expect(page.message(4)?.text == messages[3].text)
    }

    @Test(
        "returns the replies of a thread whose root is trimmed, until they are trimmed too",
        arguments: StoreUnderTest.available)
    func trimmed(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(6)
        var owner = await self.writeThreads(store)
        // Retained: 3 to 8.
        let expectations: [(PageRange, Int, [Int], Bool)] = [
            (.newest, 9, [3, 5, 8], false), (.newest, 2, [5, 8], true),
            (.before(8), 9, [3, 5], false), (.after(0), 2, [3, 5], true),
            (.after(3), 9, [5, 8], false), (.before(3), 9, [], false),
        ]
        for (range, limit, numbers, hasMore) in expectations {
            let thread = try #require(await store.thread(rex, 1, range, limit: limit))
            #expect(thread.messages.map(\.sequence) == numbers, "\(range), \(limit)")
            #expect(thread.hasMore == hasMore, "\(range), \(limit)")
            #expect(thread.threads.isEmpty)
        }
        #expect(await store.thread(rex, 2)?.messages.count == 0)
        #expect(await store.thread(rex, 4)?.messages.map(\.sequence) == [4, 6])
        let page = try #require(await store.page(rex, .newest))
        #expect(page.threads == [4: ThreadSummary(replyCount: 1, lastReply: 6)])
        #expect(page.replyTargets.isEmpty)
        #expect(page.messages.first?.body.annotations?.reply == Reply(to: 1, thread: 1))
        #expect(await store.page(rex, .after(4))?.replyTargets.map(\.sequence).sorted() == [3, 4])
        for round in 0..<60 {
            let writes = (0..<10).map { _ in
                owner.post("\(round)", reply: Reply(to: owner.head, thread: 4))
            }
            #expect(await store.write(writes, by: owner) == .stored)
        }
        #expect(await store.thread(rex, 1)?.messages.count == 0)
        #expect(
            await store.thread(rex, 4)?.messages.map(\.sequence)
                == Array(owner.head - 5...owner.head))
        #expect(await store.page(rex, .newest)?.threads.isEmpty == true)
        #expect(await store.page(rex, .newest)?.messages.count == 6)
        for round in 0..<60 {
            _ = await store.write((0..<10).map { owner.post("\(round).\($0)") }, by: owner)
        }
        #expect(await store.thread(rex, 4)?.messages.count == 0)
        // A late reply to a root that is trimmed is the thread's only message.
        _ = await store.write([owner.post("late", reply: Reply(to: 4, thread: 4))], by: owner)
        #expect(await store.thread(rex, 4)?.messages.map(\.body.content) == ["late"])
    }
}
