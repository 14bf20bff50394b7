import TestKit
import TestTraits
import Testing

/// Two nodes, each with a connection to one Redis through a proxy of its own.
@Suite("A node that is cut off from Redis", .programs, .serialized, .ownThread)
struct CutOffNodeTests {
    @Test("closes its clients when the other node has evicted it, and then returns")
    func evicted() throws {
        let redis = try RedisServer()
        let proxies = try (0..<2).map { _ in try FaultProxy(to: redis.port) }
        let nodes = try proxies.enumerated().map { number, proxy in
            try ConfabServer([
                "--store", "redis://127.0.0.1:\(proxy.port)", "--node-id", "n\(number + 1)",
            ])
        }
        try nodes[0].awaitShardBalance(of: 2)
        let clients = try (0..<3).map { try nodes[0].connect("ann", to: "room\($0)") }
        for client in clients { try client.synchronize() }
        let polling = try PollingClient(port: nodes[0].port)
        let bob = try nodes[1].connect("bob")

        proxies[0].set(.halfOpen(.both))
        for client in clients {
            #expect(
                try client.closeEvent(within: .seconds(60))
                    == .close(code: 1013, reason: "the node has lost its cluster; connect again"))
        }
        try Deadline.wait(for: "the end of the polling session", within: .seconds(60)) {
            try polling.poll().body == #"{"code":1,"message":"Session ID unknown"}"# ? () : nil
        }
        let refused = try HTTPReply.get("/elsewhere", port: nodes[0].port)
        #expect(refused.status == 503 && refused.fields["retry-after"] == "1")
        try bob.post("meanwhile")

        proxies[0].set(.normal)
        try nodes[0].awaitHealthy()
        // Each of its loops returns by itself.
        let ann = try Deadline.wait(for: "both loops to return") { try? nodes[0].connect("ann") }
        try ann.post("after")
    }
}
