import TestKit
import TestTraits
import Testing

@Suite("A lost connection to Redis Pub/Sub", .programs, .ownThread)
struct LostSubscriptionTests {
    @Test("is an event of the cluster, although it is replaced at once")
    func event() throws {
        let redis = try RedisServer()
        let node = try ConfabServer(["--store", redis.url, "--node-id", "n1"])
        let alice = try node.connect("alice")
        try alice.post("before")
        #expect(try Self.rebuilds(node).isEmpty)
        #expect(try redis.execute("CLIENT", "KILL", "TYPE", "pubsub").contains("1"))
        let event = try Deadline.wait(for: "the event") { try Self.rebuilds(node).first }
        #expect(event["node"] == "n1")
        #expect(event["detail"]?.contains("Redis Pub/Sub") == true)
        let row = try confab("redis", "--output", "json", at: node.adminPort).rows("redis").first
        #expect((row?.number("rebuilds") ?? 0) >= 1)
        try alice.post("after")
    }

    private static func rebuilds(_ node: ConfabServer) throws -> [JSONObject] {
        try confab("events", "--type", "rebuild", "--output", "json", at: node.adminPort).rows(
            "events")
    }
}
