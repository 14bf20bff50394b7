import JSON
import Testing

@testable import AdminAPI

@Suite("The check of Redis' password")
struct RedisPasswordCheckTests {
    @Test(
        "judges who can reach a Redis without one",
        arguments: [
            ("8.8.8.8:6379", "yes", "*", .failed), ("[2a00::1]:6379", "no", "*", .failed),
            ("10.0.0.9:6379", "no", "*", .warning), ("redis:6379", "yes", "", .warning),
            ("127.0.0.1:6379", nil, nil, .ok), ("localhost:6379", "yes", "* -::*", .ok),
            ("[::1]:6379", "no", "127.0.0.1 -::1", .ok),
            ("127.0.0.1:6379", "no", "* -::*", .warning),
            ("127.0.0.1:6379", "no", "127.0.0.1 10.0.0.9", .warning),
            ("127.0.0.1:6379", "no", "", .warning),
        ] as [(String, String?, String?, DoctorFinding.DoctorSeverity)])
    func severities(
        endpoint: String, protectedMode: String?, bind: String?,
        severity: DoctorFinding.DoctorSeverity
    ) throws {
        let check = try #require(DoctorCheck.redisChecks.first { $0.name == "redis-password" })
        func finding(hasPassword: JSONTree) -> DoctorFinding? {
            let server: JSONTree = [
                "endpoint": .string(endpoint), "info": .null,
                "settings": [
                    "protected-mode": protectedMode.map { .string($0) } ?? .null,
                    "bind": bind.map { .string($0) } ?? .null,
                ],
            ]
            let facts = NodeFacts(
                name: "n1", incarnation: 1,
                document: ["redis": ["servers": [server], "has_password": hasPassword]])
            return check.examine(facts, [facts])
        }
        let found = finding(hasPassword: false)
        #expect(found?.severity == severity, "\(String(describing: found))")
        #expect((found?.remedy == nil) == (severity == .ok))
        #expect(finding(hasPassword: true)?.severity == .ok)
        // A node of another version may not say it.
        #expect(finding(hasPassword: .null) == nil)
    }
}
