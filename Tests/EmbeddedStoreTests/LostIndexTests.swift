import Bytes
import ChatModel
import StoreTestSupport
import TestKit
import Testing

@testable import EmbeddedStore

@Suite("A SQLite index that lacks stored messages")
struct LostIndexTests {
    private static let key = ConversationKey(tenant: "acme", id: "rex")

    private func faults(_ store: SQLiteStore, _ request: StoreRequest) async throws -> StoredFaults
    {
        guard case .examined(let faults) = await store.request(request) else {
            throw TestFailure("no answer to \(request)")
        }
        return faults
    }

    @Test("is found and repaired by its owner, and a damaged message stays lost")
    func repair() async throws {
        let folder = try TemporaryFolder()
        let path = folder.file("confab.db")
        let owner = LoopID(incarnation: 1, loop: 0)
        do {
            let store = try SQLiteStore(path: path, history: 100)
            var rex = await store.createConversation(Self.key)
            #expect(
                await store.write((1...6).map { rex.post("message \($0)") }, by: rex) == .stored)
            store.close()
        }
        do {
            let connection = try SQLiteConnection(path: path, access: .readWrite)
            try connection.execute("DELETE FROM places WHERE sequence IN (2, 3, 5)")
            try connection.execute("UPDATE messages SET content = 'x' WHERE sequence = 5")
        }
        let store = try SQLiteStore(path: path, history: 100)
        guard case .failed = await store.request(.page(Self.key, .after(0), limit: 10)) else {
            throw TestFailure("the page is whole")
        }
        let found = [2, 3].map { "the index lacks message \($0), which is stored" }
        #expect(try await self.faults(store, .examine(Self.key)).repairable == found)
        let epoch = await store.claim(Self.key.shard, by: owner)
        guard
            case .failed(.repairFenced) = await store.request(
                .repair(Self.key, owner: owner, epoch: epoch - 1))
        else { throw TestFailure("an earlier epoch was accepted") }
        let repaired = try await self.faults(
            store, .repair(Self.key, owner: owner, epoch: epoch))
        #expect(repaired.repairable == [2, 3].map { "the index has message \($0) again" })
        #expect(try await self.faults(store, .examine(Self.key)) == StoredFaults())
        guard case .page(let page) = await store.request(.page(Self.key, .after(0), limit: 4))
        else {
            throw TestFailure("messages 1 to 4 cannot be read")
        }
        #expect(page.messages.map(\.body.content) == (1...4).map { "message \($0)" })
        store.close()
    }

    @Test("is reported with the file's disk")
    func report() async throws {
        let folder = try TemporaryFolder()
        let store = try SQLiteStore(path: folder.file("confab.db"), history: 100)
        let report = await store.inspect(within: Deadline.defaultTimeout)
        #expect(report.integrity == .intact && report.journalMode == "wal")
        #expect(report.totalBytes > report.freeBytes && report.freeBytes > 0)
        store.close()
    }
}
