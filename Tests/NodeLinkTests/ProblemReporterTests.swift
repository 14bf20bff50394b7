import EventLoop
import RedisClient
import TestKit
import Testing

@testable import NodeLink

extension AgentSuites {
    @Suite("A reporter of the link's problems")
    struct ProblemReporterTests {
        private let fixture: AgentFixture
        private let problems: ProblemReporter

        init() throws {
            let fixture = try AgentFixture(try RedisServer(), isConnected: false)
            self.fixture = fixture
            self.problems = ProblemReporter(
                on: fixture.loop, redisKeys: fixture.redisKeys, isRedisCluster: false,
                receiver: fixture.receiver, logger: fixture.logger)
        }

        private var reason: String? { self.fixture.run { [problems] in problems.reason } }

        @Test("logs each problem of the cluster's state once, but none of the connection")
        func state() {
            self.fixture.run { [problems] in
                problems.stateNotStored(.noConnection)
                problems.stateNotStored(.outOfMemory)
                problems.stateNotStored(.outOfMemory)
            }
            #expect(self.reason == RedisError.outOfMemory.description)
            #expect(self.fixture.count(ofLines: "cluster state not stored") == 1)
            self.fixture.run { [problems] in problems.stateStored() }
            #expect(self.reason == nil)
            self.fixture.run { [problems] in problems.viewUnreadable("no number") }
            #expect(self.reason == "no number")
            #expect(self.fixture.count(ofLines: "view unreadable") == 1)
        }

        @Test("logs a rejected command once, until it is accepted")
        func commands() {
            for _ in 0..<2 {
                self.fixture.run { [problems] in
                    problems.rejected(.publish, .other("no"), mailboxOf: 35)
                }
            }
            #expect(self.fixture.count(ofLines: "messages rejected by redis") == 1)
            #expect(self.reason?.contains("PUBLISH chat:{n:z}:mail") == true)
            self.fixture.run { [problems] in
                problems.accepted(.publish)
                problems.rejected(.publish, .other("no"), mailboxOf: 35)
            }
            #expect(self.fixture.count(ofLines: "messages rejected by redis") == 2)
        }

        @Test("tells the node when messages stop and resume, and why they do not arrive")
        func mailbox() throws {
            self.fixture.run { [problems] in
                problems.mailboxChecked(isHealthy: true, change: nil)
                problems.mailboxChecked(isHealthy: false, change: false)
                problems.mailboxChecked(isHealthy: false, change: nil)
                problems.rejected(.subscribe, .busy, mailboxOf: 35)
                problems.mailboxChecked(isHealthy: false, change: nil)
                problems.mailboxChecked(isHealthy: true, change: true)
            }
            let calls = self.fixture.receiver.calls
            try #require(calls.count == 3)
            #expect(calls[0] == "problem the node receives no messages from Redis Pub/Sub")
            #expect(calls[1].contains("SUBSCRIBE chat:{n:z}:mail"))
            #expect(calls[2] == "problem solved")
            #expect(self.fixture.count(ofLines: "messages from redis missing") == 1)
            #expect(self.fixture.count(ofLines: "messages from redis resumed") == 1)
        }
    }
}
