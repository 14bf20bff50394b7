import Bytes
import ChatModel
import SeededRandom
import StoreTestSupport
import TestKit
import TestTraits
import Testing

private let rex = ConversationKey(tenant: "acme", id: "rex")

@Suite("Every store that searches messages", .ownThread)
struct SearchContractTests {
    private func write(_ contents: [String], to store: any ChatStore) async -> TestOwner {
        var owner = await store.createConversation(rex)
        for first in stride(from: 0, to: contents.count, by: 500) {
            let writes = contents[first..<min(first + 500, contents.count)].map { owner.post($0) }
            #expect(await store.write(writes, by: owner) == .stored)
        }
        return owner
    }

    private func found(
        _ store: any ChatStore, _ text: String, before: SequenceNumber? = nil, limit: Int = 100
    ) async throws -> [Int] {
        try #require(await store.search(rex, text, before: before, limit: limit)).messages.map(
            \.sequence)
    }

    @Test("says so if it has no search", arguments: StoreUnderTest.available)
    func answer(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        let query = try #require(SearchQuery("word"))
        let answer = await store.request(.search(rex, query, before: nil, limit: 9)).text
        let searches = StoreUnderTest.searching.contains {
            $0.testDescription == kind.testDescription
        }
        #expect(answer == (searches ? "found [] next -" : "cannot search"))
    }

    @Test(
        "finds the messages with all words, newest first",
        arguments: StoreUnderTest.searching)
    func words(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        _ = await self.write(
            [
                "The dog barks", "A cat, and a DOG!", "doggerel", "Café au lait", "naïve cafés",
                "今日は日本語を話す", "พูดว่าสวัสดีครับ", "Straße", "one OR two", "x \"y\" * NEAR(z)",
                "hundred 100", "",
            ], to: store)
        let expectations: [(String, [Int])] = [
            ("dog", [3, 2, 1]), ("DOG cat", [2]), ("dog and", [2]), ("dogg", [3]),
            ("ba", [1]), ("og", []), ("cafe", [5, 4]), ("CAFÉ lait", [4]), ("cafes", [5]),
            ("日本", [6]), ("日", [6]), ("犬", []), ("สวัสดี", [7]), ("ส", [7]), ("straße", [8]),
            ("or", [9]), ("one OR xyz", []), ("OR", [9]), ("one OR two", [9]), ("\"y\"", [10]),
            ("y*", [10]), ("NEAR(z", [10]), ("z)", [10]), ("\"", []), ("a", [4, 2]),
            ("100", [11]), ("10", [11]), ("the NOT dog", []), ("words:dog", []),
            ("-dog", [3, 2, 1]),
            ("dog\u{0}", [3, 2, 1]), ("^dog", [3, 2, 1]), ("{dog}", [3, 2, 1]), ("dog + cat", [2]),
        ]
        for (text, numbers) in expectations where SearchQuery(text) != nil {
            #expect(try await self.found(store, text) == numbers, "\(text)")
        }
    }

    @Test(
        "finds pinned messages that have left the history, after all others",
        arguments: StoreUnderTest.searching)
    func pinned(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(5)
        var owner = await self.write(
            ["my password", "the password", "no secret", "password of all"], to: store)
        let messages = try #require(await store.page(rex, .newest)?.messages)
        _ = await store.write(messages.map { owner.pin($0) }, by: owner)
        // Enough that every store has removed the messages.
        for round in 0..<60 {
            _ = await store.write((0..<10).map { owner.post("\(round).\($0)") }, by: owner)
        }
        _ = await store.write([owner.post("password again")], by: owner)
        let head = owner.head
        #expect(try await self.found(store, "password") == [head, 4, 2, 1])
        #expect(try await self.found(store, "password", before: head) == [4, 2, 1])
        #expect(try await self.found(store, "password", before: 4) == [2, 1])
        for (before, limit, numbers, next) in [
            (nil, 1, [head], head), (head, 1, [4], 4), (4, 2, [2, 1], nil), (4, 1, [2], 2),
            (nil, 4, [head, 4, 2, 1], nil), (nil, 3, [head, 4, 2], 2), (2, 1, [1], nil),
            (1, 1, [], nil),
        ] as [(Int?, Int, [Int], Int?)] {
            let page = try #require(
                await store.search(rex, "password", before: before, limit: limit))
            #expect(page.messages.map(\.sequence) == numbers, "\(limit) before \(before ?? 0)")
            #expect(page.next == next, "\(limit) before \(before ?? 0)")
        }
        _ = await store.write(
            [
                owner.pin(messages[0], false), owner.delete(messages[1]),
                owner.edit(
                    messages[3].pinned(
                        .init(
                            isPinned: true, by: TestOwner.person("bob"), at: TestOwner.time(9)),
                        revision: owner.revision), to: "nothing of all"),
            ], by: owner)
        #expect(try await self.found(store, "password") == [head])
        #expect(try await self.found(store, "nothing") == [4])
    }

    @Test(
        "finds an edited message by its present text only, and no deleted one",
        arguments: StoreUnderTest.searching)
    func amended(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var owner = await self.write(["old dog", "old cat", "old cow"], to: store)
        let messages = try #require(await store.page(rex, .newest)?.messages)
        _ = await store.write(
            [
                owner.edit(messages[0], to: "young dog"), owner.delete(messages[1]),
                owner.react(to: messages[2], "👍"),
            ], by: owner)
        #expect(try await self.found(store, "old") == [3])
        #expect(try await self.found(store, "dog") == [1])
        #expect(try await self.found(store, "young") == [1])
        #expect(try await self.found(store, "cat") == [])
        let page = try #require(await store.search(rex, "cow"))
        let third = try #require(await store.message(rex, 3))
        #expect(page.messages.map(\.text) == [third.text])
        let first = try #require(await store.message(rex, 1))
        _ = await store.write([owner.edit(first, to: "older dog")], by: owner)
        #expect(try await self.found(store, "old") == [3, 1])
        #expect(try await self.found(store, "young") == [])
    }

    @Test("returns pages without gaps", arguments: StoreUnderTest.searching)
    func pages(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(1000)
        _ = await self.write(
            (1...700).map { $0 % 3 == 0 ? "fizz \($0)" : "\($0)" }, to: store)
        let all = (1...700).filter { $0 % 3 == 0 }.reversed()
        for limit in [1, 50, 100, 233, 1000, 0, -5] {
            let size = max(1, min(limit, 100))
            var numbers: [Int] = []
            var before: SequenceNumber?
            repeat {
                let page = try #require(
                    await store.search(rex, "fizz", before: before, limit: limit))
                numbers += page.messages.map(\.sequence)
                #expect(page.messages.count == size || page.next == nil)
                before = page.next
            } while before != nil && numbers.count < 240
            #expect(numbers == Array(all), "limit \(limit)")
        }
        #expect(try await self.found(store, "fizz", before: 10) == [9, 6, 3])
        #expect(try await self.found(store, "fizz", before: 9) == [6, 3])
        #expect(try await self.found(store, "fizz", before: 1) == [])
        for before in [0, -1, Int.min] {
            #expect(try await self.found(store, "fizz", before: before) == [])
        }
        #expect(try await self.found(store, "fizz", before: .max, limit: 1) == [699])
        // The last page has no next one, even if it is full.
        #expect(await store.search(rex, "fizz", before: 10, limit: 3)?.next == nil)
        #expect(await store.search(rex, "fizz", before: 10, limit: 2)?.next == 6)
    }

    @Test("finds no trimmed message", arguments: StoreUnderTest.searching)
    func trimmed(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(5)
        _ = await self.write((1...600).map { "word \($0)" }, to: store)
        #expect(try await self.found(store, "word") == [600, 599, 598, 597, 596])
        #expect(try await self.found(store, "595") == [])
    }

    @Test("searches one conversation only", arguments: StoreUnderTest.searching)
    func conversations(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        for number in 1...12 {
            let key = ConversationKey(tenant: "acme", id: ByteString("c\(number)"))
            var owner = await store.createConversation(key)
            _ = await store.write([owner.post("word"), owner.post("of \(number)")], by: owner)
        }
        for number in 1...12 {
            let key = ConversationKey(tenant: "acme", id: ByteString("c\(number)"))
            #expect(await store.search(key, "word")?.messages.map(\.sequence) == [1])
            #expect(await store.search(key, "\(number)")?.messages.map(\.sequence) == [2])
        }
        #expect(
            await store.search(ConversationKey(tenant: "acme", id: "none"), "word")?.messages.count
                == 0)
    }

    @Test(
        "answers random searches as the model does",
        arguments: StoreUnderTest.searching, TestRun.isLong ? [1, 2] : [1] as [UInt64])
    func matchesModel(_ kind: StoreUnderTest, seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let store = try kind.open(200)
        let model = StoreUnderTest.memory
        let expected = try model.open(200)
        var owner = await store.createConversation(rex)
        _ = await expected.createConversation(rex)
        let words = ["ab", "abc", "abcd", "b", "bc", "äb", "Abc", "日", "日本", "ส", "1", "12"]
        func text(_ count: Int) -> String {
            (0..<count).map { _ in words.randomElement(using: &random)! }.joined(separator: " ")
        }
        for _ in 0..<(TestRun.isLong ? 1500 : 500) {
            let message = await store.message(
                rex, Int.random(in: 1...max(1, owner.head), using: &random))
            var writes: [Write] = []
            switch Int.random(in: 0..<10, using: &random) {
            case 0: if let message { writes = [owner.edit(message, to: text(2))] }
            case 1: if let message { writes = [owner.delete(message)] }
            case 2, 3, 4, 5:
                writes = (0..<Int.random(in: 1...5, using: &random)).map { _ in
                    owner.post(text(Int.random(in: 0...4, using: &random)))
                }
            default:
                guard let query = SearchQuery(text(Int.random(in: 1...2, using: &random))) else {
                    continue
                }
                let request = StoreRequest.search(
                    rex, query,
                    before: Bool.random(using: &random)
                        ? nil : Int.random(in: 0...owner.head + 1, using: &random),
                    limit: Int.random(in: 1...20, using: &random))
                #expect(
                    await store.request(request).text == (await expected.request(request)).text)
            }
            guard !writes.isEmpty else { continue }
            #expect(await store.write(writes, by: owner) == .stored)
            #expect(await expected.write(writes, by: owner) == .stored)
        }
    }
}
