import Bytes
import EventLoop
import Testing

@testable import RedisClient

@Suite("A connection to Redis")
struct RedisSessionTests {
    @Test(
        "authenticates, loads the scripts, checks that commands are accepted, awaits all replies"
    )
    func handshake() throws {
        var fixture = try RedisSessionFixture("redis://user:pass@a/2", scripts: ["return 1"]) {
            $0.name = "me"
        }
        fixture.send(1, "GET")
        #expect(fixture.tick() == true)
        #expect(fixture.flushCommands().isEmpty)
        fixture.session.opened(now: fixture.now)
        #expect(
            fixture.flushCommands()
                == "AUTH user pass|SELECT 2|CLIENT SETNAME me|SCRIPT LOAD return 1|PING")
        #expect(fixture.receive("+OK\r\n+OK\r\n-NOPERM no\r\n$2\r\nab\r\n").isEmpty)
        #expect(fixture.receive("+PONG\r\n") == ["ready 1"])
        #expect(fixture.flushCommands() == "GET")
        #expect(fixture.receive(":7\r\n") == ["1: 7"])
    }

    @Test(
        "suppresses replies where the server allows it, and still matches the other replies"
    )
    func withoutReply() throws {
        for (answer, isAble) in [("+OK", true), ("-NOPERM no", false)] {
            var fixture = try RedisSessionFixture { $0.suppressesReplies = true }
            #expect(!fixture.session.commandWithoutReply { $0.append("MAIL") })
            _ = fixture.tick()
            fixture.session.opened(now: fixture.now)
            #expect(fixture.flushCommands() == "CLIENT REPLY ON|PING")
            #expect(fixture.receive(answer + "\r\n+PONG\r\n") == ["ready 1"])
            fixture.send(1, "ONE")
            #expect(fixture.session.commandWithoutReply { $0.append("MAIL") } == isAble)
            fixture.send(2, "TWO")
            #expect(
                fixture.flushCommands() == (isAble ? "ONE|CLIENT REPLY SKIP|MAIL|TWO" : "ONE|TWO"))
            #expect(fixture.receive(":1\r\n:2\r\n") == ["1: 1", "2: 2"])
        }
    }

    @Test(
        "does not send a part of a command over the limit, so that no other command loses its reply"
    )
    func withoutReplyOverLimit() throws {
        var fixture = try RedisSessionFixture {
            $0.suppressesReplies = true
            $0.unsentByteLimit = 64
        }
        _ = fixture.tick()
        fixture.session.opened(now: fixture.now)
        _ = fixture.flushCommands()
        _ = fixture.receive("+OK\r\n+PONG\r\n")
        #expect(
            !fixture.session.commandWithoutReply { $0.append([UInt8](repeating: 120, count: 100)) })
        fixture.send(1, "ONE")
        #expect(fixture.flushCommands() == "ONE")
    }

    @Test("is closed when the handshake is rejected, and commands keep waiting")
    func refusedHandshake() throws {
        for (reply, reason) in [
            ("-LOADING x", RedisError.loading), ("-NOAUTH x", .notAuthenticated),
            ("-BUSY x", .busy),
        ] {
            var fixture = try RedisSessionFixture()
            fixture.send(1, "GET")
            _ = fixture.tick()
            fixture.session.opened(now: fixture.now)
            #expect(
                fixture.receive(reply + "\r\n") == ["unavailable \(RedisOutage.refused(reason))"])
            fixture.connect()
            #expect(fixture.flushCommands() == "GET")
        }
        // A user without the permission for PING may have others, and a server that cannot write
        // can still be read.
        for reply in ["-NOPERM x", "-MISCONF x"] {
            var fixture = try RedisSessionFixture()
            _ = fixture.tick()
            fixture.session.opened(now: fixture.now)
            #expect(fixture.receive(reply + "\r\n") == ["ready 1"])
        }
    }

    @Test(
        "fails the commands in flight in order when it breaks, and says which may be executed"
    )
    func brokenConnection() throws {
        var fixture = try RedisSessionFixture()
        fixture.connect()
        fixture.send(1, "ONE")
        fixture.send(2, "TWO")
        fixture.flush(leaving: 3)
        fixture.send(3, "THREE")
        fixture.session.disconnect(.ended, now: fixture.now)
        fixture.send(4, "FOUR")
        #expect(
            fixture.events() == [
                "unavailable \(RedisOutage.ended)",
                "1: \(RedisError.connectionLost(mayBeExecuted: true))",
                "2: \(RedisError.connectionLost(mayBeExecuted: false))",
                "3: \(RedisError.connectionLost(mayBeExecuted: false))",
            ])
        // Nothing is reported twice, and the later command is sent completely.
        fixture.session.disconnect(.ended, now: fixture.now)
        #expect(fixture.events().isEmpty)
        fixture.connect(epoch: 2)
        #expect(fixture.flushCommands() == "FOUR")
    }

    @Test(
        "is retried after growing delays, up to two seconds, different for each client"
    )
    func backoff() {
        var first = ReconnectBackoff(first: .milliseconds(50), longest: .seconds(2), seed: 1)
        var other = ReconnectBackoff(first: .milliseconds(50), longest: .seconds(2), seed: 2)
        var longest = Duration.milliseconds(50)
        for _ in 0..<20 {
            let wait = first.next()
            #expect(wait != other.next())
            #expect((longest / 2...longest).contains(wait))
            longest = min(longest * 2, .seconds(2))
        }
        first.reset()
        #expect(first.next() <= .milliseconds(50))
    }

    @Test("is not retried sooner if it breaks at once again and again, but is if it lasted")
    func flapping() throws {
        var fixture = try RedisSessionFixture()
        for epoch in 1...8 {
            fixture.connect(epoch: epoch)
            fixture.session.disconnect(.ended, now: fixture.now)
            _ = fixture.events()
        }
        let start = fixture.now
        while !fixture.tick() { fixture.now = fixture.now.advanced(by: .milliseconds(10)) }
        #expect(fixture.now.since(start) >= .milliseconds(500))
        fixture.session.opened(now: fixture.now)
        #expect(fixture.receive("+PONG\r\n") == ["ready 9"])
        fixture.now = fixture.now.advanced(by: .seconds(3))
        fixture.session.disconnect(.ended, now: fixture.now)
        #expect(fixture.tick() == false)
        #expect(fixture.events().count == 1)
        fixture.now = fixture.now.advanced(by: .milliseconds(50))
        #expect(fixture.tick() == true)
    }

    @Test(
        "is closed when connecting or the reply to the oldest command takes too long"
    )
    func timeouts() throws {
        var fixture = try RedisSessionFixture()
        #expect(fixture.tick() == true)
        fixture.advance(.milliseconds(4_990))
        #expect(fixture.events().isEmpty)
        fixture.advance(.milliseconds(20))
        #expect(
            fixture.events() == [
                "unavailable \(RedisOutage.socket(.timedOut, server: "redis://a:6379"))"
            ])

        fixture.connect()
        fixture.send(1, "ONE")
        fixture.advance(.milliseconds(4_900))
        fixture.send(2, "TWO")
        #expect(fixture.receive(":1\r\n") == ["1: 1"])
        fixture.advance(.milliseconds(4_900))
        #expect(fixture.events().isEmpty)
        fixture.advance(.milliseconds(200))
        #expect(fixture.events().first == "unavailable \(RedisOutage.silent(milliseconds: 5_100))")
    }

    @Test(
        "is closed when a reply is due and no byte arrives for two seconds"
    )
    func silentServer() throws {
        var fixture = try RedisSessionFixture { $0.commandTimeout = .seconds(60) }
        fixture.connect()
        fixture.advanceInTicks(.seconds(4))
        fixture.send(1, "ONE")
        fixture.advanceInTicks(.milliseconds(1_900))
        #expect(fixture.events().isEmpty)
        fixture.advanceInTicks(.milliseconds(100))
        #expect(
            fixture.events() == [
                "unavailable \(RedisOutage.silent(milliseconds: 2_000))",
                "1: \(RedisError.connectionLost(mayBeExecuted: false))",
            ])

        // The handshake has the same timeout.
        while !fixture.tick() { fixture.now = fixture.now.advanced(by: .milliseconds(10)) }
        fixture.session.opened(now: fixture.now)
        fixture.advanceInTicks(.milliseconds(1_900))
        #expect(fixture.events().isEmpty)
        fixture.advanceInTicks(.milliseconds(100))
        #expect(
            fixture.events() == [
                "unavailable \(RedisOutage.socket(.timedOut, server: "redis://a:6379"))"
            ])
    }

    @Test(
        "stays open while a slow server sends anything, until the oldest command times out"
    )
    func slowServer() throws {
        var fixture = try RedisSessionFixture()
        fixture.connect()
        for tag in 1...3 { fixture.send(UInt64(tag), "GET") }
        fixture.advanceInTicks(.milliseconds(1_900))
        #expect(fixture.receive(":1\r\n") == ["1: 1"])
        fixture.advanceInTicks(.milliseconds(1_900))
        #expect(fixture.receive("$5\r\nab").isEmpty)
        fixture.advanceInTicks(.milliseconds(1_100))
        #expect(fixture.receive("c").isEmpty)
        fixture.advanceInTicks(.milliseconds(100))
        #expect(fixture.events().first == "unavailable \(RedisOutage.silent(milliseconds: 5_000))")
    }

    @Test("is not closed because its own loop has stalled")
    func stalledLoop() throws {
        var fixture = try RedisSessionFixture()
        fixture.connect()
        fixture.send(1, "ONE")
        fixture.advance(.seconds(4))
        #expect(fixture.receive(":1\r\n") == ["1: 1"])
    }

    @Test("adds the time of WAIT to the silence timeout")
    func waitingForReplicas() throws {
        #expect(try RedisSettings(RedisURL("redis://a?wait-ms=3000")).silenceTimeout == .seconds(5))
    }

    @Test(
        "fails each waiting command after its timeout, and does not send it later"
    )
    func waitingCommands() throws {
        var fixture = try RedisSessionFixture()
        fixture.send(1, "ONE")
        fixture.advance(.seconds(3))
        fixture.send(2, "TWO")
        #expect(fixture.events().isEmpty)
        fixture.advance(.seconds(3))
        #expect(fixture.events().filter { $0.hasPrefix("1") } == ["1: \(RedisError.noConnection)"])
        fixture.connect()
        #expect(fixture.flushCommands() == "TWO")
        // The timeout for its reply starts now.
        fixture.advance(.seconds(4))
        #expect(fixture.receive("+OK\r\n") == ["2: OK"])
    }

    @Test("sends a PING when it has received nothing")
    func idlePing() throws {
        for mode in [RedisSession.SessionMode.commands, .subscription] {
            var fixture = try RedisSessionFixture(for: mode)
            fixture.connect()
            fixture.advance(.milliseconds(4_990))
            #expect(fixture.flushCommands().isEmpty)
            fixture.advance(.milliseconds(20))
            #expect(fixture.flushCommands() == "PING")
            let pong = fixture.receive(
                mode == .commands ? "+PONG\r\n" : "*2\r\n$4\r\npong\r\n$0\r\n\r\n")
            #expect(pong == (mode == .commands ? [] : ["push"]))
            fixture.advance(.milliseconds(5_010))
            #expect(fixture.flushCommands() == "PING")
            fixture.advance(.milliseconds(5_010))
            #expect(fixture.events() == ["unavailable \(RedisOutage.silent(milliseconds: 5_010))"])
        }
    }

    @Test("reloads lost scripts once, before it reports the failure")
    func lostScripts() throws {
        var fixture = try RedisSessionFixture(scripts: ["a", "b"])
        fixture.connect()
        fixture.send(1, "EVALSHA")
        fixture.send(2, "EVALSHA")
        _ = fixture.flushCommands()
        fixture.send(3, "EVALSHA")
        #expect(fixture.receive("-NOSCRIPT x\r\n") == ["1: \(RedisError.scriptLost)"])
        fixture.send(1, "EVALSHA")
        #expect(fixture.flushCommands() == "EVALSHA|SCRIPT LOAD a|SCRIPT LOAD b|EVALSHA")
        #expect(
            fixture.receive("-NOSCRIPT x\r\n-NOSCRIPT x\r\n$1\r\na\r\n$1\r\nb\r\n:1\r\n")
                == ["2: \(RedisError.scriptLost)", "3: \(RedisError.scriptLost)", "1: 1"])
        #expect(fixture.flushCommands().isEmpty)
        fixture.send(1, "EVALSHA")
        #expect(fixture.receive("-NOSCRIPT x\r\n") == ["1: \(RedisError.scriptLost)"])
        #expect(fixture.flushCommands() == "EVALSHA|SCRIPT LOAD a|SCRIPT LOAD b")
        #expect(
            fixture.receive("-OOM x\r\n") == ["unavailable \(RedisOutage.refused(.outOfMemory))"])
    }

    @Test("is closed when it receives an unexpected or malformed reply")
    func unexpectedData() throws {
        for (bytes, outage) in [
            (":1\r\n", RedisOutage.reply(.malformed("a reply without a command"))),
            (
                "-ERR max number of clients reached\r\n",
                .refused(.other("ERR max number of clients reached"))
            ),
        ] {
            var fixture = try RedisSessionFixture()
            fixture.connect()
            #expect(fixture.receive(bytes) == ["unavailable \(outage)"])
        }
        var fixture = try RedisSessionFixture()
        fixture.connect()
        fixture.send(1, "ONE")
        _ = fixture.flushCommands()
        let events = fixture.receive("HTTP/1.1 400 Bad Request\r\n")
        #expect(
            events.count == 2
                && events[0].hasPrefix("unavailable The server sent no valid Redis reply"))
    }

    @Test("queues no more than its limits")
    func bounds() throws {
        var fixture = try RedisSessionFixture {
            $0.commandLimit = 2
            $0.unsentByteLimit = 40
        }
        fixture.send(1, "ONE")
        #expect(throws: RedisError.queueFull) {
            try fixture.session.command(tag: 2, now: fixture.now) {
                $0.append(text: String(repeating: "x", count: 30))
            }
        }
        fixture.send(2, "TWO")
        #expect(throws: RedisError.queueFull) {
            try fixture.session.command(tag: 3, now: fixture.now) { $0.append("X") }
        }
        fixture.connect()
        #expect(fixture.flushCommands() == "ONE|TWO")
        #expect(throws: RedisError.queueFull) {
            try fixture.session.command(tag: 3, now: fixture.now) { $0.append("X") }
        }
        #expect(fixture.receive(":1\r\n") == ["1: 1"])
        fixture.send(3, "X")
        fixture.session.close()
        #expect(throws: RedisError.closed) {
            try fixture.session.command(tag: 3, now: fixture.now) { $0.append("X") }
        }
        #expect(fixture.events().isEmpty)
    }
}
