import Bytes
import EventLoop
import Foundation
import RedisClient
import Synchronization
import TestKit
import Testing

extension RealServers {
    /// Real servers and sentinels. A failover takes the sentinels one to four seconds.
    @Suite("A master that sentinels watch")
    struct SentinelTests {
        @Test(
            "is found and left for its successor while commands run: what was answered and confirmed is there afterwards"
        )
        func failover() throws {
            let trio = try RedisSentinelServers()
            let stage = try RedisClientFixture(trio.url) { $0.commandTimeout = .seconds(20) }
            let load = SetBitLoad()
            let hearing = try RedisSubscriberFixture(trio.url)
            try hearing.loop.run { [subscriber = hearing.subscriber] in
                subscriber.subscribe(to: "news")
            }
            try hearing.recorder.next("the subscription") { $0 == .subscribed("news") }
            #expect(try stage.waitUntilReady() == 1)
            let old = try trio.master()
            #expect(old === trio.servers[0])

            try load.run(on: stage, until: 200)
            try trio.failOver()
            try load.run(on: stage, until: 400)
            try Deadline.wait(for: "another master") { try trio.master() !== old }
            #expect(try stage.waitUntilReady() >= 2)
            try load.run(on: stage, until: 800)
            let new = try trio.master()
            try load.verifyConfirmed(on: stage)

            // Whoever listens follows too.
            try hearing.recorder.next("the end of the old one") { $0.isUnavailable }
            try hearing.recorder.next("the subscription at the new one") {
                $0 == .subscribed("news")
            }
            #expect(try new.execute("PUBLISH", "news", "here") == "1")
            try hearing.recorder.next("the message") { $0 == .published("news", "here") }
            // Nothing of ours is at the old one any more.
            try Deadline.wait(for: "the old master to follow") {
                (try? old.execute("ROLE"))?.hasPrefix("slave") ?? false
            }
            #expect(try !old.execute("CLIENT", "LIST", "TYPE", "NORMAL").contains("cmd=setbit"))
        }

        @Test(
            "that is frozen is given up as soon as the sentinels have another, not when patience ends"
        )
        func frozenMaster() throws {
            let trio = try RedisSentinelServers()
            let stage = try RedisClientFixture(trio.url) {
                $0.commandTimeout = .seconds(60)
                $0.silenceTimeout = .seconds(60)
            }
            try stage.waitUntilReady()
            trio.servers[0].freeze()
            try stage.send([["SET", "k", "1"]])
            guard
                case .changed(.unavailable(.masterChanged(let place))) = try stage.recorder.next(
                    "the switch")
            else {
                throw TestFailure("it was left for another reason")
            }
            #expect(place.port == trio.servers[1].port)
            #expect(try stage.recorder.next() == .failed(0, .connectionLost(mayBeDone: true)))
            #expect(try stage.waitUntilReady() >= 2)
            #expect(try stage.reply(to: "SET", "k", "2") == .status("OK"))
            trio.servers[0].unfreeze()
            // Sentinels end its connections when they make it a replica.
            try Deadline.wait(for: "the old master to follow") {
                (try? trio.servers[0].execute("GET", "k")) == "2"
            }
        }

        @Test("is found by any one sentinel, and a switch is heard of although another has died")
        func deadSentinel() throws {
            let trio = try RedisSentinelServers()
            try trio.sentinels[0].crash()
            let stage = try RedisClientFixture(trio.url)
            #expect(try stage.waitUntilReady() == 1)
            try trio.servers[0].crash()
            try stage.recorder.next("its end") { $0.isUnavailable }
            #expect(try stage.waitUntilReady() >= 2)
            #expect(try stage.reply(to: "ROLE") != .null)
            try Deadline.wait(for: "all to agree") { try trio.master() === trio.servers[1] }
        }

        @Test("that the sentinels do not know is named, and so are sentinels that are not there")
        func unknownMaster() throws {
            let trio = try RedisSentinelServers(password: "sesame")
            let stage = try RedisClientFixture(trio.url(":sesame@", master: "nobody"))
            #expect(
                try stage.recorder.next() == .changed(.unavailable(.unknownMaster(name: "nobody"))))
            let lost = try RedisClientFixture("redis+sentinel://127.0.0.1:\(try freePort())/x")
            guard case .changed(.unavailable(.noSentinel(let reason))) = try lost.recorder.next()
            else { throw TestFailure("no reason") }
            #expect(reason.contains("refuses the connection"))
            // The servers have a password here, and the sentinels none.
            let good = try RedisClientFixture(trio.url(":sesame@"))
            #expect(try good.waitUntilReady() == 1)
            let bad = try RedisClientFixture(trio.url(":wrong@"))
            #expect(try bad.recorder.next() == .changed(.unavailable(.refused(.wrongPassword))))
        }

        @Test("is found by sentinels that want a password too, if it is the same")
        func passwords() throws {
            let trio = try RedisSentinelServers(password: "sesame", sentinelPassword: "sesame")
            let good = try RedisClientFixture(trio.url(":sesame@"))
            #expect(try good.waitUntilReady() == 1)
            let nobody = try RedisClientFixture(trio.url)
            guard case .changed(.unavailable(.noSentinel(let reason))) = try nobody.recorder.next()
            else { throw TestFailure("no reason") }
            #expect(reason.contains("NOAUTH"))
        }

        @Test(
            "that says it is a replica gets no command; one that becomes a replica is left at its first READONLY"
        )
        func roles() throws {
            let trio = try RedisSentinelServers()
            let stage = try RedisClientFixture(trio.url)
            try stage.waitUntilReady()
            // Nobody but us learns of it at first: the sentinels are frozen.
            for sentinel in trio.sentinels { sentinel.freeze() }
            try trio.servers[0].execute("REPLICAOF", "127.0.0.1", "\(trio.servers[1].port)")
            // Becoming a replica does not end connections, so that the next write meets a replica.
            #expect(try stage.execute("SET", "k", "1") == .failed(1001, .readOnly))
            #expect(
                try stage.recorder.next("its end") == .changed(.unavailable(.refused(.readOnly))))
            #expect(
                try stage.recorder.next("the next attempt") == .changed(.unavailable(.notMaster)))
            try trio.servers[0].execute("REPLICAOF", "NO", "ONE")
            for sentinel in trio.sentinels { sentinel.unfreeze() }
            #expect(try stage.waitUntilReady() >= 2)
        }
    }
}
