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
        @Test("is found and left for its successor while commands run: what was answered and confirmed is there afterwards")
        func failover() throws {
            let trio = try SentinelTrio()
            let stage = try Stage(trio.url) { $0.commandPatience = .seconds(20) }
            let load = Load()
            let hearing = try SubscriberStage(trio.url)
            try hearing.loop.run { [subscriber = hearing.subscriber] in subscriber.subscribe(to: "news") }
            try hearing.listener.next("the subscription") { $0 == .subscribed("news") }
            #expect(try stage.untilReady() == 1)
            let old = try trio.master()
            #expect(old === trio.servers[0])

            try load.run(on: stage, until: 200)
            try trio.failOver()
            try load.run(on: stage, until: 400)
            try Deadline.wait(for: "another master") { try trio.master() !== old }
            #expect(try stage.untilReady() >= 2)
            try load.run(on: stage, until: 800)
            let new = try trio.master()
            try load.check(on: stage)

            // Whoever listens follows too.
            try hearing.listener.next("the end of the old one") { $0.isAway }
            try hearing.listener.next("the subscription at the new one") { $0 == .subscribed("news") }
            #expect(try new.ask("PUBLISH", "news", "here") == "1")
            try hearing.listener.next("the message") { $0 == .published("news", "here") }
            // Nothing of ours is at the old one any more.
            try Deadline.wait(for: "the old master to follow") { (try? old.ask("ROLE"))?.hasPrefix("slave") ?? false }
            #expect(try !old.ask("CLIENT", "LIST", "TYPE", "NORMAL").contains("cmd=setbit"))
        }

        @Test("that is frozen is given up as soon as the sentinels have another, not when patience ends")
        func frozen() throws {
            let trio = try SentinelTrio()
            let stage = try Stage(trio.url) {
                $0.commandPatience = .seconds(60)
                $0.silencePatience = .seconds(60)
            }
            try stage.untilReady()
            trio.servers[0].freeze()
            try stage.give([["SET", "k", "1"]])
            guard case .changed(.away(.masterChanged(let place))) = try stage.listener.next("the switch") else {
                throw TestFailure("it was left for another reason")
            }
            #expect(place.port == trio.servers[1].port)
            #expect(try stage.listener.next() == .failed(0, .connectionLost(mayBeDone: true)))
            #expect(try stage.untilReady() >= 2)
            #expect(try stage.answer(to: "SET", "k", "2") == .status("OK"))
            trio.servers[0].thaw()
            // Sentinels end its connections when they make it a replica.
            try Deadline.wait(for: "the old master to follow") { (try? trio.servers[0].ask("GET", "k")) == "2" }
        }

        @Test("is found by any one sentinel, and a switch is heard of although another has died")
        func deadSentinel() throws {
            let trio = try SentinelTrio()
            try trio.sentinels[0].crash()
            let stage = try Stage(trio.url)
            #expect(try stage.untilReady() == 1)
            try trio.servers[0].crash()
            try stage.listener.next("its end") { $0.isAway }
            #expect(try stage.untilReady() >= 2)
            #expect(try stage.answer(to: "ROLE") != .null)
            try Deadline.wait(for: "all to agree") { try trio.master() === trio.servers[1] }
        }

        @Test("that the sentinels do not know is named, and so are sentinels that are not there")
        func unknown() throws {
            let trio = try SentinelTrio(password: "sesame")
            let stage = try Stage(trio.url(":sesame@", master: "nobody"))
            #expect(try stage.listener.next() == .changed(.away(.unknownMaster(name: "nobody"))))
            let lost = try Stage("redis+sentinel://127.0.0.1:\(try freePort())/x")
            guard case .changed(.away(.noSentinel(let reason))) = try lost.listener.next() else { throw TestFailure("no reason") }
            #expect(reason.contains("refuses the connection"))
            // The servers have a password here, and the sentinels none.
            let good = try Stage(trio.url(":sesame@"))
            #expect(try good.untilReady() == 1)
            let bad = try Stage(trio.url(":wrong@"))
            #expect(try bad.listener.next() == .changed(.away(.refused(.wrongPassword))))
        }

        @Test("is found by sentinels that want a password too, if it is the same")
        func passwords() throws {
            let trio = try SentinelTrio(password: "sesame", sentinelPassword: "sesame")
            let good = try Stage(trio.url(":sesame@"))
            #expect(try good.untilReady() == 1)
            let nobody = try Stage(trio.url)
            guard case .changed(.away(.noSentinel(let reason))) = try nobody.listener.next() else { throw TestFailure("no reason") }
            #expect(reason.contains("NOAUTH"))
        }

        @Test("that says it is a replica gets no command; one that becomes a replica is left at its first READONLY")
        func roles() throws {
            let trio = try SentinelTrio()
            let stage = try Stage(trio.url)
            try stage.untilReady()
            // Nobody but us learns of it at first: the sentinels are frozen.
            for sentinel in trio.sentinels { sentinel.freeze() }
            try trio.servers[0].ask("REPLICAOF", "127.0.0.1", "\(trio.servers[1].port)")
            // Becoming a replica does not end connections, so that the next write meets a replica.
            #expect(try stage.ask("SET", "k", "1") == .failed(1001, .readOnly))
            #expect(try stage.listener.next("its end") == .changed(.away(.refused(.readOnly))))
            #expect(try stage.listener.next("the next attempt") == .changed(.away(.notMaster)))
            try trio.servers[0].ask("REPLICAOF", "NO", "ONE")
            for sentinel in trio.sentinels { sentinel.thaw() }
            #expect(try stage.untilReady() >= 2)
        }
    }
}
