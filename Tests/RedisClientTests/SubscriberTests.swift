import Bytes
import EventLoop
import RedisClient
import TestKit
import Testing

extension RealServers {
    @Suite("A subscriber")
    struct SubscriberTests {
        @Test("hears what is published, byte for byte and in order, from when it is told so, until it listens no more")
        func messages() throws {
            let server = try RedisServer()
            let stage = try SubscriberStage(server.url)
            try stage.loop.run { [subscriber = stage.subscriber] in
                subscriber.subscribe(to: "one")
                subscriber.subscribe(to: "one")
                subscriber.subscribe(to: "two")
            }
            #expect(try stage.listener.next(3) == [.changed(.ready(epoch: 1)), .subscribed("one"), .subscribed("two")])
            let publisher = try Stage(server.url)
            try publisher.untilReady()
            let big = String(repeating: "b", count: 2_000_000)
            try publisher.give([
                ["PUBLISH", "one", "first"], ["PUBLISH", "three", "x"], ["PUBLISH", "two", big], ["PUBLISH", "one", ""],
            ])
            #expect(try stage.listener.next(3) == [.published("one", "first"), .published("two", big), .published("one", "")])
            for tag in 0..<4 { #expect(try publisher.listener.next() == .replied(UInt64(tag), .integer(tag == 1 ? 0 : 1))) }

            try stage.loop.run { [subscriber = stage.subscriber] in
                subscriber.unsubscribe(from: "one")
                subscriber.subscribe(to: "four")
            }
            #expect(try stage.listener.next() == .subscribed("four"))
            try publisher.give([["PUBLISH", "one", "late"], ["PUBLISH", "four", "4"]])
            #expect(try stage.listener.next() == .published("four", "4"))
        }

        @Test("whose connection is killed listens to the same channels again")
        func killed() throws {
            let server = try RedisServer()
            let stage = try SubscriberStage(server.url)
            try stage.loop.run { [subscriber = stage.subscriber] in subscriber.subscribe(to: "one") }
            #expect(try stage.listener.next(2) == [.changed(.ready(epoch: 1)), .subscribed("one")])
            #expect(try server.ask("CLIENT", "KILL", "TYPE", "pubsub") == "1")
            #expect(try stage.listener.next(3) == [.changed(.away(.ended)), .changed(.ready(epoch: 2)), .subscribed("one")])
            #expect(try server.ask("PUBLISH", "one", "again") == "1")
            #expect(try stage.listener.next() == .published("one", "again"))
            try stage.loop.run { [subscriber = stage.subscriber] in subscriber.reconnect() }
            guard case .changed(.away(.broken)) = try stage.listener.next() else { throw TestFailure("it was not given up") }
            #expect(try stage.listener.next(2) == [.changed(.ready(epoch: 3)), .subscribed("one")])
        }

        @Test("notices a server that has fallen silent, and one that does not let it listen")
        func silence() throws {
            let server = try RedisServer()
            let stage = try SubscriberStage(server.url) {
                $0.pingAfter = .milliseconds(50)
                $0.commandPatience = .milliseconds(400)
            }
            try stage.loop.run { [subscriber = stage.subscriber] in subscriber.subscribe(to: "one") }
            #expect(try stage.listener.next(2) == [.changed(.ready(epoch: 1)), .subscribed("one")])
            try Deadline.wait(for: "pings") { try server.ask("INFO", "commandstats").contains("cmdstat_ping:calls=3") ? () : nil }
            server.freeze()
            guard case .changed(.away(.silent)) = try stage.listener.next() else { throw TestFailure("nothing was noticed") }
            server.thaw()
            try stage.listener.next("the next connection") { $0.isReady }
            #expect(try stage.listener.next() == .subscribed("one"))

            try server.ask("ACL", "SETUSER", "deaf", "on", ">sesame", "+@all", "~*", "resetchannels")
            let deaf = try SubscriberStage("redis://deaf:sesame@127.0.0.1:\(server.port)")
            try deaf.loop.run { [subscriber = deaf.subscriber] in subscriber.subscribe(to: "one") }
            #expect(try deaf.listener.next() == .changed(.ready(epoch: 1)))
            guard case .changed(.away(.refused(.notPermitted))) = try deaf.listener.next() else { throw TestFailure("it may listen") }
        }
    }
}
