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
            _ = try SQLiteStore(path: path ?? self.path, history: 100)
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
        try SQLiteStore(path: self.path, history: 100).close()
        try self.execute("PRAGMA user_version = 1000")
        #expect(
            self.openingFailure()
                == "\(self.path): it was written by a newer Confab (layout 1000); this version "
                + "supports layouts up to \(Schema.version)"
        )
    }

    @Test("is rejected and unchanged if it belongs to another program")
    func foreignFile() throws {
        try self.execute("CREATE TABLE recipes (name TEXT)")
        let before = try Data(contentsOf: URL(fileURLWithPath: self.path))
        #expect(self.openingFailure() == "\(self.path): it is not a Confab database")
        #expect(try Data(contentsOf: URL(fileURLWithPath: self.path)) == before)
        let text = String(repeating: "not a database, but long enough to have a header ", count: 3)
        try Data(text.utf8).write(to: URL(fileURLWithPath: self.path))
        #expect(
            self.openingFailure().hasPrefix(
                "\(self.path): it is not a SQLite database, or its header is damaged"))
    }

    @Test(
        "is rejected if it is not writable",
        .enabled(if: geteuid() != 0, "the superuser may write everything"))
    func readOnly() throws {
        try SQLiteStore(path: self.path, history: 100).close()
        try FileManager.default.setAttributes([.posixPermissions: 0o400], ofItemAtPath: self.path)
        #expect(self.openingFailure() == "\(self.path): this user has no permission to write it")
    }

    @Test(
        "rejects writes after it was deleted or replaced",
        arguments: ["", "-wal", "-shm"])
    func removedOrReplaced(suffix: String) async throws {
        let store = try SQLiteStore(path: self.path, history: 100)
        var testOwner = await store.createConversation(ConversationKey(tenant: "acme", id: "rex"))
        try FileManager.default.moveItem(
            atPath: self.path + suffix, toPath: "\(self.folder.path)/away")
        let answer = await store.request(
            .write(WriteBatch(owner: testOwner.id, writes: [testOwner.post("lost")])))
        guard case .failed(let failure) = answer else {
            return _ = Issue.record("answered \(answer.text)")
        }
        let subject =
            "was removed or replaced while it was in use: put it back as it was, or restore a "
            + "backup and restart"
        #expect(failure.description == "\(self.path)\(suffix) \(subject)")
        #expect(failure.effect == .rejected)
        #expect(await store.request(.probe).text == "failed")
        #expect(await store.request(.load(testOwner.key)).text == "failed")
        try FileManager.default.moveItem(
            atPath: "\(self.folder.path)/away", toPath: self.path + suffix)
        #expect(await store.request(.probe).text == "done")
        #expect(await store.load(testOwner.key)?.head == 0)
        store.close()
    }

    @Test(
        "rejects reads and writes after others changed it, and stays unchanged on close",
        arguments: [
            "truncated", "truncated log", "log without beginning", "another database",
            "another page",
        ])
    func changedByOthers(_ change: String) async throws {
        let store = try SQLiteStore(path: self.path, history: 100)
        var testOwner = await store.createConversation(ConversationKey(tenant: "acme", id: "rex"))
        #expect(await store.write([testOwner.post("stored")], by: testOwner) == .stored)
        switch change {
        case "truncated": truncate(self.path, 0)
        case "truncated log": truncate(self.path + "-wal", 0)
        case "log without beginning":
            let size = try Data(contentsOf: URL(fileURLWithPath: self.path + "-wal")).count
            truncate(self.path + "-wal", 0)
            truncate(self.path + "-wal", size + 4096)
        case "another database":
            let other = "\(self.folder.path)/other.db"
            try SQLiteStore(path: other, history: 100).close()
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
            .write(WriteBatch(owner: testOwner.id, writes: [testOwner.post("lost")])))
        guard case .failed(let failure) = answer else {
            return _ = Issue.record("answered \(answer.text)")
        }
        #expect(failure.effect == .rejected)
        #expect(failure.description.hasPrefix(self.path))
        #expect(await store.request(.probe).text == "failed")
        #expect(await store.request(.page(testOwner.key, .newest, limit: 9)).text == "failed")
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
        let store = try SQLiteStore(path: self.path, history: 10)
        var testOwner = await store.createConversation(ConversationKey(tenant: "acme", id: "rex"))
        let text = String(repeating: "x", count: 16_000)
        // Each batch exceeds the size limit of the log.
        for _ in 0..<4 {
            #expect(
                await store.write((0..<700).map { _ in testOwner.post(text) }, by: testOwner)
                    == .stored)
            #expect(await store.write([testOwner.post("short")], by: testOwner) == .stored)
        }
        #expect(await store.request(.probe).text == "done")
        #expect(await store.load(testOwner.key)?.head == 2804)
        store.close()
    }

    @Test("is unchanged by a transaction that finds no space and is retried")
    func fullDatabase() async throws {
        let file = try DatabaseFile(path: self.path)
        let options = SQLiteOptions(history: 100)
        let connection = try file.openForWriting(options)
        let writer = try SQLiteWriter(
            file: file, connection: connection, unindexed: UnindexedMessages(),
            searchReports: SearchIndexReports(), options: options)
        let owner = LoopID(incarnation: 1, loop: 0)
        let keys = (0..<3).map { ConversationKey(tenant: "acme", id: ByteString("c\($0)")) }
        for key in keys { _ = try writer.perform([.claim(shard: key.shard, owner: owner)]) }
        var testOwners = keys.map { TestOwner(key: $0, id: owner, epoch: 1) }
        _ = try writer.perform([
            .write(
                WriteBatch(
                    owner: owner, writes: [testOwners[0].create(), testOwners[0].post("one")]))
        ])

        try connection.execute("PRAGMA max_page_count = 1")
        let before = testOwners
        let large = String(repeating: "x", count: 100_000)
        let requests: [StoreRequest] = [
            .write(
                WriteBatch(
                    owner: owner,
                    writes: [
                        testOwners[0].post("two"), testOwners[1].create(),
                        testOwners[1].post(large),
                    ])),
            .claim(shard: keys[0].shard, owner: LoopID(incarnation: 2, loop: 0)),
        ]
        #expect {
            try writer.perform(requests)
        } throws: { error in
            (error as? StorageFault)?.storeFailure(path: self.path).description.hasPrefix(
                "\(self.path): the disk is full") == true
        }
        try connection.execute("PRAGMA max_page_count = 1000000")

        testOwners = before
        let answers = try writer.perform([
            .write(
                WriteBatch(
                    owner: owner,
                    writes: [
                        testOwners[0].post("two"), testOwners[1].create(),
                        testOwners[1].post(large),
                    ]))
        ])
        #expect(answers.map(\.text) == ["stored"])
        let reader = try SQLiteReader(
            connection: try file.openForReading(options), unindexed: writer.unindexed,
            searchReports: SearchIndexReports(), options: options, path: "confab.db")
        guard case .page(let page) = try reader.answer(.page(keys[0], .newest, limit: 9)) else {
            return _ = Issue.record("no page")
        }
        #expect(page.messages.map(\.body.content) == ["one", "two"])
    }
}
