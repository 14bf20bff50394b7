import Bytes
import ChatModel
import SeededRandom
import StoreTestSupport
import TestKit
import TestTraits
import Testing

@testable import EmbeddedStore

@Suite("The search index of a SQLite store", .ownThread)
struct SearchIndexTests {
    private static let key = ConversationKey(tenant: "acme", id: "rex")
    private let folder: TemporaryFolder
    private var path: String { "\(self.folder.path)/confab.db" }

    init() throws {
        self.folder = try TemporaryFolder()
    }

    /// - Parameter backlog: the messages that collect before the index gets them.
    private func open(history: Int = 0, backlog: Int = 1) throws -> SQLiteStore {
        var options = SQLiteOptions(history: history)
        options.generationSize = 64
        options.searchBacklogLimit = backlog
        options.searchIdleTime = .zero
        return try SQLiteStore(path: self.path, options: options)
    }

    private func number(_ sql: String) throws -> Int {
        try SQLiteConnection(path: self.path, access: .readOnly).number(sql) ?? 0
    }

    private func execute(_ sql: String) throws {
        try SQLiteConnection(path: self.path, access: .readWrite).execute(sql)
    }

    private var position: Int {
        get throws { try self.number("SELECT value FROM settings WHERE name = 'searched'") }
    }

    /// The number of messages that the index has for a word of the first conversation.
    private func indexed(_ word: String) throws -> Int {
        try self.number("SELECT count(*) FROM search WHERE search MATCH '\"1:\(word)\"'")
    }

    /// Waits until the index has all messages.
    private func awaitIndex() throws {
        _ = try Deadline.wait(for: "the index") {
            let isComplete =
                try self.position == self.number("SELECT max(position) FROM messages")
                && self.number("SELECT count(*) FROM trimmed") == 0
            return isComplete ? true : nil
        }
    }

    private func numbers(_ store: SQLiteStore, _ text: String) async throws -> [Int] {
        try #require(await store.search(Self.key, text)).messages.map(\.sequence)
    }

    @Test("gets each message when the store is idle, and has the present texts only")
    func present() async throws {
        let store = try self.open()
        var owner = await store.createConversation(Self.key)
        _ = await store.write((1...300).map { owner.post("wörd \($0)") }, by: owner)
        try self.awaitIndex()
        #expect(try self.indexed("word") == 300)
        let messages = try #require(await store.page(Self.key, .newest, limit: 3)?.messages)
        _ = await store.write(
            [
                owner.edit(messages[0], to: "other"), owner.delete(messages[1]),
                owner.react(to: messages[2], "👍"),
            ], by: owner)
        #expect(try self.indexed("word") == 298)
        #expect(try self.indexed("other") == 1)
        #expect(try self.indexed("299") == 0)
        #expect(try await self.numbers(store, "other") == [298])
        #expect(
            try await self.numbers(store, "word 29") == [
                297, 296, 295, 294, 293, 292, 291, 290, 29,
            ])
        store.close()
    }

    @Test("gets no message before enough have collected; a search finds it anyway")
    func backlog() async throws {
        let store = try self.open(backlog: 50)
        var owner = await store.createConversation(Self.key)
        _ = await store.write((1...49).map { owner.post("word \($0)") }, by: owner)
        // Later requests are answered after any earlier batch.
        for _ in 1...3 { _ = await store.request(.probe) }
        #expect(try self.position == 0)
        #expect(try await self.numbers(store, "word").count == 49)
        _ = await store.write([owner.post("word 50")], by: owner)
        try self.awaitIndex()
        _ = await store.write((51...60).map { owner.post("word \($0)") }, by: owner)
        #expect(try self.position == 50)
        #expect(try await self.numbers(store, "word") == (1...60).reversed())
        #expect(
            await store.search(Self.key, "word", before: 53, limit: 4)?.messages.map(\.sequence)
                == [52, 51, 50, 49])
        store.close()
    }

    @Test("loses the words of trimmed messages, and then these messages")
    func trimmed() async throws {
        let store = try self.open(history: 20)
        var owner = await store.createConversation(Self.key)
        for round in 0..<60 {
            _ = await store.write(
                (0..<10).map { owner.post("word \(round * 10 + $0 + 1)") }, by: owner)
            if round % 7 == 0 { try self.awaitIndex() }
        }
        try self.awaitIndex()
        #expect(try await self.numbers(store, "word") == (581...600).reversed())
        let rows = try self.number("SELECT count(*) FROM messages")
        #expect(rows < 200)
        #expect(try self.indexed("word") == rows)
        store.close()
    }

    @Test(
        "is built again if it was removed or damaged, and searches are right meanwhile",
        arguments: [
            "DROP TABLE search", "DROP TABLE search_config", "DROP TABLE search_data",
            "DELETE FROM search_data", "UPDATE search_data SET block = x'00'",
            "UPDATE search_data SET block = zeroblob(length(block)) WHERE id > 10",
            "DELETE FROM search_data WHERE id > 10",
            "DELETE FROM settings WHERE name = 'searched'",
            "UPDATE settings SET value = value + 1 WHERE name = 'searched'",
            "DELETE FROM settings WHERE name = 'search format'",
            "UPDATE settings SET value = 9 WHERE name = 'search format'",
            "DELETE FROM search_idx",
        ])
    func damaged(_ damage: String) async throws {
        var store = try self.open()
        var owner = await store.createConversation(Self.key)
        _ = await store.write((1...400).map { owner.post("word \($0)") }, by: owner)
        try self.awaitIndex()
        store.close()
        try self.execute(damage)
        store = try self.open(backlog: 1000)
        #expect(try await self.numbers(store, "word") == (301...400).reversed())
        #expect(try await self.numbers(store, "399") == [399])
        store.close()
        store = try self.open()
        owner.epoch = await store.claim(Self.key.shard, by: owner.id)
        let last = try #require(await store.page(Self.key, .newest, limit: 1)?.messages.last)
        #expect(await store.write([owner.edit(last, to: "edited")], by: owner) == .stored)
        #expect(try await self.numbers(store, "edited") == [400])
        #expect(try await self.numbers(store, "word") == (300...399).reversed())
        _ = await store.request(.probe)
        try self.awaitIndex()
        #expect(try self.indexed("word") == 399)
        #expect(try await self.numbers(store, "word") == (300...399).reversed())
        store.close()
    }

    @Test(
        "answers random searches as the model does while it is filled",
        arguments: TestRun.isLong ? [1, 2, 3] : [1] as [UInt64], [0, 40])
    func matchesModel(seed: UInt64, history: Int) async throws {
        var random = SeededGenerator(seed: seed)
        var store = try self.open(history: history, backlog: Int(seed * seed))
        let expected = MemoryStore(history: history)
        var owner = await store.createConversation(Self.key)
        var other = await store.createConversation(ConversationKey(tenant: "acme", id: "kim"))
        _ = await expected.createConversation(Self.key)
        let words = ["ab", "abc", "abcd", "b", "bc", "äb", "Abc", "日", "日本", "ส", "1", "12"]
        func text(_ count: Int) -> String {
            (0..<count).map { _ in words.randomElement(using: &random)! }.joined(separator: " ")
        }
        for _ in 0..<1500 {
            let sequence = Int.random(in: 1...max(1, owner.head), using: &random)
            let message = await store.page(Self.key, .after(sequence - 1), limit: 1)?.messages.first
            var writes: [Write] = []
            switch Int.random(in: 0..<100, using: &random) {
            case 0..<10: if let message { writes = [owner.edit(message, to: text(2))] }
            case 10..<18: if let message { writes = [owner.delete(message)] }
            case 18..<22: if let message { writes = [owner.pin(message)] }
            case 22..<60:
                writes = (0..<Int.random(in: 1...5, using: &random)).map { _ in
                    owner.post(text(Int.random(in: 0...4, using: &random)))
                }
                _ = await store.write([other.post(text(3))], by: other)
            case 60:
                store.close()
                store = try self.open(history: history, backlog: Int(seed * seed))
                owner.epoch = await store.claim(Self.key.shard, by: owner.id)
                other.epoch = await store.claim(other.key.shard, by: other.id)
                while await expected.claim(Self.key.shard, by: owner.id) < owner.epoch {}
            default:
                guard let query = SearchQuery(text(Int.random(in: 1...2, using: &random))) else {
                    continue
                }
                let request = StoreRequest.search(
                    Self.key, query,
                    before: Bool.random(using: &random)
                        ? nil : Int.random(in: 0...owner.head + 1, using: &random),
                    limit: Int.random(in: 1...20, using: &random))
                let (found, model) = (await store.request(request), await expected.request(request))
                #expect(found.text == model.text, "seed \(seed): \(request)")
            }
            guard !writes.isEmpty else { continue }
            #expect(await store.write(writes, by: owner) == .stored)
            #expect(await expected.write(writes, by: owner) == .stored)
        }
        store.close()
    }

    @Test(
        "is complete after kill -9 at any moment, and the store has what it answered",
        arguments: [UInt64(1), 2, 3])
    func killed(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let process = try TortureProcess("search", self.path)
        #expect(try process.line() == "open")
        var lines = Int.random(in: 1...400, using: &random)
        var answered = 0
        while let line = try process.line() {
            answered = try #require(Int(line))
            lines -= 1
            if lines == 0 { try process.kill() }
        }
        let store = try self.open()
        let head = try #require(await store.load(Self.key)?.head)
        #expect(head >= answered && answered > 0)
        for _ in 1...2 {
            var found: [Int] = []
            var before: SequenceNumber?
            repeat {
                let page = try #require(await store.search(Self.key, "word", before: before))
                found += page.messages.map(\.sequence)
                before = page.next
            } while before != nil
            // The process edited every tenth message.
            #expect(found == (1...head).reversed().filter { $0 % 10 != 0 || $0 == head })
            #expect(try await self.numbers(store, "edited").allSatisfy { $0 % 10 == 0 })
            _ = await store.request(.probe)
            try self.awaitIndex()
        }
        store.close()
    }
}
