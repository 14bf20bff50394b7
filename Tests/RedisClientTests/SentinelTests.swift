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
            "is found and followed through a failover: confirmed writes still exist afterwards"
        )
        func failover() throws {
            let trio = try RedisSentinelServers()
            let fixture = try RedisClientFixture(trio.url) { $0.commandTimeout = .seconds(20) }
            let load = SetBitLoad()
            let subscribing = try RedisSubscriberFixture(trio.url)
            try subscribing.loop.run { [subscriber = subscribing.subscriber] in
                subscriber.subscribe(to: "news")
            }
            try subscribing.recorder.next("the subscription") { $0 == .subscribed("news") }
            #expect(try fixture.waitUntilReady() == 1)
            let old = try trio.master()
            #expect(old === trio.servers[0])

            try load.run(on: fixture, until: 200)
            trio.beginFailover()
            try load.run(on: fixture, until: 400)
            try Deadline.wait(for: "another master", untilTrue: { try trio.master() !== old })
            #expect(try fixture.waitUntilReady() >= 2)
            try load.run(on: fixture, until: 800)
            let new = try trio.master()
            try load.verifyConfirmed(on: fixture)

            // The subscriber follows too.
            try subscribing.recorder.next("the end of the old one") { $0.isUnavailable }
            try subscribing.recorder.next("the subscription at the new one") {
                $0 == .subscribed("news")
            }
            #expect(try new.execute("PUBLISH", "news", "here") == "1")
            try subscribing.recorder.next("the message") { $0 == .published("news", "here") }
            // The client has no connection to the old master any more.
            try Deadline.wait(for: "the old master to follow") {
                (try? old.execute("ROLE"))?.hasPrefix("slave") ?? false
            }
            #expect(try !old.execute("CLIENT", "LIST", "TYPE", "NORMAL").contains("cmd=setbit"))
        }

        @Test(
            "is left as soon as the sentinels name another one, even while it is frozen"
        )
        func frozenMaster() throws {
            let trio = try RedisSentinelServers(failureTimeout: .seconds(1))
            let fixture = try RedisClientFixture(trio.url) {
                $0.commandTimeout = .seconds(60)
                $0.silenceTimeout = .seconds(60)
            }
            try fixture.waitUntilReady()
            try trio.servers[0].freeze()
            try fixture.send([["SET", "k", "1"]])
            guard
                case .changed(.unavailable(.masterChanged(let endpoint))) = try fixture.recorder
                    .next(
                        "the switch")
            else {
                throw TestFailure("another reason")
            }
            #expect(endpoint.port == trio.servers[1].port)
            #expect(try fixture.recorder.next() == .failed(0, .connectionLost(mayBeExecuted: true)))
            #expect(try fixture.waitUntilReady() >= 2)
            #expect(try fixture.reply(to: "SET", "k", "2") == .status("OK"))
            trio.servers[0].unfreeze()
            // Sentinels close its connections when they make it a replica.
            try Deadline.wait(for: "the old master to follow") {
                (try? trio.servers[0].execute("GET", "k")) == "2"
            }
        }

        @Test(
            "is found through any one sentinel, and a switch is noticed after another has died"
        )
        func deadSentinel() throws {
            let trio = try RedisSentinelServers(failureTimeout: .seconds(1))
            try trio.sentinels[0].crash()
            let fixture = try RedisClientFixture(trio.url)
            #expect(try fixture.waitUntilReady() == 1)
            try trio.servers[0].crash()
            try fixture.recorder.next("its end") { $0.isUnavailable }
            #expect(try fixture.waitUntilReady() >= 2)
            #expect(try fixture.reply(to: "ROLE") != .null)
            try Deadline.wait(for: "all to agree") { try trio.master() === trio.servers[1] }
        }

        @Test("is named if the sentinels do not know it, and so are missing sentinels")
        func unknownMaster() throws {
            let trio = try RedisSentinelServers(password: "sesame")
            let fixture = try RedisClientFixture(trio.url(":sesame@", master: "unknown"))
            #expect(
                try fixture.recorder.next()
                    == .changed(.unavailable(.unknownMaster(name: "unknown"))))
            let lost = try RedisClientFixture("redis+sentinel://127.0.0.1:\(try freePort())/x")
            guard case .changed(.unavailable(.noSentinel(let reason))) = try lost.recorder.next()
            else { throw TestFailure("no reason") }
            #expect(reason.contains("refuses the connection"))
            // Here the servers have a password, and the sentinels have none.
            let good = try RedisClientFixture(trio.url(":sesame@"))
            #expect(try good.waitUntilReady() == 1)
            let bad = try RedisClientFixture(trio.url(":wrong@"))
            #expect(try bad.recorder.next() == .changed(.unavailable(.refused(.wrongPassword))))
        }

        @Test("is found through sentinels that require the same password")
        func passwords() throws {
            let trio = try RedisSentinelServers(password: "sesame", sentinelPassword: "sesame")
            let good = try RedisClientFixture(trio.url(":sesame@"))
            #expect(try good.waitUntilReady() == 1)
            let rejected = try RedisClientFixture(trio.url)
            guard
                case .changed(.unavailable(.noSentinel(let reason))) = try rejected.recorder.next()
            else { throw TestFailure("no reason") }
            #expect(reason.contains("NOAUTH"))
        }

        @Test(
            "gets no command if it is a replica, and is left at its first READONLY"
        )
        func roles() throws {
            let trio = try RedisSentinelServers()
            let fixture = try RedisClientFixture(trio.url)
            try fixture.waitUntilReady()
            // The sentinels do not learn of it at first, because they are frozen.
            for sentinel in trio.sentinels { try sentinel.freeze() }
            try trio.servers[0].execute("REPLICAOF", "127.0.0.1", "\(trio.servers[1].port)")
            // Becoming a replica does not close connections, so the next write reaches a replica.
            #expect(try fixture.execute("SET", "k", "1") == .failed(1001, .readOnly))
            #expect(
                try fixture.recorder.next("its end") == .changed(.unavailable(.refused(.readOnly))))
            #expect(
                try fixture.recorder.next("the next attempt") == .changed(.unavailable(.notMaster)))
            try trio.servers[0].execute("REPLICAOF", "NO", "ONE")
            for sentinel in trio.sentinels { sentinel.unfreeze() }
            #expect(try fixture.waitUntilReady() >= 2)
        }
    }
}
