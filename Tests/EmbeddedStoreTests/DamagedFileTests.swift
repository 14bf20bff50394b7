import Bytes
import ChatModel
import Foundation
import SeededRandom
import StoreTestSupport
import TestKit
import Testing

@testable import EmbeddedStore

@Suite("A damaged or foreign SQLite file")
struct DamagedFileTests {
    private let folder: TemporaryFolder
    private var path: String { "\(self.folder.path)/confab.db" }

    init() throws {
        self.folder = try TemporaryFolder()
    }

    private func openingFailure(path: String? = nil) -> String {
        do {
            _ = try LocalStore.sqlite(path: path ?? self.path, history: 100)
            return "opened"
        } catch {
            return error.description
        }
    }

    private func execute(_ sql: String) throws {
        try SQLiteConnection(path: self.path, access: .readWrite).execute(sql)
    }

    @Test("is reported with its folder if the folder does not exist")
    func missingFolder() {
        let path = "\(self.folder.path)/nowhere/confab.db"
        #expect(
            self.openingFailure(path: path)
                == "\(path): the folder \(self.folder.path)/nowhere does not exist")
    }

    @Test("is reported if it is a folder")
    func isFolder() {
        #expect(
            self.openingFailure(path: self.folder.path) == "\(self.folder.path): it is not a file")
    }

    @Test("is rejected if a newer Confab wrote it")
    func newerLayout() throws {
        try LocalStore.sqlite(path: self.path, history: 100).close()
        try self.execute("PRAGMA user_version = 1000")
        #expect(
            self.openingFailure()
                == "\(self.path): it was written by a newer Confab (layout 1000); this one knows layouts up to \(Schema.version)"
        )
    }

    @Test("is rejected and unchanged if it belongs to another program")
    func foreignFile() throws {
        try self.execute("CREATE TABLE recipes (name TEXT)")
        let before = try Data(contentsOf: URL(fileURLWithPath: self.path))
        #expect(self.openingFailure() == "\(self.path): it is not a Confab database")
        #expect(try Data(contentsOf: URL(fileURLWithPath: self.path)) == before)
        try Data(
            "no database at all, and long enough to have a header; but what is in it is text, and more of it than a header has. ok."
                .utf8
        )
        .write(to: URL(fileURLWithPath: self.path))
        #expect(
            self.openingFailure().hasPrefix(
                "\(self.path): it is no SQLite database, or its beginning is damaged"))
    }

    @Test(
        "is rejected if it is not writable",
        .enabled(if: geteuid() != 0, "the superuser may write everything"))
    func readOnly() throws {
        try LocalStore.sqlite(path: self.path, history: 100).close()
        try FileManager.default.setAttributes([.posixPermissions: 0o400], ofItemAtPath: self.path)
        #expect(self.openingFailure() == "\(self.path): this user may not write it")
    }

    @Test("is migrated to the current layout from every older one")
    func migration() async throws {
        for version in 1...Schema.version {
            let path = "\(self.folder.path)/from-\(version).db"
            let connection = try SQLiteConnection(path: path, access: .readWrite)
            for step in 0..<version { try connection.execute(Schema.steps[step]) }
            try connection.execute(
                "PRAGMA application_id = \(Schema.applicationID); PRAGMA user_version = \(version)")
            let store = try LocalStore.sqlite(path: path, history: 100)
            var scribe = await store.createConversation(ConversationKey(tenant: "acme", id: "rex"))
            #expect(await store.write([scribe.post("hello")], by: scribe) == .stored)
            store.close()
            #expect(
                try SQLiteConnection(path: path, access: .readOnly).number("PRAGMA user_version")
                    == Schema.version)
        }
    }

    @Test(
        "rejects writes after it was deleted or replaced",
        arguments: ["", "-wal", "-shm"])
    func removedOrReplaced(suffix: String) async throws {
        let store = try LocalStore.sqlite(path: self.path, history: 100)
        var scribe = await store.createConversation(ConversationKey(tenant: "acme", id: "rex"))
        try FileManager.default.moveItem(
            atPath: self.path + suffix, toPath: "\(self.folder.path)/away")
        let answer = await store.request(
            .write(WriteBatch(owner: scribe.id, writes: [scribe.post("lost")])))
        guard case .failed(let failure) = answer else {
            return _ = Issue.record("answered \(answer.text)")
        }
        let what =
            "was removed or replaced while it was in use: put it back as it was, or restore a backup and restart"
        #expect(failure.description == "\(self.path)\(suffix) \(what)")
        #expect(failure.effect == .rejected)
        #expect(await store.request(.probe).text == "failed")
        #expect(await store.request(.load(scribe.key)).text == "failed")
        try FileManager.default.moveItem(
            atPath: "\(self.folder.path)/away", toPath: self.path + suffix)
        #expect(await store.request(.probe).text == "done")
        #expect(await store.load(scribe.key)?.head == 0)
        store.close()
    }

    @Test(
        "rejects reads and writes after others changed it, and stays unchanged on close",
        arguments: [
            "truncated", "truncated log", "log without beginning", "another database",
            "another page",
        ])
    func changedByOthers(_ change: String) async throws {
        let store = try LocalStore.sqlite(path: self.path, history: 100)
        var scribe = await store.createConversation(ConversationKey(tenant: "acme", id: "rex"))
        #expect(await store.write([scribe.post("stored")], by: scribe) == .stored)
        switch change {
        case "truncated": truncate(self.path, 0)
        case "truncated log": truncate(self.path + "-wal", 0)
        case "log without beginning":
            let size = try Data(contentsOf: URL(fileURLWithPath: self.path + "-wal")).count
            truncate(self.path + "-wal", 0)
            truncate(self.path + "-wal", size + 4096)
        case "another database":
            let other = "\(self.folder.path)/other.db"
            try LocalStore.sqlite(path: other, history: 100).close()
            let file = try #require(FileHandle(forWritingAtPath: self.path))
            try file.truncate(atOffset: 0)
            try file.write(contentsOf: Data(contentsOf: URL(fileURLWithPath: other)))
            try file.close()
        default:
            let file = try FileHandle(forUpdating: URL(fileURLWithPath: self.path))
            let bytes = try #require(try file.read(upToCount: 100))
            try file.seek(toOffset: 0)
            try file.write(contentsOf: bytes)
            try file.close()
        }
        let answer = await store.request(
            .write(WriteBatch(owner: scribe.id, writes: [scribe.post("lost")])))
        guard case .failed(let failure) = answer else {
            return _ = Issue.record("answered \(answer.text)")
        }
        #expect(failure.effect == .rejected)
        #expect(failure.description.hasPrefix(self.path))
        #expect(await store.request(.probe).text == "failed")
        #expect(await store.request(.page(scribe.key, .newest, limit: 9)).text == "failed")
        let before = try [self.path, self.path + "-wal"].map {
            try Data(contentsOf: URL(fileURLWithPath: $0))
        }
        store.close()
        #expect(
            try [self.path, self.path + "-wal"].map {
                try Data(contentsOf: URL(fileURLWithPath: $0))
            } == before)
    }

    @Test("stays valid after many checkpoints")
    func checkpoints() async throws {
        let store = try LocalStore.sqlite(path: self.path, history: 10)
        var scribe = await store.createConversation(ConversationKey(tenant: "acme", id: "rex"))
        let words = String(repeating: "x", count: 16_000)
        // Each batch exceeds the size limit of the log.
        for _ in 0..<4 {
            #expect(
                await store.write((0..<700).map { _ in scribe.post(words) }, by: scribe) == .stored)
            #expect(await store.write([scribe.post("short")], by: scribe) == .stored)
        }
        #expect(await store.request(.probe).text == "done")
        #expect(await store.load(scribe.key)?.head == 2804)
        store.close()
    }

    @Test("is unchanged by a transaction that finds no space and is retried")
    func fullDatabase() async throws {
        let file = try DatabaseFile(path: self.path)
        let options = SQLiteOptions(history: 100)
        let connection = try file.openForWriting(options)
        let writer = try SQLiteWriter(
            file: file, connection: connection, unindexed: UnindexedMessages(), options: options)
        let owner = LoopID(incarnation: 1, loop: 0)
        let keys = (0..<3).map { ConversationKey(tenant: "acme", id: ByteString("c\($0)")) }
        for key in keys { _ = try writer.perform([.claim(shard: key.shard, owner: owner)]) }
        var scribes = keys.map { TestOwner(key: $0, id: owner, epoch: 1) }
        _ = try writer.perform([
            .write(WriteBatch(owner: owner, writes: [scribes[0].create(), scribes[0].post("one")]))
        ])

        try connection.execute("PRAGMA max_page_count = 1")
        let before = scribes
        let large = String(repeating: "x", count: 100_000)
        let requests: [StoreRequest] = [
            .write(
                WriteBatch(
                    owner: owner,
                    writes: [scribes[0].post("two"), scribes[1].create(), scribes[1].post(large)])),
            .claim(shard: keys[0].shard, owner: LoopID(incarnation: 2, loop: 0)),
        ]
        #expect {
            try writer.perform(requests)
        } throws: { error in
            (error as? StorageFault)?.storeFailure(path: self.path).description.hasPrefix(
                "\(self.path): the disk is full") == true
        }
        try connection.execute("PRAGMA max_page_count = 1000000")

        scribes = before
        let answers = try writer.perform([
            .write(
                WriteBatch(
                    owner: owner,
                    writes: [scribes[0].post("two"), scribes[1].create(), scribes[1].post(large)]))
        ])
        #expect(answers.map(\.text) == ["stored"])
        let reader = try SQLiteReader(
            connection: try file.openForReading(options), unindexed: writer.unindexed,
            options: options)
        guard case .page(let page) = try reader.answer(.page(keys[0], .newest, limit: 9)) else {
            return _ = Issue.record("no page")
        }
        #expect(page.messages.map(\.body.content) == ["one", "two"])
    }

    @Test("names the user or tenant with a damaged number, and serves all others")
    func damagedNumbers() async throws {
        var store = try LocalStore.sqlite(path: self.path, history: 100)
        let first = StoreRequest.firstUserNumber
        #expect(await store.numbers(of: ["ann", "bob"]) == [first, first + 1])
        #expect(await store.nextNumber() == 1)
        store.close()
        try self.execute(
            "UPDATE numbers SET number = number + 5 WHERE user = 'ann'; UPDATE counters SET value = 70"
        )
        store = try LocalStore.sqlite(path: self.path, history: 100)
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
        for (request, what) in requests {
            guard case .failed(let failure) = await store.request(request) else {
                return _ = Issue.record("\(request) was done")
            }
            #expect(
                failure.description == "\(self.path): it is damaged: \(what) is not what was stored"
            )
        }
        #expect(await store.numbers(of: ["bob"]) == [first + 1])
        #expect(await store.numbers(of: ["ann"], in: "other") == [first])
        #expect(await store.nextNumber(in: "other") == 1)
        store.close()
    }

    @Test(
        "is rejected, or has a prefix of the messages, if its tail is cut off",
        arguments: ["", "-wal"], UInt64(1)...20)
    func cutTail(of part: String, seed: UInt64) async throws {
        var chance = SeededGenerator(seed: seed)
        let key = ConversationKey(tenant: "acme", id: "rex")
        let store = try LocalStore.sqlite(path: self.path, history: 1000)
        var scribe = await store.createConversation(key)
        for batch in 1...20 {
            let writes = (0..<Int.random(in: 1...20, using: &chance)).map {
                scribe.post("words \($0) of batch \(batch)")
            }
            #expect(await store.write(writes, by: scribe) == .stored)
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
        truncate(copy + part, Int.random(in: 0..<size, using: &chance))

        guard let damaged = try? LocalStore.sqlite(path: copy, history: 1000) else { return }
        defer { damaged.close() }
        var kept: [String] = []
        while let page = await damaged.page(key, .after(kept.count), limit: 7),
            !page.messages.isEmpty
        { kept += page.messages.map(\.text) }
        #expect(kept == Array(stored.prefix(kept.count)))
        if let loaded = await damaged.load(key),
            let last = await damaged.page(key, .newest, limit: 1)?.messages.last
        {
            #expect(last.sequence == loaded.head)
            #expect(stored.contains(last.text))
        }
    }

    @Test(
        "never returns a message that was not stored, for any flipped bits", arguments: UInt64(1)...30
    )
    func flippedBits(seed: UInt64) async throws {
        var chance = SeededGenerator(seed: seed)
        let keys = (0..<4).map { ConversationKey(tenant: "acme", id: ByteString("c\($0)")) }
        var options = SQLiteOptions(history: 0)
        options.generationSize = 40
        let store = try SQLiteStore(path: self.path, options: options)
        var stored: [ConversationKey: Set<String>] = [:]
        for key in keys {
            var scribe = await store.createConversation(key, title: "title")
            for _ in 0..<8 {
                let writes = (0..<10).map { _ in
                    scribe.post(
                        "words \(scribe.head) of \(key)", clientID: "id \(scribe.head)",
                        metadata: [1, 2, 3])
                }
                _ = await store.write(writes, by: scribe)
            }
            let page = try #require(await store.page(key, .after(0), limit: .max))
            _ = await store.write(
                [
                    scribe.edit(page.messages[3], to: "other words"),
                    scribe.delete(page.messages[5]), scribe.join("ann"),
                ], by: scribe)
            stored[key] = Set(
                try #require(await store.page(key, .after(0), limit: .max)).messages.map(\.text))
        }
        let names = (0..<50).map { "user \($0)" }
        let numbers = try #require(await store.numbers(of: names))
        store.close()

        var bytes = try Data(contentsOf: URL(fileURLWithPath: self.path))
        for _ in 0..<Int.random(in: 1...20, using: &chance) {
            bytes[Int.random(in: 0..<bytes.count, using: &chance)] ^=
                1 << UInt8.random(in: 0..<8, using: &chance)
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
            var scribe = TestOwner(
                key: key, id: LoopID(incarnation: 9, loop: 0),
                epoch: await damaged.claim(key.shard, by: LoopID(incarnation: 9, loop: 0)))
            scribe.head = loaded.head
            scribe.revision = loaded.revision
            _ = await damaged.write([scribe.post("after the damage")], by: scribe)
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
                "\(name) has another's number")
            guard let users = await damaged.users(numbered: [number]) else { continue }
            #expect(users == [TestOwner.person(name).id] || users == [nil])
        }
        damaged.close()
    }
}
