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
        @Test("answers commands in their order, however many go out at once, and whatever they bring")
        func pipelining() throws {
            let server = try RedisServer()
            let stage = try Stage(server.url)
            try stage.untilReady()
            let big = String(repeating: "x", count: 3_000_000)
            try stage.give(
                [["SET", "big", big], ["GET", "big"]] + (0..<5000).map { ["ECHO", "\($0)"] } + [["LRANGE", "none", "0", "-1"]])
            #expect(try stage.listener.next() == .replied(0, .status("OK")))
            let isWhole = try stage.listener.next() == .replied(1, .text(big))
            #expect(isWhole)
            #expect(try stage.listener.next(5000) == (0..<5000).map { .replied($0 + 2, .text("\($0)")) })
            #expect(try stage.listener.next() == .replied(5002, .array([])))
        }

        @Test("gets commands that were given before there was a connection, and from within answers")
        func early() throws {
            let server = try RedisServer()
            let holder = ClientHolder()
            let listener = Listener { heard in
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
            for tag in 1...10 { #expect(try listener.next() == .replied(UInt64(tag), .integer(41 + Int64(tag)))) }
        }

        @Test("takes a password, a user of its access list, a database and a name")
        func identity() throws {
            let server = try RedisServer(["--requirepass", "p@ss:word/ü"])
            try server.ask("-a", "p@ss:word/ü", "ACL", "SETUSER", "chat", "on", ">sesame", "~*", "&*", "+@all")
            let word = "p%40ss%3Aword%2F%C3%BC"
            let stage = try Stage("redis://:\(word)@127.0.0.1:\(server.port)/3") { $0.name = "confab-test" }
            try stage.untilReady()
            #expect(try stage.answer(to: "ACL", "WHOAMI") == .text("default"))
            #expect(try stage.answer(to: "CLIENT", "GETNAME") == .text("confab-test"))
            guard case .bytes(let info) = try stage.answer(to: "CLIENT", "INFO") else { throw TestFailure("no client info") }
            #expect(String(decoding: info, as: UTF8.self).contains(" db=3 "))

            let other = try Stage("redis://chat:sesame@127.0.0.1:\(server.port)")
            try other.untilReady()
            #expect(try other.answer(to: "ACL", "WHOAMI") == .text("chat"))
        }

        @Test("that does not let us in says why", arguments: ["", ":wrong@", "nobody:sesame@"])
        func refusal(_ identity: String) throws {
            let server = try RedisServer(["--requirepass", "sesame"])
            let stage = try Stage("redis://\(identity)127.0.0.1:\(server.port)")
            let reason: RedisError = identity.isEmpty ? .notAuthenticated : .wrongPassword
            #expect(try stage.listener.next() == .changed(.away(.refused(reason))))
            #expect(!reason.description.contains("wrong@"))
        }

        @Test("has a database too few, or answers a command with an error: each is told by name")
        func errors() throws {
            let server = try RedisServer(["--databases", "1"])
            let stage = try Stage(server.url + "/5")
            #expect(try stage.listener.next() == .changed(.away(.noDatabase(5, .other("ERR DB index is out of range")))))

            let good = try Stage(server.url)
            try good.untilReady()
            _ = try good.answer(to: "SET", "text", "x")
            guard case .failed(_, .wrongType) = try good.ask("LPUSH", "text", "y") else { throw TestFailure("no WRONGTYPE") }
            guard case .failed(_, .other("FENCED 7")) = try good.ask("EVAL", "return redis.error_reply('FENCED 7')", "0") else {
                throw TestFailure("no error of the script's own")
            }
            try server.ask("CONFIG", "SET", "maxmemory", "1")
            guard case .failed(_, .outOfMemory) = try good.ask("SET", "more", "z") else { throw TestFailure("no OOM") }
            guard case .failed(_, .outOfMemory) = try good.ask("EVAL", "return redis.call('SET', 'a', 'b')", "0") else {
                throw TestFailure("no OOM in a script")
            }
            try server.ask("REPLICAOF", "127.0.0.1", "1")
            guard case .failed(_, .readOnly) = try good.ask("SET", "more", "z") else { throw TestFailure("no READONLY") }
        }

        @Test("is spoken to over TLS, with a certificate that must be its own")
        func tls() throws {
            let certificates = try TestCertificates()
            try certificates.makeAuthority("stranger")
            let server = try RedisServer(certificates: certificates)
            for host in ["127.0.0.1", "localhost"] {
                let stage = try Stage("rediss://\(host):\(server.port)", trusting: certificates.authority)
                try stage.untilReady()
                let big = String(repeating: "y", count: 1_000_000)
                try stage.give([["SET", "k", big], ["GET", "k"], ["PING"]])
                #expect(try stage.listener.next(3) == [.replied(0, .status("OK")), .replied(1, .text(big)), .replied(2, .status("PONG"))])
            }
            let stage = try Stage("rediss://127.0.0.1:\(server.port)", trusting: certificates.path("stranger.pem"))
            guard case .changed(.away(.tls(.certificateNotAccepted(reason: _)))) = try stage.listener.next() else {
                throw TestFailure("the certificate was accepted")
            }
        }

        @Test("that is killed in the middle of a pipeline may have done what was sent; the next one is found by itself")
        func killed() throws {
            let server = try RedisServer()
            let stage = try Stage(server.url)
            try stage.untilReady()
            server.freeze()
            try stage.give((0..<100).map { ["INCR", "n\($0)"] })
            try server.crash()
            guard case .changed(.away) = try stage.listener.next() else { throw TestFailure("nothing was said of the end") }
            for tag in 0..<100 { #expect(try stage.listener.next() == .failed(UInt64(tag), .connectionLost(mayBeDone: true))) }
            try stage.give([["SET", "later", "1"]])
            try server.restart()
            #expect(try stage.untilReady() == 2)
            #expect(try stage.listener.next() == .replied(0, .status("OK")))
        }

        @Test("that is frozen is given up when a command has waited too long, and found again when it thaws")
        func frozen() throws {
            let server = try RedisServer()
            let stage = try Stage(server.url) { $0.commandPatience = .milliseconds(300) }
            try stage.untilReady()
            server.freeze()
            try stage.give([["PING"], ["PING"]])
            guard case .changed(.away(.silent(let milliseconds))) = try stage.listener.next() else { throw TestFailure("no time-out") }
            #expect(milliseconds >= 300)
            #expect(try stage.listener.next(2) == (0..<2).map { .failed($0, .connectionLost(mayBeDone: true)) })
            // It hears the greetings of all attempts; until then commands wait, and not for ever.
            try stage.give([["PING"]])
            try stage.listener.next("the end of the wait") { $0 == .failed(0, .noConnection) }
            server.thaw()
            #expect(try stage.untilReady() == 2)
            #expect(try stage.answer(to: "PING") == .status("PONG"))
        }

        @Test("whose link loses bytes, which neither end hears of, gets another connection", arguments: Proxy.Way.allCases)
        func halfOpen(_ way: Proxy.Way) throws {
            let server = try RedisServer()
            let proxy = try Proxy(to: server.port)
            defer { proxy.close() }
            let stage = try Stage("redis://127.0.0.1:\(proxy.port)") { $0.commandPatience = .seconds(60) }
            try stage.untilReady()
            proxy.set(.halfOpen(way))
            try stage.give([["PING"]])
            guard case .changed(.away(.silent)) = try stage.listener.next() else { throw TestFailure("nothing was noticed") }
            #expect(try stage.listener.next() == .failed(0, .connectionLost(mayBeDone: true)))
            // An attempt that was made meanwhile has lost bytes as well, and nobody waits long for it.
            try stage.give([["PING"]])
            proxy.set(.good)
            #expect(try stage.untilReady() == 2)
            #expect(try stage.listener.next() == .replied(0, .status("PONG")))
        }

        @Test("that falls silent is noticed without any command")
        func idle() throws {
            let server = try RedisServer()
            let stage = try Stage(server.url) {
                $0.pingAfter = .milliseconds(50)
                $0.commandPatience = .milliseconds(400)
            }
            try stage.untilReady()
            try Deadline.wait(for: "pings") { try server.ask("INFO", "commandstats").contains("cmdstat_ping:calls=3") ? () : nil }
            server.freeze()
            guard case .changed(.away(.silent)) = try stage.listener.next() else { throw TestFailure("nothing was noticed") }
            server.thaw()
            try stage.untilReady()
        }

        @Test("that is not there is said to be refused, and waited for")
        func absent() throws {
            let port = try freePort()
            let stage = try Stage("redis://127.0.0.1:\(port)")
            #expect(try stage.listener.next() == .changed(.away(.socket(.refused, place: "127.0.0.1:\(port)"))))
            let server = try RedisServer(port: port)
            #expect(try stage.untilReady() == 1)
            try server.stop()
        }

        @Test("has our scripts before the first command, gets them again when they were flushed, and a retry finds them")
        func scripts() throws {
            let server = try RedisServer()
            let add = RedisScript("return redis.call('INCRBY', KEYS[1], ARGV[1])")
            let name = RedisScript("return 'second'")
            let stage = try Stage(server.url, scripts: [add, name])
            let run: [String] = ["EVALSHA", add.digest.string, "1", "n", "5"]
            try stage.give([run, ["EVALSHA", name.digest.string, "0"]])
            try stage.untilReady()
            #expect(try stage.listener.next(2) == [.replied(0, .integer(5)), .replied(1, .text("second"))])

            try server.ask("SCRIPT", "FLUSH")
            try stage.give([run, run, run])
            // All three were under way when they were lost.
            #expect(try stage.listener.next(3) == (0..<3).map { .failed($0, .scriptLost) })
            try stage.give([run, ["EVALSHA", name.digest.string, "0"]])
            #expect(try stage.listener.next(2) == [.replied(0, .integer(10)), .replied(1, .text("second"))])
            #expect(try server.ask("INFO", "commandstats").contains("cmdstat_script|load:calls=4"))

            try server.crash()
            try server.restart()
            try stage.untilReady()
            try stage.give([run])
            #expect(try stage.listener.next() == .replied(0, .integer(5)))
        }

        @Test("is not asked more than the queue may hold")
        func bounds() throws {
            let server = try RedisServer()
            let stage = try Stage(server.url) {
                $0.commandLimit = 3
                $0.unsentByteLimit = 200
            }
            try stage.untilReady()
            #expect(throws: RedisError.queueFull) { try stage.give((0..<4).map { _ in ["PING"] }) }
            #expect(try stage.listener.next(3) == (0..<3).map { .replied($0, .status("PONG")) })
            #expect(throws: RedisError.queueFull) { try stage.give([["ECHO", String(repeating: "x", count: 300)]]) }
            #expect(try stage.answer(to: "PING") == .status("PONG"))
        }

        @Test("takes a command for the connection that brought a reply, as long as that one lasts")
        func connections() throws {
            let server = try RedisServer()
            let answering = Mutex<RedisConnection?>(nil)
            let holder = ClientHolder()
            let listener = Listener { heard in
                if case .replied(1, _) = heard { answering.withLock { $0 = holder.client?.answering } }
            }
            let stage = try Stage(server.url, listener: listener)
            holder.client = stage.client
            try stage.untilReady()
            try stage.loop.run { [client = stage.client] in try client.command(tag: 1) { $0.append("PING") } }
            try stage.listener.next("the reply") { $0.tag == 1 }
            let connection = try #require(answering.withLock { $0 })
            let ping: @Sendable (UInt64) throws -> Void = { [client = stage.client] tag in
                try client.command(tag: tag, slot: .any, over: connection) { $0.append("PING") }
            }
            try stage.loop.run { try ping(2) }
            #expect(try stage.listener.next() == .replied(2, .status("PONG")))
            try server.ask("CLIENT", "KILL", "TYPE", "normal")
            try stage.untilReady()
            #expect(throws: RedisError.connectionLost(mayBeDone: false)) { try stage.loop.run { try ping(3) } }
        }

        @Test("hears nothing more after the client is closed")
        func closing() throws {
            let server = try RedisServer()
            let stage = try Stage(server.url)
            try stage.untilReady()
            try stage.loop.run { [client = stage.client] in
                try client.command(tag: 1) { $0.append("PING") }
                client.close()
                #expect(client.state == .closed)
                #expect(throws: RedisError.closed) { try client.command(tag: 2) { $0.append("PING") } }
            }
            try Deadline.wait(for: "its end") { try server.ask("CLIENT", "LIST").split(separator: "\n").count == 1 ? () : nil }
            #expect(stage.listener.all == [.changed(.ready(epoch: 1))])
        }
    }
}

/// For a listener that gives commands itself.
private final class ClientHolder: @unchecked Sendable {
    var client: RedisClient?
}
