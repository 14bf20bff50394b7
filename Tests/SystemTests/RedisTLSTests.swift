import TestKit
import Testing

/// Redis with replicas, where everything speaks TLS: nodes, servers and sentinels.
@Suite("Two nodes over TLS", .serialized)
struct RedisTLSTests {
    @Test("find the master by sentinels, share a conversation, and follow a failover")
    func sentinel() throws {
        let certificates = try TestCertificates()
        let trio = try RedisSentinelServers(certificates: certificates)
        try self.exchangeMessages(at: trio.url, certificates) {
            try trio.failOver()
            try Deadline.wait(
                for: "another master", untilTrue: { try trio.master() === trio.servers[1] })
        }
    }

    @Test(
        "find their way in a Redis Cluster, share a conversation, and follow the failover of every master"
    )
    func cluster() throws {
        let certificates = try TestCertificates()
        let cluster = try RedisClusterServers(certificates: certificates)
        try self.exchangeMessages(at: cluster.url(), certificates) {
            for old in try cluster.nodes() where old.isMaster {
                let replica = try cluster.replica(of: old)
                _ = try cluster.server(of: replica).execute("CLUSTER", "FAILOVER")
                try Deadline.wait(
                    for: "another master",
                    untilTrue: {
                        try cluster.nodes().contains { $0.id == replica.id && $0.isMaster }
                    })
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
        // Who has said something has come in; the handshake alone does not say so.
        try bob.post("I am here")
        try alice.post("before", as: "a1")
        #expect(try bob.next("chat_message").object("message")?["content"] == "before")

        try failOver()

        // While the master is being replaced a send may fail, and is tried again as clients do.
        try Deadline.wait(
            for: "a send to be stored", untilTrue: { (try? alice.post("after", as: "a2")) != nil })
        #expect(try bob.next("chat_message").object("message")?["content"] == "after")
        for node in nodes { #expect(try node.stop() == .exited(0)) }
    }
}
