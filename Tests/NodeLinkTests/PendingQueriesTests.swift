import Synchronization
import Testing

@testable import NodeLink

@Suite("Queries with a timeout")
struct PendingQueriesTests {
    @Test("end once, with the answer or with the timeout")
    func once() throws {
        let replies = Mutex<[Int?]>([])
        var queries = PendingQueries<Int?>()
        func start(at now: Int64) -> UInt64? {
            queries.start(at: now) { answer in replies.withLock { $0.append(answer) } }
        }
        let first = try #require(start(at: 1000))
        let second = try #require(start(at: 1500))
        queries.finish(first)?(7)
        queries.finish(first)?(8)
        for reply in queries.takeExpired(at: 3499) { reply(nil) }
        #expect(replies.withLock { $0 } == [7])
        for reply in queries.takeExpired(at: 3500) { reply(nil) }
        queries.finish(second)?(9)
        #expect(replies.withLock { $0 } == [7, nil])
    }

    @Test("are refused if too many are pending")
    func limit() {
        var queries = PendingQueries<Int>()
        let ids = (0...PendingQueries<Int>.queryLimit).map { _ in queries.start(at: 0) { _ in } }
        #expect(ids.dropLast().allSatisfy { $0 != nil })
        #expect(ids.last! == nil)
        _ = queries.finish(1)
        let next = queries.start(at: 0) { _ in }
        #expect(next != nil)
    }
}
