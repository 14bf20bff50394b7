import RedisClient
import Testing

@testable import NodeLink

@Suite("The problems of a link")
struct LinkProblemsTests {
    private static func problems(isRedisCluster: Bool = false) -> LinkProblems {
        LinkProblems(redisKeys: ClusterRedisKeys(cluster: "chat"), isRedisCluster: isRedisCluster)
    }

    @Test("with the cluster's state are new once, and again after another problem")
    func stateProblems() {
        var problems = Self.problems()
        let areNew = ["a", "a", "b", "a"].map { problems.stateFailed($0) }
        #expect(areNew == [true, false, true, true])
        #expect(problems.reason == "a")
        problems.stateSucceeded()
        #expect(problems.reason == nil)
    }

    @Test("with messages are new once, although the channel changes with every incarnation")
    func rejectedCommands() {
        var problems = Self.problems()
        let first = problems.rejected(.subscribe, .other("no"), mailboxOf: 35)
        #expect(first == "Redis replied with an error: no (SUBSCRIBE chat:{n:z}:mail)")
        let second = problems.rejected(.subscribe, .other("no"), mailboxOf: 36)
        #expect(second == nil)
        #expect(problems.reason == "Redis replied with an error: no (SUBSCRIBE chat:{n:10}:mail)")
        let publish = problems.rejected(.publish, .other("no"), mailboxOf: 35)
        #expect(publish == "Redis replied with an error: no (PUBLISH chat:{n:z}:mail)")
        problems.accepted(.subscribe)
        #expect(problems.reason == publish)
        problems.accepted(.publish)
        #expect(problems.reason == nil)
    }

    @Test("name the missing permission, with the command of the server's mode")
    func permissions() {
        var problems = Self.problems(isRedisCluster: true)
        let reason = problems.rejected(.publish, .notPermitted("no"), mailboxOf: 35)
        #expect(
            reason?.hasSuffix(
                " A node needs SPUBLISH on the channels chat:* (rejected: chat:{n:z}:mail); "
                    + "docs/operating/redis.md has the rule.") == true)
        #expect(problems.stateReason(.notPermitted("no")).contains("on the keys chat:*;"))
        #expect(problems.stateReason(.busy) == RedisError.busy.description)
    }

    @Test("with the mailbox are reported when they change, with the rejected command as reason")
    func mailbox() {
        var problems = Self.problems()
        var report = problems.mailboxProblem(isHealthy: true)
        #expect(report.reason == nil && !report.hasChanged)
        report = problems.mailboxProblem(isHealthy: false)
        #expect(report.reason == "the node receives no messages from Redis Pub/Sub")
        #expect(report.hasChanged)
        report = problems.mailboxProblem(isHealthy: false)
        #expect(!report.hasChanged)
        let rejected = problems.rejected(.subscribe, .other("no"), mailboxOf: 35)
        report = problems.mailboxProblem(isHealthy: false)
        #expect(report.reason == rejected && report.hasChanged)
        report = problems.mailboxProblem(isHealthy: true)
        #expect(report.reason == nil && report.hasChanged)
    }
}
