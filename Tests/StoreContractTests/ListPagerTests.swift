import Bytes
import ChatModel
import StoreTestSupport
import TestTraits
import Testing

@testable import RedisStore

@Suite("A page of a list in Redis", .ownThread)
struct ListPagerTests {
    private final class SilentStoreClient: StoreClient {
        func storeAnswered(_ answer: StoreAnswer, ticket: StoreTicket) {}
    }

    private static let now = Timestamp(milliseconds: 1_000_000_000)
    private static let staleEntryAge = Duration.seconds(600)

    /// One letter for each index entry, with the entry's summary.
    private enum Letter: Character {
        case listed = "c"
        /// No conversation, yet; in the second case since long ago.
        case nothing = "-"
        case stale = "x"
        /// Just under a minute ago, and exactly a minute ago.
        case endedNow = "e"
        case ended = "E"
        case damaged = "!"
    }

    /// A catalog of conversations that are numbered from 0.
    private struct Catalog {
        let letters: [Letter]

        init(_ text: String) { self.letters = text.map { Letter(rawValue: $0)! } }

        func cursor(_ index: Int) -> PageCursor {
            let age: Int64 = self.letters[index] == .stale ? 600_000 : 599_999
            return PageCursor(
                time: Timestamp(milliseconds: ListPagerTests.now.milliseconds - age),
                id: ByteString("\(index)"))
        }

        func index(_ cursor: PageCursor) -> Int { Int(cursor.id.string)! }

        func summary(_ index: Int) -> ListPager.EntrySummary {
            var record = ConversationRecord(
                .listed, creator: nil, createdAt: self.cursor(index).time)
            switch self.letters[index] {
            case .nothing, .stale: return .nothing
            case .damaged: return .damaged(StoreFailure("\(index)"))
            case .listed: break
            case .endedNow:
                record.endedAt = Timestamp(milliseconds: ListPagerTests.now.milliseconds - 59_999)
            case .ended:
                record.endedAt = Timestamp(milliseconds: ListPagerTests.now.milliseconds - 60_000)
            }
            let key = ConversationKey(tenant: "t", id: ByteString("\(index)"))
            return .catalogEntry(CatalogEntry(key: key, record: record, head: 0))
        }

        /// Reads a page after an entry.
        func page(after last: Int?, limit: Int) -> (page: CatalogPage, stale: [Int]) {
            var pager = ListPagerTests.pager(
                .catalog(tenant: "t", after: last.map { self.cursor($0) }, limit: limit))!
            var stale: [Int] = []
            repeat {
                let next = pager.cursor.map { self.index($0) + 1 } ?? 0
                let end = min(self.letters.count, next + pager.entryLimit)
                pager.beginBatch((next..<end).map { self.cursor($0) })
                for position in pager.entries.indices.reversed() {
                    #expect(!pager.isBatchComplete)
                    pager.record(self.summary(next + position), at: position)
                }
                #expect(pager.isBatchComplete)
                stale += pager.finishBatch(
                    at: ListPagerTests.now, staleEntryAge: ListPagerTests.staleEntryAge
                ).map(self.index)
            } while !pager.isComplete
            guard case .catalog(let page) = pager.answer else {
                Issue.record("\(pager.answer)")
                return (CatalogPage(), stale)
            }
            return (page, stale)
        }
    }

    private static func pager(_ request: StoreRequest) -> ListPager? {
        let arguments = ScriptArguments(
            keys: StoreKeys(cluster: "p"), history: 10, namesAllKeys: false)
        return ListPager(
            request, for: .init(client: SilentStoreClient(), ticket: 1), arguments)
    }

    @Test(
        "has the listed conversations, up to its limit, and the place of the next page",
        arguments: [
            // The index, the limit, the listed conversations, the last one before the next page.
            ("", 5, [], nil),
            ("ccc", 5, [0, 1, 2], nil),
            ("ccc", 3, [0, 1, 2], nil),
            ("cccc", 3, [0, 1, 2], 2),
            // A page is filled from further batches.
            ("c-cc", 2, [0, 2], 2),
            ("--c--cc", 2, [2, 5], 5),
            ("ce-c", 2, [0, 3], nil),
            ("c---", 2, [0], nil),
            // Damaged conversations take no place.
            ("c!c", 2, [0, 2], nil),
            // Limits are clamped.
            ("cc", 0, [0], 0),
        ] as [(String, Int, [Int], Int?)])
    func pages(index: String, limit: Int, listed: [Int], next: Int?) {
        let catalog = Catalog(index)
        let (page, _) = catalog.page(after: nil, limit: limit)
        #expect(page.entries.map(\.key.id) == listed.map { ByteString("\($0)") })
        #expect(page.next.map { catalog.index($0) } == next)
    }

    @Test("reports damaged conversations, and entries that no conversation will ever have")
    func leftOut() {
        let (page, stale) = Catalog("x-c!eEx").page(after: nil, limit: 10)
        #expect(page.entries.map(\.key.id) == ["2"])
        #expect(page.damaged == [StoreFailure("3")])
        #expect(stale == [0, 5, 6])
    }

    @Test("all pages together have every listed conversation once", arguments: [1, 2, 3, 7, 200])
    func allPages(limit: Int) {
        let text = String(repeating: "c-xcc!eEc", count: 12)
        let catalog = Catalog(text)
        var found: [Int] = []
        var last: Int?
        repeat {
            let (page, _) = catalog.page(after: last, limit: limit)
            found += page.entries.map { Int($0.key.id.string)! }
            last = page.next.map { catalog.index($0) }
        } while last != nil
        #expect(found == catalog.letters.indices.filter { catalog.letters[$0] == .listed })
    }

    @Test(
        "ends after a thousand entries, even if it is empty",
        arguments: [(1000, nil), (1001, 999)] as [(Int, Int?)])
    func scanLimit(count: Int, next: Int?) {
        let catalog = Catalog(String(repeating: "-", count: count))
        let (page, _) = catalog.page(after: nil, limit: 200)
        #expect(page.entries.isEmpty)
        #expect(page.next.map { catalog.index($0) } == next)
    }

    @Test(
        "of memberships continues after a valid cursor only",
        arguments: [(nil, true), ("5_a", true), ("5", false), ("", false), ("x_a", false)]
            as [(String?, Bool)])
    func membershipCursor(text: String?, isValid: Bool) {
        let pager = Self.pager(
            .memberships(
                of: UserID(tokenSubject: "ann"), tenant: "t", after: text.map { ByteString($0) },
                limit: 10, unreadLimit: 0))
        #expect((pager != nil) == isValid)
        #expect(pager?.cursor?.text.string == (isValid ? text : nil))
        #expect(pager.map { !$0.isCatalog && $0.redisKey == "p:{u:t:ann}:convs" } ?? true)
    }

    @Test("fails as a whole if Redis fails")
    func failure() {
        var pager = Self.pager(.catalog(tenant: "t", after: nil, limit: 10))!
        #expect(pager.isCatalog && pager.redisKey == "p:{t:t}:rooms" && !pager.isComplete)
        pager.failure = StoreFailure("unavailable")
        #expect(pager.isComplete)
        guard case .failed(StoreFailure("unavailable")) = pager.answer else {
            Issue.record("\(pager.answer)")
            return
        }
    }

    @Test("is not read for another request")
    func otherRequest() {
        #expect(Self.pager(.numbers(of: [], tenant: "t")) == nil)
    }
}

extension StoreFailure {
    fileprivate static func ~= (expected: StoreFailure, failure: StoreFailure) -> Bool {
        expected == failure
    }
}
