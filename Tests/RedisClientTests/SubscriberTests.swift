import Bytes
import EventLoop
import RedisClient
import TestKit
import Testing

extension RealServers {
    @Suite("A subscriber")
    struct SubscriberTests {
        @Test(
            "receives messages unchanged and in order, until it unsubscribes"
        )
        func messages() throws {
            let server = try RedisServer()
            let fixture = try RedisSubscriberFixture(server.url)
            try fixture.loop.run { [subscriber = fixture.subscriber] in
                subscriber.subscribe(to: "one")
                subscriber.subscribe(to: "one")
                subscriber.subscribe(to: "two")
            }
            #expect(
                try fixture.recorder.next(3) == [
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
                try fixture.recorder.next(3) == [
                    .published("one", "first"), .published("two", big), .published("one", ""),
                ])
            for tag in 0..<4 {
                #expect(
                    try publisher.recorder.next()
                        == .replied(UInt64(tag), .integer(tag == 1 ? 0 : 1)))
            }

            try fixture.loop.run { [subscriber = fixture.subscriber] in
                subscriber.unsubscribe(from: "one")
                subscriber.subscribe(to: "four")
            }
            #expect(try fixture.recorder.next() == .subscribed("four"))
            try publisher.send([["PUBLISH", "one", "late"], ["PUBLISH", "four", "4"]])
            #expect(try fixture.recorder.next() == .published("four", "4"))
        }

        @Test("subscribes to the same channels again after its connection was killed")
        func killedConnection() throws {
            let server = try RedisServer()
            let fixture = try RedisSubscriberFixture(server.url)
            try fixture.loop.run { [subscriber = fixture.subscriber] in
                subscriber.subscribe(to: "one")
            }
            #expect(
                try fixture.recorder.next(2) == [.changed(.ready(epoch: 1)), .subscribed("one")])
            #expect(try server.execute("CLIENT", "KILL", "TYPE", "pubsub") == "1")
            #expect(
                try fixture.recorder.next(3) == [
                    .changed(.unavailable(.ended)), .changed(.ready(epoch: 2)), .subscribed("one"),
                ])
            #expect(try server.execute("PUBLISH", "one", "again") == "1")
            #expect(try fixture.recorder.next() == .published("one", "again"))
            try fixture.loop.run { [subscriber = fixture.subscriber] in subscriber.reconnect() }
            guard case .changed(.unavailable(.broken)) = try fixture.recorder.next() else {
                throw TestFailure("the connection was not replaced")
            }
            #expect(
                try fixture.recorder.next(2) == [.changed(.ready(epoch: 3)), .subscribed("one")])
        }

        @Test("notices a silent server, and one that rejects its subscription")
        func silentServer() throws {
            let server = try RedisServer()
            let fixture = try RedisSubscriberFixture(server.url) {
                $0.pingAfter = .milliseconds(50)
                $0.commandTimeout = .milliseconds(400)
            }
            try fixture.loop.run { [subscriber = fixture.subscriber] in
                subscriber.subscribe(to: "one")
            }
            #expect(
                try fixture.recorder.next(2) == [.changed(.ready(epoch: 1)), .subscribed("one")])
            try Deadline.wait(for: "pings") {
                try server.execute("INFO", "commandstats").contains("cmdstat_ping:calls=3")
                    ? () : nil
            }
            try server.freeze()
            guard case .changed(.unavailable(.silent)) = try fixture.recorder.next() else {
                throw TestFailure("the silence was not noticed")
            }
            server.unfreeze()
            try fixture.recorder.next("the next connection") { $0.isReady }
            #expect(try fixture.recorder.next() == .subscribed("one"))

            try server.execute(
                "ACL", "SETUSER", "rejected", "on", ">sesame", "+@all", "~*", "resetchannels")
            let rejected = try RedisSubscriberFixture(
                "redis://rejected:sesame@127.0.0.1:\(server.port)")
            try rejected.loop.run { [subscriber = rejected.subscriber] in
                subscriber.subscribe(to: "one")
            }
            #expect(try rejected.recorder.next() == .changed(.ready(epoch: 1)))
            guard
                case .changed(.unavailable(.refused(.notPermitted))) = try rejected.recorder.next()
            else { throw TestFailure("the subscription was accepted") }
        }
    }
}
