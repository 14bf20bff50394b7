import TestKit
import TestTraits
import Testing

@Suite("A node that requires a replica for each write", .programs, .ownThread)
struct MissingReplicaTests {
    @Test("rejects sends without a replica, reports that in its health, and recovers")
    func waitsForReplica() throws {
        let redis = try RedisServer()
        let node = try ConfabServer(["--store", "\(redis.url)?wait=1&wait-ms=100"])
        try Deadline.wait(
            for: "health to be degraded", untilTrue: { try node.health().status == 503 })
        #expect(try JSONObject(node.health().body)["status"] == "degraded")
        // Until the first probe times out, the reason is that the store does not answer.
        try Deadline.wait(
            for: "health to name replicas",
            untilTrue: {
                try JSONObject(node.health().body)["reason"]
                    == "store: no replica has confirmed the write in time; it may be stored"
            })

        let replica = try RedisServer(["--replicaof", "127.0.0.1 \(redis.port)"])
        defer { replica.process.kill() }
        try node.awaitHealthy()
        let alice = try node.connect("alice")
        try alice.post("safe")
        #expect(try replica.execute("KEYS", "*:log:default:lobby").contains("lobby"))

        try replica.crash()
        try alice.sendMessage("not safe", as: "a1")
        let refusal = try alice.next("message.failed")
        #expect(refusal["local_id"] == "a1")
        #expect(refusal["outcome"] == "unknown")
        try Deadline.wait(
            for: "health to be degraded", untilTrue: { try node.health().status == 503 })
    }
}
