import TestKit
import TestTraits
import Testing

/// Replicated Redis with TLS for all connections: nodes, servers and sentinels.
@Suite("Two nodes with TLS to Redis", .programs, .serialized, .ownThread)
struct RedisTLSTests {
    @Test("find the master with sentinels, share a conversation, and follow a failover")
    func sentinel() throws {
        let certificates = try TestCertificates()
        let sentinelServers = try RedisSentinelServers(certificates: certificates)
        try self.exchangeMessages(at: sentinelServers.url, certificates) {
            try sentinelServers.failOver()
        }
    }

    @Test(
        "share a conversation on a Redis Cluster, and follow failovers of all masters", .long
    )
    func cluster() throws {
        let certificates = try TestCertificates()
        let cluster = try RedisClusterServers(
            failureTimeout: .seconds(5), certificates: certificates)
        try self.exchangeMessages(at: cluster.url(), certificates) {
            for old in try cluster.nodes() where old.isMaster {
                try cluster.failOver(to: cluster.replica(of: old))
            }
        }
    }

    private func exchangeMessages(
        at url: String, _ certificates: TestCertificates, failOver: () throws -> Void
    ) throws {
        #expect(url.hasPrefix("rediss+"))
        let nodes = try ["n1", "n2"].map { name in
            try ConfabServer([
                "--store", url, "--redis-ca-file", certificates.authority, "--node-id", name,
                "--cluster-name", "tls",
            ])
        }
        let alice = try nodes[0].connect("alice")
        let bob = try nodes[1].connect("bob")
        // A client with a stored message is subscribed; the handshake does not guarantee that.
        try bob.post("I am here")
        try alice.post("before", as: "a1")
        #expect(try bob.next("chat_message").object("message")?["content"] == "before")

        try failOver()

        // During the failover a send may fail, and is repeated as clients do.
        try Deadline.wait(
            for: "a send to be stored", untilTrue: { (try? alice.post("after", as: "a2")) != nil })
        #expect(try bob.next("chat_message").object("message")?["content"] == "after")
        for node in nodes { #expect(try node.stop() == .exited(0)) }
    }
}
