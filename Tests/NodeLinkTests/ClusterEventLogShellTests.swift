import Bytes
import TestKit
import Testing

@testable import NodeLink

extension AgentSuites {
    @Suite("The event log of a node")
    struct ClusterEventLogShellTests {
        private let fixture: AgentFixture
        private let events: ClusterEventLog

        init() throws {
            self.fixture = try AgentFixture(try RedisServer())
            self.events = ClusterEventLog(
                on: self.fixture.loop, redis: self.fixture.redis, redisKeys: self.fixture.redisKeys)
        }

        private func read(after id: String?, limit: Int) throws -> [NodeLink.Event] {
            let replies = ReplyList<[NodeLink.Event]?>()
            self.events.events(in: id.map { .after($0) } ?? .before(nil), limit: limit) {
                replies.add($0)
            }
            return try #require(try replies.first())
        }

        @Test("appends events, and returns the newest ones or those after an id")
        func order() throws {
            self.fixture.run { [events] in
                for number in 1...5 {
                    events.append([.init("event", "drain"), .init("n", "\(number)")])
                }
            }
            let all = try self.read(after: nil, limit: 100)
            #expect(all.map { $0["n"] } == ["1", "2", "3", "4", "5"])
            #expect(all.allSatisfy { $0["event"] == "drain" })
            #expect(try self.read(after: nil, limit: 2).map { $0["n"] } == ["4", "5"])
            let after = try self.read(after: all[1].id, limit: 2)
            #expect(after.map { $0["n"] } == ["3", "4"])
            #expect(try self.read(after: all[4].id, limit: 2) == [])
            #expect(try self.fixture.server.execute("XLEN", "chat:{c}:events") == "5")
        }

        @Test("answers nil if Redis rejects the query, or does not reply before the timeout")
        func failures() throws {
            try self.fixture.server.execute("SET", "chat:{c}:events", "x")
            let rejected = ReplyList<[NodeLink.Event]?>()
            self.events.events(in: .before(nil), limit: 1) { rejected.add($0) }
            #expect(try rejected.first() == .some(nil))

            try self.fixture.server.freeze()
            defer { self.fixture.server.unfreeze() }
            let expired = ReplyList<[NodeLink.Event]?>()
            let timeout = PendingQueries<Int>.timeout
            let before = self.fixture.run { NodeAgent.now }
            self.events.events(in: .before(nil), limit: 1) { expired.add($0) }
            let after = self.fixture.run { NodeAgent.now }
            self.fixture.run { [events] in events.expireQueries(at: before + timeout - 1) }
            #expect(expired.all.isEmpty)
            self.fixture.run { [events] in events.expireQueries(at: after + timeout) }
            #expect(expired.all.count == 1)
            #expect(try expired.first() == .some(nil))
        }
    }
}
