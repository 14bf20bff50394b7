import JSON
import Testing

@testable import OperatorClient

@Suite("A state that confab await waits for")
struct AwaitConditionTests {
    private static func node(
        _ name: String, _ state: String = "active", health: String? = "healthy",
        shards: Int = 10, connections: Int? = 5
    ) -> JSONTree {
        [
            "node": .string(name), "state": .string(state), "shards": .integer(shards),
            "health": health.map { .string($0) } ?? .null, "reason": "store: full",
            "connections": connections.map { .integer($0) } ?? .null,
        ]
    }

    @Test(
        "is reached, or says what is missing",
        arguments: [
            ("healthy", nil, [node("n1"), node("n2")], nil),
            ("healthy", nil, [], "no node accepts clients"),
            ("healthy", nil, [node("n1", "drained")], "no node accepts clients"),
            ("healthy", nil, [node("n1"), node("n2", "gone", health: nil)], nil),
            ("healthy", nil, [node("n1"), node("n2", "draining", health: "draining")], nil),
            ("healthy", nil, [node("n1"), node("n2", health: "degraded")], "n2: store: full"),
            (
                "healthy", nil, [node("n1", "suspect", health: nil), node("n2")],
                "n1 does not answer"
            ),
            ("nodes", "2", [node("n1"), node("n2")], nil),
            ("nodes", "1", [node("n1"), node("n2")], nil),
            ("nodes", "2", [node("n1"), node("n2", "suspect")], "1 node of 2 active"),
            ("drained", "n1", [node("n1", "drained")], nil),
            ("drained", "n1", [node("n1"), node("n2")], "n1 is active"),
            (
                "drained", "n1", [node("n1", "draining", shards: 3), node("n2")],
                "n1 has 3 shards and 5 clients left"
            ),
            (
                "drained", "n1", [node("n1", "draining", shards: 3, connections: 0), node("n2")],
                "n1 has 3 shards and 0 clients left"
            ),
            (
                "drained", "n1",
                [node("n1", "draining", shards: 0, connections: 0), node("n2")], nil
            ),
            ("drained", "n1", [node("n1", "draining", shards: 4096, connections: 0)], nil),
            (
                "drained", "n1", [node("n1", "draining", connections: nil)], "n1 does not answer"
            ),
            ("drained", "n9", [node("n1")], "there is no node n9; there are n1"),
        ] as [(String, String?, [JSONTree], String?)])
    func conditions(name: String, value: String?, nodes: [JSONTree], missing: String?) throws {
        let condition = try AwaitCondition(name, value)
        #expect(condition.missing(in: ["nodes": .array(nodes)]) == missing)
    }

    @Test(
        "needs the right value",
        arguments: [
            ("healthy", "x"), ("drained", nil), ("nodes", nil), ("nodes", "0"), ("nodes", "many"),
            ("nodes", "10001"),
        ] as [(String, String?)])
    func mistakes(name: String, value: String?) {
        let mistake = #expect(throws: AwaitCondition.Mistake.self) {
            try AwaitCondition(name, value)
        }
        #expect(mistake?.reason.hasPrefix("VALUE: ") == true)
    }
}

@Suite("The URL of confab health")
struct HealthTargetTests {
    @Test(
        "has a scheme, a host, and perhaps a port and a path",
        arguments: [
            ("http://127.0.0.1:8080", false, "127.0.0.1", "8080", ""),
            ("http://chat/", false, "chat", "80", ""),
            ("HTTPS://chat.example/a/b/", true, "chat.example", "443", "/a/b"),
            ("https://[::1]:9/x", true, "::1", "9", "/x"),
        ])
    func targets(
        url: String, isSecure: Bool, host: String, port: String, prefix: String
    ) throws {
        let target = try #require(HealthProbe.HealthURL(url))
        #expect(
            target
                == HealthProbe.HealthURL(isSecure: isSecure, host: host, port: port, prefix: prefix)
        )
    }

    @Test(
        "is refused in any other form",
        arguments: [
            "", "chat:8080", "ftp://chat", "http://", "http://:80", "http://chat:x",
            "http://chat:70000", "http://me@chat", "http://chat?x", "http://chat#x", "http://a b",
            "http://a:1:2", "http:/chat", "http://[::1",
        ])
    func invalid(url: String) {
        #expect(HealthProbe.HealthURL(url) == nil)
    }
}
