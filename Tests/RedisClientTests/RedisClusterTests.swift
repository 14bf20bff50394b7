import Bytes
import EventLoop
import Foundation
import RedisClient
import TestKit
import Testing

extension RealServers {
    /// Real nodes: three masters with a replica each, started once for all of these tests.
    @Suite("A Redis Cluster")
    struct RedisClusterTests {
        @Test(
            "executes commands on the slots' masters during migrations and failovers"
        )
        func cluster() throws {
            // No server fails at first, and the machine may stall one of them for a second.
            let cluster = try RedisClusterServers(failureTimeout: .seconds(5))
            try self.commands(cluster)
            try self.migration(cluster)
            try self.plannedFailover(cluster)
            try cluster.setFailureTimeout(.seconds(1))
            try self.masterCrash(cluster)
            try self.frozenMaster(cluster)
        }

        private func commands(_ cluster: RedisClusterServers) throws {
            let fixture = try RedisClientFixture(
                cluster.url(unreachablePorts: [try freePort(), try freePort()]))
            #expect(try fixture.waitUntilReady() == 1)
            for number in 0..<100 {
                let (key, slot) = ("key-\(number)", RedisSlot(key: ByteString("key-\(number)")))
                #expect(
                    try fixture.reply(to: ["SET", key, "\(number)"], slot: slot) == .status("OK"))
                #expect(try fixture.reply(to: ["GET", key], slot: slot) == .text("\(number)"))
            }
            // A command with the wrong slot is redirected.
            let wrong = RedisSlot(0)
            #expect(try fixture.reply(to: ["GET", "key-7"], slot: wrong) == .text("7"))
            #expect(try fixture.reply(to: ["PING"], slot: .any) == .status("PONG"))
            let masters = try fixture.loop.run { [client = fixture.client] in
                Set(client.masterSlots.map { client.masterID(of: $0) })
            }
            #expect(masters.count == 3 && !masters.contains(nil))
            let standaloneServer = try RedisServer()
            let noCluster = try RedisClientFixture(
                "redis+cluster://127.0.0.1:\(standaloneServer.port)")
            guard
                case .changed(.unavailable(.noRedisClusterNode(let reason))) =
                    try noCluster.recorder
                    .next()
            else { throw TestFailure("no reason") }
            #expect(reason.contains("cluster support disabled"))
        }

        /// A slot moves under load, key by key, and a channel moves with it.
        private func migration(_ cluster: RedisClusterServers) throws {
            let slot = RedisSlot(key: "{mail}")
            let keys = (0..<40).map { "{mail}:\($0)" }
            // A node waits for the disk when the slot gets its new owner.
            let adjust: (inout RedisSettings) -> Void = {
                $0.commandTimeout = .seconds(20)
                $0.silenceTimeout = .seconds(20)
            }
            let fixture = try RedisClientFixture(cluster.url(), adjust)
            try fixture.waitUntilReady()
            let subscribing = try RedisSubscriberFixture(cluster.url(), adjust)
            try subscribing.loop.run { [subscriber = subscribing.subscriber] in
                subscriber.subscribe(to: "{mail}")
            }
            try subscribing.recorder.next("the subscription") { $0 == .subscribed("{mail}") }
            let load = SetBitLoad { keys[$0 % keys.count] }
            try load.run(on: fixture, until: 200)

            let source = try cluster.master(of: Int(slot.number))
            let target = try #require(
                try cluster.nodes().first { $0.isMaster && $0.id != source.id })
            let (from, to) = (try cluster.server(of: source), try cluster.server(of: target))
            let number = "\(slot.number)"
            #expect(try to.execute("CLUSTER", "SETSLOT", number, "IMPORTING", source.id) == "OK")
            #expect(try from.execute("CLUSTER", "SETSLOT", number, "MIGRATING", target.id) == "OK")
            try load.run(on: fixture, until: 400)
            for (count, key) in keys.enumerated() {
                _ = try from.execute("MIGRATE", "127.0.0.1", "\(target.port)", key, "0", "5000")
                if count == 20 {
                    // The two keys are on both nodes until the second has moved.
                    let command = ["MGET", keys[0], keys[39]]
                    let tag: CommandTag = 77
                    try fixture.loop.run { [client = fixture.client] in
                        try client.command(tag: tag, slot: slot) {
                            for word in command { $0.append(text: word) }
                        }
                    }
                }
                if count % 10 == 0 { try load.run(on: fixture, until: 400 + count * 5) }
            }
            try load.run(on: fixture, until: 700)
            for server in [to, from] {
                #expect(try server.execute("CLUSTER", "SETSLOT", number, "NODE", target.id) == "OK")
            }
            try load.run(on: fixture, until: 1000)
            try load.verifyConfirmed(on: fixture)
            // The target creates keys that are new while the slot moves. No other error is allowed.
            for case .failed(let tag, let error) in fixture.recorder.all
            where tag != 77 || error != .tryAgain {
                Issue.record("\(tag) failed: \(error)")
            }

            // The channel has moved with its slot.
            try subscribing.recorder.next("the subscription at the new master") {
                $0 == .subscribed("{mail}")
            }
            try fixture.loop.run { [client = fixture.client] in
                try client.publish(tag: 5, to: "{mail}", slot: slot) { $0.append("here") }
            }
            #expect(
                try fixture.recorder.next("the count") {
                    if case .replied(5, _) = $0 { true } else { false }
                } == .replied(5, .integer(1)))
            try subscribing.recorder.next("the message") { $0 == .published("{mail}", "here") }
        }

        /// A replica takes over by agreement: no command needs to fail.
        private func plannedFailover(_ cluster: RedisClusterServers) throws {
            let fixture = try RedisClientFixture(cluster.url()) { $0.commandTimeout = .seconds(20) }
            let epoch = try fixture.waitUntilReady()
            let load = SetBitLoad { "a\($0 % 50)" }
            try load.run(on: fixture, until: 200)
            let old = try cluster.master(of: Int(RedisSlot(key: "a1").number))
            let new = try cluster.replica(of: old)
            cluster.beginFailover(to: new)
            try load.run(on: fixture, until: 400)
            try Deadline.wait(for: "the replica to take over") {
                try cluster.master(of: Int(RedisSlot(key: "a1").number)).id == new.id
            }
            try fixture.recorder.next("another master") {
                if case .changed(.ready(let next)) = $0 { next > epoch } else { false }
            }
            try load.run(on: fixture, until: 600)
            try load.verifyConfirmed(on: fixture)
        }

        private func masterCrash(_ cluster: RedisClusterServers) throws {
            let fixture = try RedisClientFixture(cluster.url()) { $0.commandTimeout = .seconds(20) }
            let epoch = try fixture.waitUntilReady()
            let subscribing = try RedisSubscriberFixture(cluster.url())
            try subscribing.loop.run { [subscriber = subscribing.subscriber] in
                subscriber.subscribe(to: "b1")
            }
            try subscribing.recorder.next("the subscription") { $0 == .subscribed("b1") }
            let load = SetBitLoad { "b\($0 % 50)" }
            try load.run(on: fixture, until: 200)
            let slot = RedisSlot(key: "b1")
            let old = try cluster.master(of: Int(slot.number))
            try cluster.server(of: old).crash()
            try fixture.recorder.next("the end of a master") { $0.isUnavailable }
            try fixture.recorder.next("another master") {
                if case .changed(.ready(let next)) = $0 { next > epoch } else { false }
            }
            try load.run(on: fixture, until: 500)
            try load.verifyConfirmed(on: fixture)
            // The node that the test asks may learn of it later than the client.
            try Deadline.wait(
                for: "the nodes to name another master",
                untilTrue: {
                    guard let new = try? cluster.master(of: Int(slot.number)) else { return false }
                    return new.id != old.id
                })

            try subscribing.recorder.next("the subscription at the new master") {
                $0 == .subscribed("b1")
            }
            #expect(
                try cluster.server(of: cluster.master(of: Int(slot.number))).execute(
                    "SPUBLISH", "b1", "here") == "1")
            try subscribing.recorder.next("the message") { $0 == .published("b1", "here") }
            // Until the old master follows the new one, it names itself as the master to clients.
            try cluster.server(of: old).restart()
            try cluster.awaitHealthy()
        }

        /// The other nodes replace a master that stops responding, long before the command timeout.
        private func frozenMaster(_ cluster: RedisClusterServers) throws {
            let fixture = try RedisClientFixture(cluster.url()) { $0.commandTimeout = .seconds(60) }
            let epoch = try fixture.waitUntilReady()
            let slot = RedisSlot(key: "c")
            let old = try cluster.master(of: Int(slot.number))
            try Deadline.wait(for: "a replica") {
                try cluster.server(of: old).execute("INFO", "replication").contains("state=online")
            }
            try cluster.server(of: old).freeze()
            defer { try? cluster.server(of: old).unfreeze() }
            try fixture.loop.run { [client = fixture.client] in
                try client.command(tag: 1, slot: slot) {
                    for word in ["SET", "c", "1"] { $0.append(text: word) }
                }
            }
            try fixture.recorder.next("another master") {
                if case .changed(.ready(let next)) = $0 { next > epoch } else { false }
            }
            #expect(try fixture.reply(to: ["SET", "c", "2"], slot: slot) == .status("OK"))
            try Deadline.wait(for: "the end of the first command") {
                fixture.recorder.all.contains(.failed(1, .connectionLost(mayBeExecuted: true)))
            }
            #expect(try fixture.reply(to: ["GET", "c"], slot: slot) == .text("2"))
        }
    }
}
