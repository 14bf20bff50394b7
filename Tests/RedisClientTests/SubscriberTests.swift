import Bytes
import EventLoop
import RedisClient
import TestKit
import Testing

extension RealServers {
    @Suite("A subscriber")
    struct SubscriberTests {
        @Test(
            "hears what is published, byte for byte and in order, from when it is told so, until it listens no more"
        )
        func messages() throws {
            let server = try RedisServer()
            let stage = try RedisSubscriberFixture(server.url)
            try stage.loop.run { [subscriber = stage.subscriber] in
                subscriber.subscribe(to: "one")
                subscriber.subscribe(to: "one")
                subscriber.subscribe(to: "two")
            }
            #expect(
                try stage.recorder.next(3) == [
                    .changed(.ready(epoch: 1)), .subscribed("one"), .subscribed("two"),
                ])
            let publisher = try RedisClientFixture(server.url)
            try publisher.waitUntilReady()
            let big = String(repeating: "b", count: 2_000_000)
            try publisher.send([
                ["PUBLISH", "one", "first"], ["PUBLISH", "three", "x"], ["PUBLISH", "two", big],
                ["PUBLISH", "one", ""],
            ])
            #expect(
                try stage.recorder.next(3) == [
                    .published("one", "first"), .published("two", big), .published("one", ""),
                ])
            for tag in 0..<4 {
                #expect(
                    try publisher.recorder.next()
                        == .replied(UInt64(tag), .integer(tag == 1 ? 0 : 1)))
            }

            try stage.loop.run { [subscriber = stage.subscriber] in
                subscriber.unsubscribe(from: "one")
                subscriber.subscribe(to: "four")
            }
            #expect(try stage.recorder.next() == .subscribed("four"))
            try publisher.send([["PUBLISH", "one", "late"], ["PUBLISH", "four", "4"]])
            #expect(try stage.recorder.next() == .published("four", "4"))
        }

        @Test("whose connection is killed listens to the same channels again")
        func killedConnection() throws {
            let server = try RedisServer()
            let stage = try RedisSubscriberFixture(server.url)
            try stage.loop.run { [subscriber = stage.subscriber] in subscriber.subscribe(to: "one")
            }
            #expect(try stage.recorder.next(2) == [.changed(.ready(epoch: 1)), .subscribed("one")])
            #expect(try server.execute("CLIENT", "KILL", "TYPE", "pubsub") == "1")
            #expect(
                try stage.recorder.next(3) == [
                    .changed(.unavailable(.ended)), .changed(.ready(epoch: 2)), .subscribed("one"),
                ])
            #expect(try server.execute("PUBLISH", "one", "again") == "1")
            #expect(try stage.recorder.next() == .published("one", "again"))
            try stage.loop.run { [subscriber = stage.subscriber] in subscriber.reconnect() }
            guard case .changed(.unavailable(.broken)) = try stage.recorder.next() else {
                throw TestFailure("it was not given up")
            }
            #expect(try stage.recorder.next(2) == [.changed(.ready(epoch: 3)), .subscribed("one")])
        }

        @Test("notices a server that has fallen silent, and one that does not let it listen")
        func silentServer() throws {
            let server = try RedisServer()
            let stage = try RedisSubscriberFixture(server.url) {
                $0.pingAfter = .milliseconds(50)
                $0.commandTimeout = .milliseconds(400)
            }
            try stage.loop.run { [subscriber = stage.subscriber] in subscriber.subscribe(to: "one")
            }
            #expect(try stage.recorder.next(2) == [.changed(.ready(epoch: 1)), .subscribed("one")])
            try Deadline.wait(for: "pings") {
                try server.execute("INFO", "commandstats").contains("cmdstat_ping:calls=3")
                    ? () : nil
            }
            server.freeze()
            guard case .changed(.unavailable(.silent)) = try stage.recorder.next() else {
                throw TestFailure("nothing was noticed")
            }
            server.unfreeze()
            try stage.recorder.next("the next connection") { $0.isReady }
            #expect(try stage.recorder.next() == .subscribed("one"))

            try server.execute(
                "ACL", "SETUSER", "deaf", "on", ">sesame", "+@all", "~*", "resetchannels")
            let deaf = try RedisSubscriberFixture("redis://deaf:sesame@127.0.0.1:\(server.port)")
            try deaf.loop.run { [subscriber = deaf.subscriber] in subscriber.subscribe(to: "one") }
            #expect(try deaf.recorder.next() == .changed(.ready(epoch: 1)))
            guard case .changed(.unavailable(.refused(.notPermitted))) = try deaf.recorder.next()
            else { throw TestFailure("it may listen") }
        }
    }
}
