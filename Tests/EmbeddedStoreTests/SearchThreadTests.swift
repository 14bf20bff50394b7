import Bytes
import ChatModel
import Glibc
import StoreTestSupport
import Synchronization
import TestKit
import TestTraits
import Testing

@testable import EmbeddedStore

private let rex = ConversationKey(tenant: "acme", id: "rex")

/// Blocks the search thread of a store before a slice.
private final class SliceGate: Sendable {
    private let isClosed = Atomic(true)
    private let arrivals = Atomic(0)

    var arrivalCount: Int { self.arrivals.load(ordering: .acquiring) }

    func pass() {
        self.arrivals.add(1, ordering: .acquiringAndReleasing)
        let deadline = ContinuousClock.now + Deadline.defaultTimeout
        while self.isClosed.load(ordering: .acquiring), .now < deadline { usleep(1000) }
    }

    func open() { self.isClosed.store(false, ordering: .releasing) }

    func awaitArrival() throws {
        try Deadline.wait(for: "a slice", untilTrue: { self.arrivalCount > 0 })
    }
}

@Suite("The search thread of a store", .ownThread)
struct SearchThreadTests {
    enum Kind: CaseIterable { case memory, sqlite }

    private let folder: TemporaryFolder
    private let gate = SliceGate()

    init() throws { self.folder = try TemporaryFolder() }

    private func open(_ kind: Kind) throws -> any ChatStore {
        let gate = self.gate
        switch kind {
        case .memory:
            return MemoryStore(history: 0, beforeSearchSlice: { gate.pass() })
        case .sqlite:
            var options = SQLiteOptions(history: 0)
            options.beforeSearchSlice = { gate.pass() }
            // The texts are compared one by one.
            options.searchBacklogLimit = .max
            return try SQLiteStore(path: self.folder.file("confab.db"), options: options)
        }
    }

    private func close(_ store: any ChatStore) { (store as? SQLiteStore)?.close() }

    private func fill(_ store: any ChatStore, _ count: Int) async -> TestOwner {
        var owner = await store.createConversation(rex)
        for first in stride(from: 0, to: count, by: 500) {
            let writes = (first..<min(first + 500, count)).map { owner.post("Grüße \($0)") }
            #expect(await store.write(writes, by: owner) == .stored)
        }
        return owner
    }

    private func search(_ text: String, _ permit: SearchPermit? = nil) throws -> StoreRequest {
        .search(rex, try #require(SearchQuery(text)), before: nil, limit: 9, permit: permit)
    }

    @Test("lets history, lists, loads and writes go on", arguments: Kind.allCases)
    func othersGoOn(kind: Kind) async throws {
        let store = try self.open(kind)
        defer { self.close(store) }
        var owner = await self.fill(store, 3)
        let searches = AnswerCollector()
        searches.submit(try self.search("absent"), to: store)
        try self.gate.awaitArrival()
        #expect(await store.page(rex, .newest)?.messages.count == 3)
        #expect(await store.load(rex)?.head == 3)
        #expect(await store.memberships(of: "ann") != nil)
        #expect(await store.catalog() != nil)
        #expect(await store.write([owner.post("later")], by: owner) == .stored)
        #expect(searches.answers.isEmpty)
        self.gate.open()
        #expect(await searches.answers(1)[0].answer.text == "found [] next -")
    }

    @Test("continues other searches between the slices of a long one", arguments: Kind.allCases)
    func turns(kind: Kind) async throws {
        let store = try self.open(kind)
        defer { self.close(store) }
        _ = await self.fill(store, 5 * SearchScan.sliceMessages)
        let searches = AnswerCollector()
        searches.submit(try self.search("absent"), to: store)
        try self.gate.awaitArrival()
        searches.submit(try self.search("gru"), to: store)
        self.gate.open()
        let answers = await searches.answers(2)
        #expect(answers.map(\.ticket) == [1, 0])
        #expect(answers[1].answer.text == "found [] next -")
    }

    @Test("gives up a search whose client is gone", arguments: Kind.allCases)
    func cancelled(kind: Kind) async throws {
        let store = try self.open(kind)
        defer { self.close(store) }
        _ = await self.fill(store, 5 * SearchScan.sliceMessages)
        let admission = SearchAdmission()
        let ann = LimitKey.user(UserID(tokenSubject: "ann"), tenant: "acme")
        var permit: SearchPermit? = try admission.begin(for: ann)
        let searches = AnswerCollector()
        searches.submit(try self.search("absent", permit), to: store)
        try self.gate.awaitArrival()
        permit?.cancel()
        permit = nil
        #expect(admission.count == 1)
        self.gate.open()
        guard case .searchRefused(.cancelled) = await searches.answers(1)[0].answer else {
            Issue.record("it is not cancelled")
            return
        }
        #expect(self.gate.arrivalCount == 1)
        try Deadline.wait(for: "the end of the permit", untilTrue: { admission.count == 0 })
    }

    @Test("refuses more searches than may wait", arguments: Kind.allCases)
    func full(kind: Kind) async throws {
        let store = try self.open(kind)
        defer { self.close(store) }
        _ = await self.fill(store, 1)
        let searches = AnswerCollector()
        let count = 3 * SearchAdmission.countLimit
        for _ in 0..<count { searches.submit(try self.search("0"), to: store) }
        try Deadline.wait(for: "refusals", untilTrue: { searches.answers.count > 64 })
        self.gate.open()
        var (found, refused) = (0, 0)
        for (_, answer) in await searches.answers(count) {
            switch answer {
            case .found(let page) where page.messages.count == 1: found += 1
            case .searchRefused(.nodeIsBusy): refused += 1
            default: Issue.record("\(answer.text)")
            }
        }
        #expect(found >= SearchAdmission.countLimit && refused >= SearchAdmission.countLimit)
    }

    @Test("answers the searches when the store closes", arguments: [Kind.sqlite])
    func closing(kind: Kind) async throws {
        let store = try self.open(kind)
        _ = await self.fill(store, 5 * SearchScan.sliceMessages)
        let searches = AnswerCollector()
        for _ in 0..<20 { searches.submit(try self.search("absent"), to: store) }
        try self.gate.awaitArrival()
        self.gate.open()
        self.close(store)
        #expect(searches.answers.count == 20)
    }
}
