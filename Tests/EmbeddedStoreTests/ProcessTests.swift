import Bytes
import ChatModel
import EmbeddedStore
import SeededRandom
import StoreTestSupport
import TestKit
import TestTraits
import Testing

@Suite("A SQLite store with several processes or crashes", .ownThread)
struct ProcessTests {
    @Test("has everything that it answered before it was killed", arguments: [UInt64(1), 2, 3])
    func killed(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let folder = try TemporaryFolder()
        let path = "\(folder.path)/confab.db"
        var answered: [Int: Int] = [:]
        let process = try TortureProcess("burst", path)
        #expect(try process.line() == "open")
        var lines = Int.random(in: 1...1500, using: &random)
        while let line = try process.line() {
            let numbers = line.split(separator: " ").compactMap { Int($0) }
            answered[numbers[0]] = numbers[1]
            lines -= 1
            if lines == 0 { try process.kill() }
        }
        let store = try SQLiteStore(path: path, history: 0)
        #expect(!answered.isEmpty)
        for (number, head) in answered {
            let page = try #require(
                await store.page(
                    ConversationKey(tenant: "acme", id: ByteString("burst-\(number)")), .after(0),
                    limit: .max))
            #expect(page.head >= head)
            #expect(page.messages.map(\.body.content) == (1...page.head).map { "\(number)/\($0)" })
            #expect(page.revision == page.head + 1)
        }
        store.close()
    }

    @Test("is locked for a second process, and free after the first is killed")
    func twoProcesses() throws {
        let folder = try TemporaryFolder()
        let path = "\(folder.path)/confab.db"
        let process = try TortureProcess("hold", path)
        #expect(try process.line() == "open")
        #expect(throws: StoreFailure("\(path) is in use by another process")) {
            try SQLiteStore(path: path, history: 10)
        }
        try process.kill()
        let store = try SQLiteStore(path: path, history: 10)
        let late = try TortureProcess("hold", path)
        #expect(try late.line() == "refused: \(path) is in use by another process")
        store.close()
        let next = try TortureProcess("hold", path)
        #expect(try next.line() == "open")
        try next.closeInput()
    }

    @Test("rejects writes while the disk is full, still reads, and recovers")
    func fullDisk() async throws {
        let folder = try TemporaryFolder()
        let path = "\(folder.path)/confab.db"
        let process = try TortureProcess("full", path)
        #expect(try process.line() == "open")
        var heads: Set<Substring> = []
        for _ in 0..<3 {
            let line = try #require(try process.line())
            #expect(line.hasPrefix("failed at "))
            #expect(line.contains(path))
            heads.insert(line.dropFirst(10).prefix { $0 != ":" })
        }
        let head = try #require(
            heads.count == 1 ? heads.first : nil, "a write was stored between two that failed")
        #expect(try process.line() == "readable \(head)")
        let next = try #require(Int(head)) + 1
        #expect(try process.line() == "healed \(next)")
        #expect(try process.line() == nil)
        let store = try SQLiteStore(path: path, history: 0)
        let page = try #require(
            await store.page(ConversationKey(tenant: "acme", id: "full"), .after(0), limit: .max))
        #expect(page.messages.count == next)
        #expect(page.messages.last?.body.content == "there is room again")
        store.close()
    }
}
