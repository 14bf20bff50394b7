import Bytes
import ChatModel
import Foundation
import SeededRandom
import StoreTestSupport
import Telemetry
import TestKit
import TestTraits
import Testing

@testable import EmbeddedStore

private let rex = ConversationKey(tenant: "acme", id: "rex")

@Suite("A SQLite store", .ownThread)
struct SQLiteStoreTests {
    private let folder: TemporaryFolder
    private var path: String { "\(self.folder.path)/confab.db" }

    init() throws {
        self.folder = try TemporaryFolder()
    }

    private func open(history: Int = 100, _ change: (inout SQLiteOptions) -> Void = { _ in }) throws
        -> SQLiteStore
    {
        var options = SQLiteOptions(history: history)
        change(&options)
        return try SQLiteStore(path: self.path, options: options)
    }

    @Test(
        "answers as the model does, also during index flushes and across restarts",
        arguments: TestRun.isLong ? [11, 12, 13, 14] : [11, 12] as [UInt64])
    func matchesModel(seed: UInt64) async throws {
        let history = seed % 2 == 0 ? 70 : 400
        var random = SeededGenerator(seed: seed)
        var model = MemoryTables(history: history)
        var requests = RandomRequests(seed: seed, tenant: "acme", conversations: 6)
        let change: (inout SQLiteOptions) -> Void = { options in
            options.generationSize = 37
            options.cachedConversationLimit = 3
        }
        var store = try self.open(history: history, change)
        for number in 0..<2000 {
            if Int.random(in: 0..<100, using: &random) == 0 {
                store.close()
                store = try self.open(history: history, change)
            }
            let request = requests.next { model.execute($0) }
            let expected = model.execute(request)
            let answer = await store.request(request)
            guard answer.text == expected.text else {
                Issue.record(
                    """
                    seed \(seed), request \(number): \(request) was answered
                    \(answer.text)
                    instead of
                    \(expected.text)
                    """
                )
                return
            }
            if case .claim(let shard, let owner, _) = request, case .claimed(let epoch) = answer {
                requests.recordClaim(shard, epoch, by: owner)
            }
        }
        store.close()
    }

    @Test("keeps owners, messages and members across a restart")
    func restart() async throws {
        var store = try self.open()
        var testOwner = await store.createConversation(rex, title: "kept")
        _ = await store.write(
            [testOwner.post("one"), testOwner.join("ann"), testOwner.post("two")], by: testOwner)
        let before = await store.request(.load(rex)).text
        store.close()
        store = try self.open()
        #expect(await store.request(.load(rex)).text == before)
        #expect(await store.write([testOwner.post("three")], by: testOwner) == .stored)
        #expect(await store.claim(rex.shard, by: testOwner.id) == 2)
        store.close()
    }

    @Test("keeps lists and numbers across a restart")
    func restartOfLists() async throws {
        var store = try self.open()
        var testOwner = await store.createConversation(rex, title: "kept", .listed)
        _ = await store.write([testOwner.join("ann"), testOwner.post("one")], by: testOwner)
        let numbers = await store.numbers(of: ["ann", "bob"])
        _ = await store.nextNumber()
        let (memberships, catalog) = (
            await store.memberships(of: "ann")?.text, await store.catalog()?.text
        )
        store.close()
        store = try self.open()
        #expect(await store.memberships(of: "ann")?.text == memberships)
        #expect(await store.catalog()?.text == catalog)
        #expect(
            await store.numbers(of: ["bob", "cat", "ann"])
                == [numbers?[1], (numbers?[1] ?? 0) + 1, numbers?[0]].compactMap { $0 })
        #expect(await store.nextNumber() == 2)
        store.close()
    }

    @Test("finds list entries with an index")
    func queryPlans() throws {
        try self.open().close()
        let connection = try SQLiteConnection(path: self.path, access: .readOnly)
        func plan(_ statement: String) throws -> String {
            let steps = try connection.prepare("EXPLAIN QUERY PLAN \(statement)")
            var plan: [String] = []
            while try steps.step() { plan.append(steps.text(3) ?? "") }
            return plan.joined(separator: "; ")
        }
        #expect(
            try plan(ListRows.membershipsOfUser).hasPrefix(
                "SEARCH members USING COVERING INDEX memberships (user=? AND conversation>?)"))
        #expect(
            try plan(ListRows.newestOfCatalog)
                == "SEARCH conversations USING INDEX catalog (tenant=?)")
        #expect(
            try plan(ListRows.catalogBelow)
                == "SEARCH conversations USING INDEX catalog (tenant=? AND (created,name)<(?,?))"
        )
    }

    @Test("commits writes that arrive during a commit in one transaction")
    func groupCommit() async throws {
        let store = try self.open()
        var testOwners: [TestOwner] = []
        for number in 0..<64 {
            testOwners.append(
                await store.createConversation(
                    ConversationKey(tenant: "acme", id: ByteString("c\(number)"))))
        }
        let before = store.statistics
        let rounds = 20
        for _ in 0..<rounds {
            let collector = AnswerCollector()
            for index in testOwners.indices {
                collector.submit(
                    .write(
                        WriteBatch(
                            owner: testOwners[index].id, writes: [testOwners[index].post("hello")])
                    ), to: store)
            }
            _ = await collector.answers(64)
        }
        let after = store.statistics
        #expect(after.writes - before.writes == 64 * rounds)
        // The first write is committed separately, perhaps with a few others. The rest share far
        // fewer commits.
        #expect(after.commits - before.commits <= 16 * rounds)
        #expect(after.writesPerCommit.sum - before.writesPerCommit.sum == 64 * rounds)
        store.close()
    }

    @Test(
        "starts commits at least one interval apart, so that single writes share one"
    )
    func commitInterval() async throws {
        let interval = Duration.seconds(1)
        let store = try self.open { $0.commitInterval = interval }
        let clock = ContinuousClock()
        let start = clock.now
        var testOwner = await store.createConversation(rex)
        let before = store.statistics
        let collector = AnswerCollector()
        for _ in 0..<64 {
            collector.submit(
                .write(WriteBatch(owner: testOwner.id, writes: [testOwner.post("hello")])),
                to: store)
        }
        _ = await collector.answers(64)
        let commits = store.statistics.commits - before.commits
        #expect(store.statistics.writes - before.writes == 64)
        // One commit, unless the machine needs longer than the interval to submit the writes.
        #expect(commits >= 1 && commits <= Int((clock.now - start) / interval))
        store.close()
    }

    @Test("completes submitted requests on close, and fails later ones")
    func closeFlushesSubmittedWrites() async throws {
        var store = try self.open(history: 0)
        var testOwner = await store.createConversation(rex)
        let collector = AnswerCollector()
        for _ in 0..<500 {
            collector.submit(
                .write(WriteBatch(owner: testOwner.id, writes: [testOwner.post("hello")])),
                to: store)
        }
        store.close()
        #expect(collector.stored == 500)
        #expect(await store.request(.load(rex)).text == "failed")
        #expect(await store.request(.probe).text == "failed")
        store.close()
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: self.folder.path).sorted() == [
                "confab.db", "confab.db-lock",
            ])
        store = try self.open(history: 0)
        #expect(await store.load(rex)?.head == 500)
        store.close()
    }

    @Test("rejects requests at once when too many are queued, and completes the others")
    func requestLimit() async throws {
        let store = try self.open { $0.queuedRequestLimit = 10 }
        var testOwner = await store.createConversation(rex)
        let collector = AnswerCollector()
        // Blocks the writer in the callback until all requests are submitted.
        let blocker = BlockingClient()
        store.submit(.probe, ticket: 0, for: blocker)
        blocker.waitForAnswer()
        let batch = WriteBatch(
            owner: testOwner.id, writes: [testOwner.cursors("ann", read: 1, delivered: 1)])
        for _ in 0..<25 { collector.submit(.write(batch), to: store) }
        #expect(collector.failures.count == 15)
        #expect(
            collector.failures.first?.description
                == "\(self.path): too many requests are waiting for the disk"
        )
        #expect(store.statistics.queuedWrites == 10)
        #expect(store.statistics.rejectedRequests == 15)
        blocker.release()
        _ = await collector.answers(25)
        #expect(collector.stored == 10)
        store.close()
    }

    @Test("rejects a request that exceeds the limit of queued bytes")
    func byteLimit() async throws {
        let store = try self.open { $0.queuedByteLimit = 10_000 }
        var testOwner = await store.createConversation(rex)
        let blocker = BlockingClient()
        store.submit(.probe, ticket: 0, for: blocker)
        blocker.waitForAnswer()
        let collector = AnswerCollector()
        for _ in 0..<3 {
            let write = testOwner.post(String(repeating: "x", count: 6000))
            collector.submit(
                .write(WriteBatch(owner: testOwner.id, writes: [write])), to: store)
        }
        #expect(collector.failures.count == 2)
        blocker.release()
        _ = await collector.answers(3)
        #expect(collector.stored == 1)
        store.close()
    }

    @Test("erases messages beyond the history, and the text of deleted ones")
    func deletedTextIsErased() async throws {
        let store = try self.open(history: 64) {
            $0.generationSize = 50
            ($0.searchBacklogLimit, $0.searchIdleTime) = (1, .zero)
        }
        var testOwner = await store.createConversation(rex)
        _ = await store.write([testOwner.post("forgotten-words")], by: testOwner)
        for _ in 0..<20 {
            _ = await store.write((0..<50).map { _ in testOwner.post("ordinary") }, by: testOwner)
        }
        _ = await store.write(
            [testOwner.post("deleted-words"), testOwner.post("kept-words")], by: testOwner)
        let message = try #require(await store.page(rex, .newest, limit: 2)?.messages.first)
        let reader = try SQLiteConnection(path: self.path, access: .readOnly)
        _ = try Deadline.wait(for: "the search index") {
            try reader.number("SELECT count(*) FROM search WHERE search MATCH '\"1:deleted\"'") == 1
                ? true : nil
        }
        _ = await store.write([testOwner.delete(message)], by: testOwner)
        store.close()
        let bytes = try Data(contentsOf: URL(fileURLWithPath: self.path))
        #expect(bytes.range(of: Data("forgotten-words".utf8)) == nil)
        #expect(bytes.range(of: Data("deleted-words".utf8)) == nil)
        #expect(bytes.range(of: Data("kept-words".utf8)) != nil)
        // The search index has no words of them either. It shortens a word that begins as the one
        // before it.
        #expect(bytes.range(of: Data("orgotten".utf8)) == nil)
        #expect(bytes.range(of: Data("eleted".utf8)) == nil)
        // The file holds 64 of 1,003 messages, one trim step of 64, and those that are not yet
        // indexed.
        let connection = try SQLiteConnection(path: self.path, access: .readOnly)
        #expect(
            try #require(try connection.number("SELECT count(*) FROM messages")) <= 64 + 64 + 150)
        #expect(
            try connection.number("SELECT count(*) FROM places")
                == connection.number("SELECT count(*) FROM messages"))
    }

    @Test("allows reads by another connection while it runs")
    func concurrentReader() async throws {
        let store = try self.open()
        _ = await store.createConversation(rex, title: "seen")
        let connection = try SQLiteConnection(path: self.path, access: .readOnly)
        #expect(try connection.text("SELECT title FROM conversations") == "seen")
        store.close()
    }
}

extension AnswerCollector {
    fileprivate var stored: Int {
        self.answers.count { if case .written(.stored) = $0.answer { true } else { false } }
    }

    fileprivate var failures: [StoreFailure] {
        self.answers.compactMap {
            if case .failed(let failure) = $0.answer { failure } else { nil }
        }
    }
}

/// A store client that blocks the answering thread until it is released.
final class BlockingClient: StoreClient {
    private let answerArrived = DispatchSemaphore(value: 0)
    private let released = DispatchSemaphore(value: 0)

    func storeAnswered(_ answer: StoreAnswer, ticket: StoreTicket) {
        self.answerArrived.signal()
        self.released.wait()
    }

    func waitForAnswer() { self.answerArrived.wait() }
    func release() { self.released.signal() }
}
