import Bytes
import EventLoop
import Foundation
import RedisClient
import Synchronization
import TLS
import TestKit
import Testing

extension RealServers {
    /// Real servers. What takes time here takes a server's start, a hundredth of a second, and never a fixed wait.
    @Suite("Redis")
    struct ServerTests {
        @Test(
            "answers commands in their order, however many go out at once, and whatever they bring")
        func pipelining() throws {
            let server = try RedisServer()
            let stage = try RedisClientFixture(server.url)
            try stage.waitUntilReady()
            let big = String(repeating: "x", count: 3_000_000)
            try stage.send(
                [["SET", "big", big], ["GET", "big"]] + (0..<5000).map { ["ECHO", "\($0)"] } + [
                    ["LRANGE", "none", "0", "-1"]
                ])
            #expect(try stage.recorder.next() == .replied(0, .status("OK")))
            let isWhole = try stage.recorder.next() == .replied(1, .text(big))
            #expect(isWhole)
            #expect(
                try stage.recorder.next(5000) == (0..<5000).map { .replied($0 + 2, .text("\($0)")) }
            )
            #expect(try stage.recorder.next() == .replied(5002, .array([])))
        }

        @Test(
            "gets commands that were given before there was a connection, and from within answers")
        func earlyCommands() throws {
            let server = try RedisServer()
            let holder = ClientHolder()
            let listener = RedisEventRecorder { heard in
                guard case .replied(let tag, _) = heard, tag < 10 else { return }
                try? holder.client?.command(tag: tag + 1) {
                    $0.append("INCR")
                    $0.append("n")
                }
            }
            let settings = try RedisSettings(RedisURL(server.url))
            let loop = try EventLoop.start(name: "redis")
            defer {
                loop.stop()
                loop.join()
            }
            let client = RedisClient(settings, on: loop, seed: 1, user: listener)
            holder.client = client
            try loop.run {
                client.start()
                try client.command(tag: 0) {
                    $0.append("SET")
                    $0.append("n")
                    $0.append(41)
                }
            }
            #expect(try listener.next() == .changed(.ready(epoch: 1)))
            #expect(try listener.next() == .replied(0, .status("OK")))
            for tag in 1...10 {
                #expect(try listener.next() == .replied(UInt64(tag), .integer(41 + Int64(tag))))
            }
        }

        @Test("takes a password, a user of its access list, a database and a name")
        func identity() throws {
            let server = try RedisServer(["--requirepass", "p@ss:word/ü"])
            try server.execute(
                "-a", "p@ss:word/ü", "ACL", "SETUSER", "chat", "on", ">sesame", "~*", "&*", "+@all")
            let word = "p%40ss%3Aword%2F%C3%BC"
            let stage = try RedisClientFixture("redis://:\(word)@127.0.0.1:\(server.port)/3") {
                $0.name = "confab-test"
            }
            try stage.waitUntilReady()
            #expect(try stage.reply(to: "ACL", "WHOAMI") == .text("default"))
            #expect(try stage.reply(to: "CLIENT", "GETNAME") == .text("confab-test"))
            guard case .bytes(let info) = try stage.reply(to: "CLIENT", "INFO") else {
                throw TestFailure("no client info")
            }
            #expect(String(decoding: info, as: UTF8.self).contains(" db=3 "))

            let other = try RedisClientFixture("redis://chat:sesame@127.0.0.1:\(server.port)")
            try other.waitUntilReady()
            #expect(try other.reply(to: "ACL", "WHOAMI") == .text("chat"))
        }

        @Test("that does not let us in says why", arguments: ["", ":wrong@", "nobody:sesame@"])
        func refusal(_ identity: String) throws {
            let server = try RedisServer(["--requirepass", "sesame"])
            let stage = try RedisClientFixture("redis://\(identity)127.0.0.1:\(server.port)")
            let reason: RedisError = identity.isEmpty ? .notAuthenticated : .wrongPassword
            #expect(try stage.recorder.next() == .changed(.unavailable(.refused(reason))))
            #expect(!reason.description.contains("wrong@"))
        }

        @Test("has a database too few, or answers a command with an error: each is told by name")
        func errors() throws {
            let server = try RedisServer(["--databases", "1"])
            let stage = try RedisClientFixture(server.url + "/5")
            #expect(
                try stage.recorder.next()
                    == .changed(
                        .unavailable(.noDatabase(5, .other("ERR DB index is out of range")))))

            let good = try RedisClientFixture(server.url)
            try good.waitUntilReady()
            _ = try good.reply(to: "SET", "text", "x")
            guard case .failed(_, .wrongType) = try good.execute("LPUSH", "text", "y") else {
                throw TestFailure("no WRONGTYPE")
            }
            guard
                case .failed(_, .other("FENCED 7")) = try good.execute(
                    "EVAL", "return redis.error_reply('FENCED 7')", "0")
            else {
                throw TestFailure("no error of the script's own")
            }
            try server.execute("CONFIG", "SET", "maxmemory", "1")
            guard case .failed(_, .outOfMemory) = try good.execute("SET", "more", "z") else {
                throw TestFailure("no OOM")
            }
            guard
                case .failed(_, .outOfMemory) = try good.execute(
                    "EVAL", "return redis.call('SET', 'a', 'b')", "0")
            else {
                throw TestFailure("no OOM in a script")
            }
            try server.execute("REPLICAOF", "127.0.0.1", "1")
            guard case .failed(_, .readOnly) = try good.execute("SET", "more", "z") else {
                throw TestFailure("no READONLY")
            }
        }

        @Test("is spoken to over TLS, with a certificate that must be its own")
        func tls() throws {
            let certificates = try TestCertificates()
            try certificates.makeAuthority("stranger")
            let server = try RedisServer(certificates: certificates)
            for host in ["127.0.0.1", "localhost"] {
                let stage = try RedisClientFixture(
                    "rediss://\(host):\(server.port)", trusting: certificates.authority)
                try stage.waitUntilReady()
                let big = String(repeating: "y", count: 1_000_000)
                try stage.send([["SET", "k", big], ["GET", "k"], ["PING"]])
                #expect(
                    try stage.recorder.next(3) == [
                        .replied(0, .status("OK")), .replied(1, .text(big)),
                        .replied(2, .status("PONG")),
                    ])
            }
            let stage = try RedisClientFixture(
                "rediss://127.0.0.1:\(server.port)", trusting: certificates.path("stranger.pem"))
            guard
                case .changed(.unavailable(.tls(.certificateNotAccepted(reason: _)))) =
                    try stage.recorder.next()
            else {
                throw TestFailure("the certificate was accepted")
            }
        }

        @Test(
            "that is killed in the middle of a pipeline may have done what was sent; the next one is found by itself"
        )
        func killedServer() throws {
            let server = try RedisServer()
            let stage = try RedisClientFixture(server.url)
            try stage.waitUntilReady()
            server.freeze()
            try stage.send((0..<100).map { ["INCR", "n\($0)"] })
            try server.crash()
            guard case .changed(.unavailable) = try stage.recorder.next() else {
                throw TestFailure("nothing was said of the end")
            }
            for tag in 0..<100 {
                #expect(
                    try stage.recorder.next()
                        == .failed(UInt64(tag), .connectionLost(mayBeDone: true)))
            }
            try stage.send([["SET", "later", "1"]])
            try server.restart()
            #expect(try stage.waitUntilReady() == 2)
            #expect(try stage.recorder.next() == .replied(0, .status("OK")))
        }

        @Test(
            "that is frozen is given up when a command has waited too long, and found again when it thaws"
        )
        func frozenServer() throws {
            let server = try RedisServer()
            let stage = try RedisClientFixture(server.url) {
                $0.commandTimeout = .milliseconds(300)
            }
            try stage.waitUntilReady()
            server.freeze()
            try stage.send([["PING"], ["PING"]])
            guard case .changed(.unavailable(.silent(let milliseconds))) = try stage.recorder.next()
            else { throw TestFailure("no time-out") }
            #expect(milliseconds >= 300)
            #expect(
                try stage.recorder.next(2)
                    == (0..<2).map { .failed($0, .connectionLost(mayBeDone: true)) })
            // It hears the greetings of all attempts; until then commands wait, and not for ever.
            try stage.send([["PING"]])
            try stage.recorder.next("the end of the wait") { $0 == .failed(0, .noConnection) }
            server.unfreeze()
            #expect(try stage.waitUntilReady() == 2)
            #expect(try stage.reply(to: "PING") == .status("PONG"))
        }

        @Test(
            "whose link loses bytes, which neither end hears of, gets another connection",
            arguments: FaultProxy.TrafficDirection.allCases)
        func halfOpen(_ way: FaultProxy.TrafficDirection) throws {
            let server = try RedisServer()
            let proxy = try FaultProxy(to: server.port)
            defer { proxy.close() }
            let stage = try RedisClientFixture("redis://127.0.0.1:\(proxy.port)") {
                $0.commandTimeout = .seconds(60)
            }
            try stage.waitUntilReady()
            proxy.set(.halfOpen(way))
            try stage.send([["PING"]])
            guard case .changed(.unavailable(.silent)) = try stage.recorder.next() else {
                throw TestFailure("nothing was noticed")
            }
            #expect(try stage.recorder.next() == .failed(0, .connectionLost(mayBeDone: true)))
            // An attempt that was made meanwhile has lost bytes as well, and nobody waits long for it.
            try stage.send([["PING"]])
            proxy.set(.normal)
            #expect(try stage.waitUntilReady() == 2)
            #expect(try stage.recorder.next() == .replied(0, .status("PONG")))
        }

        @Test("that falls silent is noticed without any command")
        func silentServer() throws {
            let server = try RedisServer()
            let stage = try RedisClientFixture(server.url) {
                $0.pingAfter = .milliseconds(50)
                $0.commandTimeout = .milliseconds(400)
            }
            try stage.waitUntilReady()
            try Deadline.wait(for: "pings") {
                try server.execute("INFO", "commandstats").contains("cmdstat_ping:calls=3")
                    ? () : nil
            }
            server.freeze()
            guard case .changed(.unavailable(.silent)) = try stage.recorder.next() else {
                throw TestFailure("nothing was noticed")
            }
            server.unfreeze()
            try stage.waitUntilReady()
        }

        @Test("that is not there is said to be refused, and waited for")
        func absentServer() throws {
            let port = try freePort()
            let stage = try RedisClientFixture("redis://127.0.0.1:\(port)")
            #expect(
                try stage.recorder.next()
                    == .changed(.unavailable(.socket(.refused, server: "127.0.0.1:\(port)"))))
            let server = try RedisServer(port: port)
            #expect(try stage.waitUntilReady() == 1)
            try server.stop()
        }

        @Test(
            "has our scripts before the first command, gets them again when they were flushed, and a retry finds them"
        )
        func scripts() throws {
            let server = try RedisServer()
            let add = RedisScript("return redis.call('INCRBY', KEYS[1], ARGV[1])")
            let name = RedisScript("return 'second'")
            let stage = try RedisClientFixture(server.url, scripts: [add, name])
            let run: [String] = ["EVALSHA", add.digest.string, "1", "n", "5"]
            try stage.send([run, ["EVALSHA", name.digest.string, "0"]])
            try stage.waitUntilReady()
            #expect(
                try stage.recorder.next(2) == [
                    .replied(0, .integer(5)), .replied(1, .text("second")),
                ])

            try server.execute("SCRIPT", "FLUSH")
            try stage.send([run, run, run])
            // All three were under way when they were lost.
            #expect(try stage.recorder.next(3) == (0..<3).map { .failed($0, .scriptLost) })
            try stage.send([run, ["EVALSHA", name.digest.string, "0"]])
            #expect(
                try stage.recorder.next(2) == [
                    .replied(0, .integer(10)), .replied(1, .text("second")),
                ])
            #expect(
                try server.execute("INFO", "commandstats").contains("cmdstat_script|load:calls=4"))

            try server.crash()
            try server.restart()
            try stage.waitUntilReady()
            try stage.send([run])
            #expect(try stage.recorder.next() == .replied(0, .integer(5)))
        }

        @Test("is not asked more than the queue may hold")
        func bounds() throws {
            let server = try RedisServer()
            let stage = try RedisClientFixture(server.url) {
                $0.commandLimit = 3
                $0.unsentByteLimit = 200
            }
            try stage.waitUntilReady()
            #expect(throws: RedisError.queueFull) { try stage.send((0..<4).map { _ in ["PING"] }) }
            #expect(try stage.recorder.next(3) == (0..<3).map { .replied($0, .status("PONG")) })
            #expect(throws: RedisError.queueFull) {
                try stage.send([["ECHO", String(repeating: "x", count: 300)]])
            }
            #expect(try stage.reply(to: "PING") == .status("PONG"))
        }

        @Test("takes a command for the connection that brought a reply, as long as that one lasts")
        func connections() throws {
            let server = try RedisServer()
            let answering = Mutex<RedisConnection?>(nil)
            let holder = ClientHolder()
            let listener = RedisEventRecorder { heard in
                if case .replied(1, _) = heard {
                    answering.withLock { $0 = holder.client?.replyingConnection }
                }
            }
            let stage = try RedisClientFixture(server.url, recorder: listener)
            holder.client = stage.client
            try stage.waitUntilReady()
            try stage.loop.run { [client = stage.client] in
                try client.command(tag: 1) { $0.append("PING") }
            }
            try stage.recorder.next("the reply") { $0.tag == 1 }
            let connection = try #require(answering.withLock { $0 })
            let ping: @Sendable (UInt64) throws -> Void = { [client = stage.client] tag in
                try client.command(tag: tag, slot: .any, over: connection) { $0.append("PING") }
            }
            try stage.loop.run { try ping(2) }
            #expect(try stage.recorder.next() == .replied(2, .status("PONG")))
            try server.execute("CLIENT", "KILL", "TYPE", "normal")
            try stage.waitUntilReady()
            #expect(throws: RedisError.connectionLost(mayBeDone: false)) {
                try stage.loop.run { try ping(3) }
            }
        }

        @Test("hears nothing more after the client is closed")
        func closing() throws {
            let server = try RedisServer()
            let stage = try RedisClientFixture(server.url)
            try stage.waitUntilReady()
            try stage.loop.run { [client = stage.client] in
                try client.command(tag: 1) { $0.append("PING") }
                client.close()
                #expect(client.state == .closed)
                #expect(throws: RedisError.closed) {
                    try client.command(tag: 2) { $0.append("PING") }
                }
            }
            try Deadline.wait(for: "its end") {
                try server.execute("CLIENT", "LIST").split(separator: "\n").count == 1 ? () : nil
            }
            #expect(stage.recorder.all == [.changed(.ready(epoch: 1))])
        }
    }
}

/// For a listener that gives commands itself.
private final class ClientHolder: @unchecked Sendable {
    var client: RedisClient?
}
