import Bytes
import EventLoop
import Foundation
import RedisClient
import TestKit
import Testing

extension RealServers {
    /// Real nodes: three masters with a replica each, made once for all of these tests.
    @Suite("A Redis Cluster")
    struct ClusterTests {
        @Test("is done by the masters of the slots, found by any node that lives, followed through migrations and failovers")
        func cluster() throws {
            let cluster = try RedisClusterServers()
            try self.commands(cluster)
            try self.migration(cluster)
            try self.graceful(cluster)
            try self.crash(cluster)
            try self.freeze(cluster)
        }

        private func commands(_ cluster: RedisClusterServers) throws {
            let stage = try Stage(cluster.url(dead: [try freePort(), try freePort()]))
            #expect(try stage.untilReady() == 1)
            for number in 0..<100 {
                let (key, slot) = ("key-\(number)", RedisSlot(key: ByteString("key-\(number)")))
                #expect(try stage.answer(to: ["SET", key, "\(number)"], slot: slot) == .status("OK"))
                #expect(try stage.answer(to: ["GET", key], slot: slot) == .text("\(number)"))
            }
            // Somebody who takes a slot for another is put right.
            let wrong = RedisSlot(0)
            #expect(try stage.answer(to: ["GET", "key-7"], slot: wrong) == .text("7"))
            #expect(try stage.answer(to: ["PING"], slot: .any) == .status("PONG"))
            let masters = try stage.loop.run { [client = stage.client] in Set(client.masters.map { client.master(of: $0) }) }
            #expect(masters.count == 3 && !masters.contains(nil))
            let alone = try RedisServer()
            let none = try Stage("redis+cluster://127.0.0.1:\(alone.port)")
            guard case .changed(.away(.noClusterNode(let reason))) = try none.listener.next() else { throw TestFailure("no reason") }
            #expect(reason.contains("cluster support disabled"))
        }

        /// A slot moves under load, key by key, and a channel with it.
        private func migration(_ cluster: RedisClusterServers) throws {
            let slot = RedisSlot(key: "{mail}")
            let keys = (0..<40).map { "{mail}:\($0)" }
            let stage = try Stage(cluster.url()) { $0.commandPatience = .seconds(20) }
            try stage.untilReady()
            let hearing = try SubscriberStage(cluster.url())
            try hearing.loop.run { [subscriber = hearing.subscriber] in subscriber.subscribe(to: "{mail}") }
            try hearing.listener.next("the subscription") { $0 == .subscribed("{mail}") }
            let load = Load { keys[$0 % keys.count] }
            try load.run(on: stage, until: 200)

            let source = try cluster.master(of: Int(slot.number))
            let target = try #require(try cluster.nodes().first { $0.isMaster && $0.id != source.id })
            let (from, to) = (try cluster.server(of: source), try cluster.server(of: target))
            let number = "\(slot.number)"
            #expect(try to.ask("CLUSTER", "SETSLOT", number, "IMPORTING", source.id) == "OK")
            #expect(try from.ask("CLUSTER", "SETSLOT", number, "MIGRATING", target.id) == "OK")
            try load.run(on: stage, until: 400)
            for (count, key) in keys.enumerated() {
                _ = try from.ask("MIGRATE", "127.0.0.1", "\(target.port)", key, "0", "5000")
                if count == 20 {
                    // Two keys that are on both sides, until they are not.
                    let command = ["MGET", keys[0], keys[39]]
                    let tag: UInt64 = 77
                    try stage.loop.run { [client = stage.client] in
                        try client.command(tag: tag, slot: slot) { for word in command { $0.append(text: word) } }
                    }
                }
                if count % 10 == 0 { try load.run(on: stage, until: 400 + count * 5) }
            }
            try load.run(on: stage, until: 700)
            for server in [to, from] { #expect(try server.ask("CLUSTER", "SETSLOT", number, "NODE", target.id) == "OK") }
            try load.run(on: stage, until: 1000)
            try load.check(on: stage)
            // Keys that are made while the slot moves are made on the other side; whoever is told of anything else is told by name.
            for case .failed(let tag, let error) in stage.listener.all where tag != 77 || error != .tryAgain {
                Issue.record("\(tag) failed: \(error)")
            }

            // The channel has gone with its slot.
            try hearing.listener.next("the subscription at the new place") { $0 == .subscribed("{mail}") }
            try stage.loop.run { [client = stage.client] in
                try client.publish(tag: 5, to: "{mail}", slot: slot) { $0.append("here") }
            }
            #expect(
                try stage.listener.next("the count") { if case .replied(5, _) = $0 { true } else { false } } == .replied(5, .integer(1)))
            try hearing.listener.next("the message") { $0 == .published("{mail}", "here") }
        }

        /// A replica takes over by agreement: no command needs to fail.
        private func graceful(_ cluster: RedisClusterServers) throws {
            let stage = try Stage(cluster.url()) { $0.commandPatience = .seconds(20) }
            let epoch = try stage.untilReady()
            let load = Load { "a\($0 % 50)" }
            try load.run(on: stage, until: 200)
            let old = try cluster.master(of: Int(RedisSlot(key: "a1").number))
            let new = try cluster.replica(of: old)
            #expect(try cluster.server(of: new).ask("CLUSTER", "FAILOVER") == "OK")
            try load.run(on: stage, until: 400)
            try Deadline.wait(for: "the replica to take over") { try cluster.master(of: Int(RedisSlot(key: "a1").number)).id == new.id }
            try stage.listener.next("another master") { if case .changed(.ready(let next)) = $0 { next > epoch } else { false } }
            try load.run(on: stage, until: 600)
            try load.check(on: stage)
        }

        private func crash(_ cluster: RedisClusterServers) throws {
            let stage = try Stage(cluster.url()) { $0.commandPatience = .seconds(20) }
            let epoch = try stage.untilReady()
            let hearing = try SubscriberStage(cluster.url())
            try hearing.loop.run { [subscriber = hearing.subscriber] in subscriber.subscribe(to: "b1") }
            try hearing.listener.next("the subscription") { $0 == .subscribed("b1") }
            let load = Load { "b\($0 % 50)" }
            try load.run(on: stage, until: 200)
            let slot = RedisSlot(key: "b1")
            let old = try cluster.master(of: Int(slot.number))
            try cluster.server(of: old).crash()
            try stage.listener.next("the end of a master") { $0.isAway }
            try stage.listener.next("another master") { if case .changed(.ready(let next)) = $0 { next > epoch } else { false } }
            try load.run(on: stage, until: 500)
            try load.check(on: stage)
            #expect(try cluster.master(of: Int(slot.number)).id != old.id)

            try hearing.listener.next("the subscription at the new master") { $0 == .subscribed("b1") }
            #expect(try cluster.server(of: cluster.master(of: Int(slot.number))).ask("SPUBLISH", "b1", "here") == "1")
            try hearing.listener.next("the message") { $0 == .published("b1", "here") }
            try cluster.server(of: old).restart()
            try Deadline.wait(for: "the old master to come back") { try !cluster.nodes().contains { $0.isFailed } }
        }

        /// A master that stops without a word is replaced by the others, long before patience with it ends.
        private func freeze(_ cluster: RedisClusterServers) throws {
            let stage = try Stage(cluster.url()) { $0.commandPatience = .seconds(60) }
            let epoch = try stage.untilReady()
            let slot = RedisSlot(key: "c")
            let old = try cluster.master(of: Int(slot.number))
            try Deadline.wait(for: "a replica") { try cluster.server(of: old).ask("INFO", "replication").contains("state=online") }
            try cluster.server(of: old).freeze()
            defer { try? cluster.server(of: old).thaw() }
            try stage.loop.run { [client = stage.client] in
                try client.command(tag: 1, slot: slot) { for word in ["SET", "c", "1"] { $0.append(text: word) } }
            }
            try stage.listener.next("another master") { if case .changed(.ready(let next)) = $0 { next > epoch } else { false } }
            #expect(try stage.answer(to: ["SET", "c", "2"], slot: slot) == .status("OK"))
            try Deadline.wait(for: "the end of the first command") {
                stage.listener.all.contains(.failed(1, .connectionLost(mayBeDone: true)))
            }
            #expect(try stage.answer(to: ["GET", "c"], slot: slot) == .text("2"))
        }
    }
}
