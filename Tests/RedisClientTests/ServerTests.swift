import Bytes
import EventLoop
import Foundation
import RedisClient
import Synchronization
import TLS
import TestKit
import Testing

extension RealServers {
    /// Real servers. A test waits only as long as a server takes to start, a hundredth of a second,
    /// and never a fixed time.
    @Suite("Redis")
    struct ServerTests {
        @Test(
            "answers commands in order, however many are sent at once and however large they are")
        func pipelining() throws {
            let server = try RedisServer()
            // The last reply counts from the first command on, and a busy machine needs seconds.
            let fixture = try RedisClientFixture(server.url) {
                $0.commandTimeout = Deadline.defaultTimeout
            }
            try fixture.waitUntilReady()
            let big = String(repeating: "x", count: 3_000_000)
            try fixture.send(
                [["SET", "big", big], ["GET", "big"]] + (0..<5000).map { ["ECHO", "\($0)"] } + [
                    ["LRANGE", "none", "0", "-1"]
                ])
            #expect(try fixture.recorder.next() == .replied(0, .status("OK")))
            let isWhole = try fixture.recorder.next() == .replied(1, .text(big))
            #expect(isWhole)
            #expect(
                try fixture.recorder.next(5000)
                    == (0..<5000).map { .replied($0 + 2, .text("\($0)")) }
            )
            #expect(try fixture.recorder.next() == .replied(5002, .array([])))
        }

        @Test(
            "gets commands that were sent before the connection existed or from within replies")
        func earlyCommands() throws {
            let server = try RedisServer()
            let holder = ClientHolder()
            let recorder = RedisEventRecorder { event in
                guard case .replied(let tag, _) = event, tag < 10 else { return }
                try? holder.client?.command(tag: CommandTag(rawValue: tag + 1)) {
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
            let client = RedisClient(settings, on: loop, seed: 1, user: recorder)
            holder.client = client
            try loop.run {
                client.start()
                try client.command(tag: 0) {
                    $0.append("SET")
                    $0.append("n")
                    $0.append(41)
                }
            }
            #expect(try recorder.next() == .changed(.ready(epoch: 1)))
            #expect(try recorder.next() == .replied(0, .status("OK")))
            for tag in 1...10 {
                #expect(try recorder.next() == .replied(UInt64(tag), .integer(41 + Int64(tag))))
            }
        }

        @Test("accepts a password, an ACL user, a database and a name")
        func identity() throws {
            let server = try RedisServer(["--requirepass", "p@ss:word/ü"])
            try server.execute(
                "-a", "p@ss:word/ü", "ACL", "SETUSER", "chat", "on", ">sesame", "~*", "&*", "+@all")
            let password = "p%40ss%3Aword%2F%C3%BC"
            let fixture = try RedisClientFixture("redis://:\(password)@127.0.0.1:\(server.port)/3")
            {
                $0.name = "confab-test"
            }
            try fixture.waitUntilReady()
            #expect(try fixture.reply(to: "ACL", "WHOAMI") == .text("default"))
            #expect(try fixture.reply(to: "CLIENT", "GETNAME") == .text("confab-test"))
            guard case .bytes(let info) = try fixture.reply(to: "CLIENT", "INFO") else {
                throw TestFailure("no client info")
            }
            #expect(String(decoding: info, as: UTF8.self).contains(" db=3 "))

            let other = try RedisClientFixture("redis://chat:sesame@127.0.0.1:\(server.port)")
            try other.waitUntilReady()
            #expect(try other.reply(to: "ACL", "WHOAMI") == .text("chat"))
        }

        @Test(
            "reports why it rejects the credentials", arguments: ["", ":wrong@", "nobody:sesame@"])
        func refusal(_ identity: String) throws {
            let server = try RedisServer(["--requirepass", "sesame"])
            let fixture = try RedisClientFixture("redis://\(identity)127.0.0.1:\(server.port)")
            let reason: RedisError = identity.isEmpty ? .notAuthenticated : .wrongPassword
            #expect(try fixture.recorder.next() == .changed(.unavailable(.refused(reason))))
            #expect(!reason.description.contains("wrong@"))
        }

        @Test("reports a missing database, and each kind of error reply")
        func errors() throws {
            let server = try RedisServer(["--databases", "1"])
            let fixture = try RedisClientFixture(server.url + "/5")
            #expect(
                try fixture.recorder.next()
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

        @Test("is reached over TLS, with a certificate that must be trusted")
        func tls() throws {
            let certificates = try TestCertificates()
            try certificates.makeAuthority("stranger")
            let server = try RedisServer(certificates: certificates)
            for host in ["127.0.0.1", "localhost"] {
                let fixture = try RedisClientFixture(
                    "rediss://\(host):\(server.port)", trusting: certificates.authority)
                try fixture.waitUntilReady()
                let big = String(repeating: "y", count: 1_000_000)
                try fixture.send([["SET", "k", big], ["GET", "k"], ["PING"]])
                #expect(
                    try fixture.recorder.next(3) == [
                        .replied(0, .status("OK")), .replied(1, .text(big)),
                        .replied(2, .status("PONG")),
                    ])
            }
            let fixture = try RedisClientFixture(
                "rediss://127.0.0.1:\(server.port)", trusting: certificates.path("stranger.pem"))
            guard
                case .changed(.unavailable(.tls(.certificateNotAccepted(reason: _)))) =
                    try fixture.recorder.next()
            else {
                throw TestFailure("the certificate was accepted")
            }
        }

        @Test(
            "may have executed the commands in flight when it is killed; its successor is found"
        )
        func killedServer() throws {
            let server = try RedisServer()
            let fixture = try RedisClientFixture(server.url)
            try fixture.waitUntilReady()
            try server.freeze()
            try fixture.send((0..<100).map { ["INCR", "n\($0)"] })
            try server.crash()
            guard case .changed(.unavailable) = try fixture.recorder.next() else {
                throw TestFailure("the outage was not reported")
            }
            for tag in 0..<100 {
                #expect(
                    try fixture.recorder.next()
                        == .failed(UInt64(tag), .connectionLost(mayBeExecuted: true)))
            }
            try fixture.send([["SET", "later", "1"]])
            try server.restart()
            #expect(try fixture.waitUntilReady() == 2)
            #expect(try fixture.recorder.next() == .replied(0, .status("OK")))
        }

        @Test(
            "is left when a command times out while it is frozen, and found again after it thaws"
        )
        func frozenServer() throws {
            let server = try RedisServer()
            let fixture = try RedisClientFixture(server.url) { $0.commandTimeout = .seconds(1) }
            try fixture.waitUntilReady()
            try server.freeze()
            try fixture.send([["PING"], ["PING"]])
            guard
                case .changed(.unavailable(.silent(let milliseconds))) = try fixture.recorder.next()
            else { throw TestFailure("no timeout") }
            #expect(milliseconds >= 1000)
            #expect(
                try fixture.recorder.next(2)
                    == (0..<2).map { .failed($0, .connectionLost(mayBeExecuted: true)) })
            // The server sees the handshakes of all attempts after it thaws. Until then commands
            // wait, up to their timeout.
            try fixture.send([["PING"]])
            try fixture.recorder.next("the timeout") { $0 == .failed(0, .noConnection) }
            server.unfreeze()
            #expect(try fixture.waitUntilReady() == 2)
            #expect(try fixture.reply(to: "PING") == .status("PONG"))
        }

        @Test(
            "gets a new connection when the network drops bytes without notifying either end",
            arguments: FaultProxy.TrafficDirection.allCases)
        func halfOpen(_ way: FaultProxy.TrafficDirection) throws {
            let server = try RedisServer()
            let proxy = try FaultProxy(to: server.port)
            defer { proxy.close() }
            let fixture = try RedisClientFixture("redis://127.0.0.1:\(proxy.port)") {
                $0.commandTimeout = .seconds(60)
            }
            try fixture.waitUntilReady()
            proxy.set(.halfOpen(way))
            try fixture.send([["PING"]])
            guard case .changed(.unavailable(.silent)) = try fixture.recorder.next() else {
                throw TestFailure("the silence was not noticed")
            }
            #expect(try fixture.recorder.next() == .failed(0, .connectionLost(mayBeExecuted: true)))
            // An attempt during the outage has lost bytes too, and times out soon.
            try fixture.send([["PING"]])
            proxy.set(.normal)
            #expect(try fixture.waitUntilReady() == 2)
            #expect(try fixture.recorder.next() == .replied(0, .status("PONG")))
        }

        @Test("is found to be silent even without commands")
        func silentServer() throws {
            let server = try RedisServer()
            let fixture = try RedisClientFixture(server.url) {
                $0.pingAfter = .milliseconds(50)
                $0.commandTimeout = .milliseconds(400)
            }
            try fixture.waitUntilReady()
            try Deadline.wait(for: "pings") {
                try server.execute("INFO", "commandstats").contains("cmdstat_ping:calls=3")
                    ? () : nil
            }
            try server.freeze()
            guard case .changed(.unavailable(.silent)) = try fixture.recorder.next() else {
                throw TestFailure("the silence was not noticed")
            }
            server.unfreeze()
            try fixture.waitUntilReady()
        }

        @Test("is reported as refusing connections while it does not run, and is waited for")
        func absentServer() throws {
            let port = try freePort()
            let fixture = try RedisClientFixture("redis://127.0.0.1:\(port)")
            #expect(
                try fixture.recorder.next()
                    == .changed(.unavailable(.socket(.refused, server: "127.0.0.1:\(port)"))))
            let server = try RedisServer(port: port)
            #expect(try fixture.waitUntilReady() == 1)
            try server.stop()
        }

        @Test(
            "gets the scripts before the first command and again after a flush"
        )
        func scripts() throws {
            let server = try RedisServer()
            let add = RedisScript("return redis.call('INCRBY', KEYS[1], ARGV[1])")
            let name = RedisScript("return 'second'")
            let fixture = try RedisClientFixture(server.url, scripts: [add, name])
            let run: [String] = ["EVALSHA", add.digest.string, "1", "n", "5"]
            try fixture.send([run, ["EVALSHA", name.digest.string, "0"]])
            try fixture.waitUntilReady()
            #expect(
                try fixture.recorder.next(2) == [
                    .replied(0, .integer(5)), .replied(1, .text("second")),
                ])

            try server.execute("SCRIPT", "FLUSH")
            try fixture.send([run, run, run])
            // All three were in flight when the scripts were flushed.
            #expect(try fixture.recorder.next(3) == (0..<3).map { .failed($0, .scriptLost) })
            try fixture.send([run, ["EVALSHA", name.digest.string, "0"]])
            #expect(
                try fixture.recorder.next(2) == [
                    .replied(0, .integer(10)), .replied(1, .text("second")),
                ])
            #expect(
                try server.execute("INFO", "commandstats").contains("cmdstat_script|load:calls=4"))

            try server.crash()
            try server.restart()
            try fixture.waitUntilReady()
            try fixture.send([run])
            #expect(try fixture.recorder.next() == .replied(0, .integer(5)))
        }

        @Test("is sent no more commands than the queue may hold")
        func bounds() throws {
            let server = try RedisServer()
            let fixture = try RedisClientFixture(server.url) {
                $0.commandLimit = 3
                $0.unsentByteLimit = 200
            }
            try fixture.waitUntilReady()
            #expect(throws: RedisError.queueFull) {
                try fixture.send((0..<4).map { _ in ["PING"] })
            }
            #expect(try fixture.recorder.next(3) == (0..<3).map { .replied($0, .status("PONG")) })
            #expect(throws: RedisError.queueFull) {
                try fixture.send([["ECHO", String(repeating: "x", count: 300)]])
            }
            #expect(try fixture.reply(to: "PING") == .status("PONG"))
        }

        @Test(
            "accepts a command on the connection of an earlier reply, while that lasts"
        )
        func connections() throws {
            let server = try RedisServer()
            let answering = Mutex<RedisConnection?>(nil)
            let holder = ClientHolder()
            let recorder = RedisEventRecorder { event in
                if case .replied(1, _) = event {
                    answering.withLock { $0 = holder.client?.replyingConnection }
                }
            }
            let fixture = try RedisClientFixture(server.url, recorder: recorder)
            holder.client = fixture.client
            try fixture.waitUntilReady()
            try fixture.loop.run { [client = fixture.client] in
                try client.command(tag: 1) { $0.append("PING") }
            }
            try fixture.recorder.next("the reply") { $0.tag == 1 }
            let connection = try #require(answering.withLock { $0 })
            let ping: @Sendable (CommandTag) throws -> Void = { [client = fixture.client] tag in
                try client.command(tag: tag, slot: .any, over: connection) { $0.append("PING") }
            }
            try fixture.loop.run { try ping(2) }
            #expect(try fixture.recorder.next() == .replied(2, .status("PONG")))
            try server.execute("CLIENT", "KILL", "TYPE", "normal")
            try fixture.waitUntilReady()
            #expect(throws: RedisError.connectionLost(mayBeExecuted: false)) {
                try fixture.loop.run { try ping(3) }
            }
        }

        @Test("sends nothing to a user whose client is closed")
        func closing() throws {
            let server = try RedisServer()
            let fixture = try RedisClientFixture(server.url)
            try fixture.waitUntilReady()
            try fixture.loop.run { [client = fixture.client] in
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
            #expect(fixture.recorder.all == [.changed(.ready(epoch: 1))])
        }
    }
}

/// For a recorder whose handler sends commands itself.
private final class ClientHolder: @unchecked Sendable {
    var client: RedisClient?
}
