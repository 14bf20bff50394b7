import Bytes
import ChatModel
import Foundation
import SeededRandom
import StoreTestSupport
import TestKit
import Testing

@testable import EmbeddedStore

@Suite("A SQLite file with corrupted content")
struct CorruptedContentTests {
    private let folder: TemporaryFolder
    private var path: String { "\(self.folder.path)/confab.db" }

    init() throws {
        self.folder = try TemporaryFolder()
    }

    private func execute(_ sql: String) throws {
        try SQLiteConnection(path: self.path, access: .readWrite).execute(sql)
    }

    @Test("names the user or tenant with a damaged number, and serves all others")
    func damagedNumbers() async throws {
        var store = try SQLiteStore(path: self.path, history: 100)
        let first = StoreRequest.firstUserNumber
        #expect(await store.numbers(of: ["ann", "bob"]) == [first, first + 1])
        #expect(await store.nextNumber() == 1)
        store.close()
        try self.execute(
            "UPDATE numbers SET number = number + 5 WHERE user = 'ann'; UPDATE counters SET value "
                + "= 70"
        )
        store = try SQLiteStore(path: self.path, history: 100)
        let requests: [(StoreRequest, String)] = [
            (
                .numbers(of: [TestOwner.person("ann").id], tenant: "acme"),
                "the number of user ann of tenant acme"
            ),
            // ann has the highest number, which is damaged, so no number can be assigned after it.
            (
                .numbers(of: [TestOwner.person("cat").id], tenant: "acme"),
                "the number of user ann of tenant acme"
            ),
            (
                .users(numbered: [first + 5], tenant: "acme"),
                "the number of user ann of tenant acme"
            ),
            (.nextNumber(tenant: "acme"), "the counter of tenant acme"),
        ]
        for (request, subject) in requests {
            guard case .failed(let failure) = await store.request(request) else {
                return _ = Issue.record("\(request) was done")
            }
            #expect(
                failure.description
                    == "\(self.path): it is damaged: \(subject) is not what was stored"
            )
        }
        #expect(await store.numbers(of: ["bob"]) == [first + 1])
        #expect(await store.numbers(of: ["ann"], in: "other") == [first])
        #expect(await store.nextNumber(in: "other") == 1)
        store.close()
    }

    @Test(
        "is rejected, or has a prefix of the messages, if its tail is cut off",
        arguments: ["", "-wal"], TestRun.isLong ? 1...20 : 1...5 as ClosedRange<UInt64>)
    func cutTail(of part: String, seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let key = ConversationKey(tenant: "acme", id: "rex")
        let store = try SQLiteStore(path: self.path, history: 1000)
        var testOwner = await store.createConversation(key)
        for batch in 1...20 {
            let writes = (0..<Int.random(in: 1...20, using: &random)).map {
                testOwner.post("words \($0) of batch \(batch)")
            }
            #expect(await store.write(writes, by: testOwner) == .stored)
        }
        let stored = try #require(await store.page(key, .after(0), limit: .max)).messages.map(
            \.text)
        // The state after kill -9. A closed database has no log.
        if part.isEmpty { store.close() }
        let copy = "\(self.folder.path)/copy.db"
        for part in ["", "-wal"] where access(self.path + part, F_OK) == 0 {
            try FileManager.default.copyItem(atPath: self.path + part, toPath: copy + part)
        }
        if !part.isEmpty { store.close() }
        let size = try Data(contentsOf: URL(fileURLWithPath: copy + part)).count
        truncate(copy + part, Int.random(in: 0..<size, using: &random))

        guard let damaged = try? SQLiteStore(path: copy, history: 1000) else { return }
        defer { damaged.close() }
        var messages: [String] = []
        while let page = await damaged.page(key, .after(messages.count), limit: 7),
            !page.messages.isEmpty
        { messages += page.messages.map(\.text) }
        #expect(messages == Array(stored.prefix(messages.count)))
        if let loaded = await damaged.load(key),
            let last = await damaged.page(key, .newest, limit: 1)?.messages.last
        {
            #expect(last.sequence == loaded.head)
            #expect(stored.contains(last.text))
        }
    }

    @Test(
        "never returns a message that was not stored, for any flipped bits",
        arguments: TestRun.isLong ? 1...30 : 1...8 as ClosedRange<UInt64>)
    func flippedBits(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let keys = (0..<4).map { ConversationKey(tenant: "acme", id: ByteString("c\($0)")) }
        var options = SQLiteOptions(history: 0)
        options.generationSize = 40
        let store = try SQLiteStore(path: self.path, options: options)
        var stored: [ConversationKey: Set<String>] = [:]
        for key in keys {
            var testOwner = await store.createConversation(key, title: "title")
            for _ in 0..<8 {
                let writes = (0..<10).map { _ in
                    testOwner.post(
                        "words \(testOwner.head) of \(key)", clientID: "id \(testOwner.head)",
                        metadata: [1, 2, 3])
                }
                _ = await store.write(writes, by: testOwner)
            }
            let page = try #require(await store.page(key, .after(0), limit: .max))
            _ = await store.write(
                [
                    testOwner.edit(page.messages[3], to: "other words"),
                    testOwner.delete(page.messages[5]), testOwner.join("ann"),
                ], by: testOwner)
            stored[key] = Set(
                try #require(await store.page(key, .after(0), limit: .max)).messages.map(\.text))
        }
        let names = (0..<50).map { "user \($0)" }
        let numbers = try #require(await store.numbers(of: names))
        store.close()

        var bytes = try Data(contentsOf: URL(fileURLWithPath: self.path))
        for _ in 0..<Int.random(in: 1...20, using: &random) {
            bytes[Int.random(in: 0..<bytes.count, using: &random)] ^=
                1 << UInt8.random(in: 0..<8, using: &random)
        }
        try bytes.write(to: URL(fileURLWithPath: self.path))
        // Every other seed skips the integrity check at the start, as large files do.
        options.integrityCheckByteLimit = seed % 2 == 0 ? 0 : 64 << 20
        guard let damaged = try? SQLiteStore(path: self.path, options: options) else { return }
        for key in keys {
            for range in [PageRange.newest, .before(20), .after(60)] {
                guard let page = await damaged.page(key, range, limit: 15) else { continue }
                for message in page.messages {
                    #expect(stored[key]?.contains(message.text) == true, "\(message.text)")
                }
            }
            guard let loaded = await damaged.load(key) else { continue }
            #expect(loaded.record.title == "title")
            #expect(loaded.members.allSatisfy { $0.user == TestOwner.person("ann").id })
            var testOwner = TestOwner(
                key: key, id: LoopID(incarnation: 9, loop: 0),
                epoch: await damaged.claim(key.shard, by: LoopID(incarnation: 9, loop: 0)))
            testOwner.head = loaded.head
            testOwner.revision = loaded.revision
            _ = await damaged.write([testOwner.post("after the damage")], by: testOwner)
        }
        for membership in await damaged.memberships(of: "ann")?.memberships ?? [] {
            #expect(membership.record.title == "title")
            #expect(membership.member.user == TestOwner.person("ann").id)
            let last = try #require(membership.lastMessage)
            #expect(
                stored[membership.key]?.contains(last.text) == true
                    || last.body.content == "after the damage")
        }
        for (name, number) in zip(names, numbers) {
            guard let found = await damaged.numbers(of: [name])?.first else { continue }
            #expect(
                found == number || found >= StoreRequest.firstUserNumber + 50,
                "\(name) has \(found - numbers[0]), another's number")
            guard let users = await damaged.users(numbered: [number]) else { continue }
            #expect(users == [TestOwner.person(name).id] || users == [nil])
        }
        damaged.close()
    }
}
