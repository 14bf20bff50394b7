import Bytes
import EventLoop
import Testing

@testable import RedisClient

@Suite("A connection to Redis")
struct RedisSessionTests {
    @Test(
        "says who it is, loads the scripts and asks whether commands are taken, and waits for all the answers"
    )
    func handshake() throws {
        var stage = try RedisSessionFixture("redis://user:pass@a/2", scripts: ["return 1"]) {
            $0.name = "me"
        }
        stage.send(1, "GET")
        #expect(stage.tick() == true)
        #expect(stage.flushCommands().isEmpty)
        stage.session.opened(now: stage.now)
        #expect(
            stage.flushCommands()
                == "AUTH user pass|SELECT 2|CLIENT SETNAME me|SCRIPT LOAD return 1|PING")
        #expect(stage.receive("+OK\r\n+OK\r\n-NOPERM no\r\n$2\r\nab\r\n").isEmpty)
        #expect(stage.receive("+PONG\r\n") == ["ready 1"])
        #expect(stage.flushCommands() == "GET")
        #expect(stage.receive(":7\r\n") == ["1: 7"])
    }

    @Test(
        "has commands answered with nothing where the server can do that, and the replies of the others are whose they were"
    )
    func withoutReply() throws {
        for (answer, isAble) in [("+OK", true), ("-NOPERM no", false)] {
            var stage = try RedisSessionFixture { $0.suppressesReplies = true }
            #expect(!stage.session.commandWithoutReply { $0.append("MAIL") })
            _ = stage.tick()
            stage.session.opened(now: stage.now)
            #expect(stage.flushCommands() == "CLIENT REPLY ON|PING")
            #expect(stage.receive(answer + "\r\n+PONG\r\n") == ["ready 1"])
            stage.send(1, "ONE")
            #expect(stage.session.commandWithoutReply { $0.append("MAIL") } == isAble)
            stage.send(2, "TWO")
            #expect(
                stage.flushCommands() == (isAble ? "ONE|CLIENT REPLY SKIP|MAIL|TWO" : "ONE|TWO"))
            #expect(stage.receive(":1\r\n:2\r\n") == ["1: 1", "2: 2"])
        }
    }

    @Test(
        "leaves out wholly what there is no room for, so that no other command goes without its answer"
    )
    func withoutReplyOverLimit() throws {
        var stage = try RedisSessionFixture {
            $0.suppressesReplies = true
            $0.unsentByteLimit = 64
        }
        _ = stage.tick()
        stage.session.opened(now: stage.now)
        _ = stage.flushCommands()
        _ = stage.receive("+OK\r\n+PONG\r\n")
        #expect(
            !stage.session.commandWithoutReply { $0.append([UInt8](repeating: 120, count: 100)) })
        stage.send(1, "ONE")
        #expect(stage.flushCommands() == "ONE")
    }

    @Test("is given up when the greeting is refused, and commands go on waiting")
    func refusedHandshake() throws {
        for (greeting, reason) in [
            ("-LOADING x", RedisError.loading), ("-NOAUTH x", .notAuthenticated),
            ("-BUSY x", .busy),
        ] {
            var stage = try RedisSessionFixture()
            stage.send(1, "GET")
            _ = stage.tick()
            stage.session.opened(now: stage.now)
            #expect(stage.receive(greeting + "\r\n") == ["away \(RedisOutage.refused(reason))"])
            stage.connect()
            #expect(stage.flushCommands() == "GET")
        }
        // Who may not ping may be let in, and so may be read what cannot be written.
        for greeting in ["-NOPERM x", "-MISCONF x"] {
            var stage = try RedisSessionFixture()
            _ = stage.tick()
            stage.session.opened(now: stage.now)
            #expect(stage.receive(greeting + "\r\n") == ["ready 1"])
        }
    }

    @Test("that breaks fails what was under way, in order, and says of each whether it may be done")
    func brokenConnection() throws {
        var stage = try RedisSessionFixture()
        stage.connect()
        stage.send(1, "ONE")
        stage.send(2, "TWO")
        stage.flush(leaving: 3)
        stage.send(3, "THREE")
        stage.session.disconnect(.ended, now: stage.now)
        stage.send(4, "FOUR")
        #expect(
            stage.events() == [
                "away \(RedisOutage.ended)", "1: \(RedisError.connectionLost(mayBeDone: true))",
                "2: \(RedisError.connectionLost(mayBeDone: false))",
                "3: \(RedisError.connectionLost(mayBeDone: false))",
            ])
        // Nothing is said twice, and what came later is sent, from its beginning.
        stage.session.disconnect(.ended, now: stage.now)
        #expect(stage.events().isEmpty)
        stage.connect(epoch: 2)
        #expect(stage.flushCommands() == "FOUR")
    }

    @Test(
        "is tried again after longer and longer waits, up to two seconds, never two clients at once"
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

    @Test("that breaks at once again and again is no reason to hurry; one that lasted is")
    func flapping() throws {
        var stage = try RedisSessionFixture()
        for epoch in 1...8 {
            stage.connect(epoch: epoch)
            stage.session.disconnect(.ended, now: stage.now)
            _ = stage.events()
        }
        let start = stage.now
        while !stage.tick() { stage.now = stage.now.advanced(by: .milliseconds(10)) }
        #expect(stage.now.since(start) >= .milliseconds(500))
        stage.session.opened(now: stage.now)
        #expect(stage.receive("+PONG\r\n") == ["ready 9"])
        stage.now = stage.now.advanced(by: .seconds(3))
        stage.session.disconnect(.ended, now: stage.now)
        #expect(stage.tick() == false)
        #expect(stage.events().count == 1)
        stage.now = stage.now.advanced(by: .milliseconds(50))
        #expect(stage.tick() == true)
    }

    @Test(
        "is given up when connecting takes too long, and when the oldest command waits too long for its answer"
    )
    func timeouts() throws {
        var stage = try RedisSessionFixture()
        #expect(stage.tick() == true)
        stage.advance(.milliseconds(4_990))
        #expect(stage.events().isEmpty)
        stage.advance(.milliseconds(20))
        #expect(
            stage.events() == ["away \(RedisOutage.socket(.timedOut, server: "redis://a:6379"))"])

        stage.connect()
        stage.send(1, "ONE")
        stage.advance(.milliseconds(4_900))
        stage.send(2, "TWO")
        #expect(stage.receive(":1\r\n") == ["1: 1"])
        stage.advance(.milliseconds(4_900))
        #expect(stage.events().isEmpty)
        stage.advance(.milliseconds(200))
        #expect(stage.events().first == "away \(RedisOutage.silent(milliseconds: 5_100))")
    }

    @Test(
        "that owes an answer and says nothing at all for two seconds is given up, however long commands may wait"
    )
    func silentServer() throws {
        var stage = try RedisSessionFixture { $0.commandTimeout = .seconds(60) }
        stage.connect()
        stage.advanceInTicks(.seconds(4))
        stage.send(1, "ONE")
        stage.advanceInTicks(.milliseconds(1_900))
        #expect(stage.events().isEmpty)
        stage.advanceInTicks(.milliseconds(100))
        #expect(
            stage.events() == [
                "away \(RedisOutage.silent(milliseconds: 2_000))",
                "1: \(RedisError.connectionLost(mayBeDone: false))",
            ])

        // Nor does a greeting take for ever.
        while !stage.tick() { stage.now = stage.now.advanced(by: .milliseconds(10)) }
        stage.session.opened(now: stage.now)
        stage.advanceInTicks(.milliseconds(1_900))
        #expect(stage.events().isEmpty)
        stage.advanceInTicks(.milliseconds(100))
        #expect(
            stage.events() == ["away \(RedisOutage.socket(.timedOut, server: "redis://a:6379"))"])
    }

    @Test(
        "that is slow but answers, or sends a long answer bit by bit, is kept until the oldest command has waited too long"
    )
    func slowServer() throws {
        var stage = try RedisSessionFixture()
        stage.connect()
        for tag in 1...3 { stage.send(UInt64(tag), "GET") }
        stage.advanceInTicks(.milliseconds(1_900))
        #expect(stage.receive(":1\r\n") == ["1: 1"])
        stage.advanceInTicks(.milliseconds(1_900))
        #expect(stage.receive("$5\r\nab").isEmpty)
        stage.advanceInTicks(.milliseconds(1_100))
        #expect(stage.receive("c").isEmpty)
        stage.advanceInTicks(.milliseconds(100))
        #expect(stage.events().first == "away \(RedisOutage.silent(milliseconds: 5_000))")
    }

    @Test("is not given up for the silence of a time in which its own loop stood still")
    func stalledLoop() throws {
        var stage = try RedisSessionFixture()
        stage.connect()
        stage.send(1, "ONE")
        stage.advance(.seconds(4))
        #expect(stage.receive(":1\r\n") == ["1: 1"])
    }

    @Test("has the time that WAIT may take on top")
    func waitingForReplicas() throws {
        #expect(try RedisSettings(RedisURL("redis://a?wait-ms=3000")).silenceTimeout == .seconds(5))
    }

    @Test(
        "that does not come fails what waits for it, each after its own time, and sends no more of that"
    )
    func waitingCommands() throws {
        var stage = try RedisSessionFixture()
        stage.send(1, "ONE")
        stage.advance(.seconds(3))
        stage.send(2, "TWO")
        #expect(stage.events().isEmpty)
        stage.advance(.seconds(3))
        #expect(stage.events().filter { $0.hasPrefix("1") } == ["1: \(RedisError.noConnection)"])
        stage.connect()
        #expect(stage.flushCommands() == "TWO")
        // Its time for the answer begins now.
        stage.advance(.seconds(4))
        #expect(stage.receive("+OK\r\n") == ["2: OK"])
    }

    @Test("that says nothing is asked whether it is there")
    func idlePing() throws {
        for purpose in [RedisSession.SessionMode.commands, .subscription] {
            var stage = try RedisSessionFixture(for: purpose)
            stage.connect()
            stage.advance(.milliseconds(4_990))
            #expect(stage.flushCommands().isEmpty)
            stage.advance(.milliseconds(20))
            #expect(stage.flushCommands() == "PING")
            let pong = stage.receive(
                purpose == .commands ? "+PONG\r\n" : "*2\r\n$4\r\npong\r\n$0\r\n\r\n")
            #expect(pong == (purpose == .commands ? [] : ["push"]))
            stage.advance(.milliseconds(5_010))
            #expect(stage.flushCommands() == "PING")
            stage.advance(.milliseconds(5_010))
            #expect(stage.events() == ["away \(RedisOutage.silent(milliseconds: 5_010))"])
        }
    }

    @Test("loads lost scripts again once, before anybody hears that they were lost")
    func lostScripts() throws {
        var stage = try RedisSessionFixture(scripts: ["a", "b"])
        stage.connect()
        stage.send(1, "EVALSHA")
        stage.send(2, "EVALSHA")
        _ = stage.flushCommands()
        stage.send(3, "EVALSHA")
        #expect(stage.receive("-NOSCRIPT x\r\n") == ["1: \(RedisError.scriptLost)"])
        stage.send(1, "EVALSHA")
        #expect(stage.flushCommands() == "EVALSHA|SCRIPT LOAD a|SCRIPT LOAD b|EVALSHA")
        #expect(
            stage.receive("-NOSCRIPT x\r\n-NOSCRIPT x\r\n$1\r\na\r\n$1\r\nb\r\n:1\r\n")
                == ["2: \(RedisError.scriptLost)", "3: \(RedisError.scriptLost)", "1: 1"])
        #expect(stage.flushCommands().isEmpty)
        stage.send(1, "EVALSHA")
        #expect(stage.receive("-NOSCRIPT x\r\n") == ["1: \(RedisError.scriptLost)"])
        #expect(stage.flushCommands() == "EVALSHA|SCRIPT LOAD a|SCRIPT LOAD b")
        #expect(stage.receive("-OOM x\r\n") == ["away \(RedisOutage.refused(.outOfMemory))"])
    }

    @Test("is given up when it brings what nobody asked for, or what is no reply")
    func unexpectedData() throws {
        for (bytes, outage) in [
            (":1\r\n", RedisOutage.reply(.malformed("nobody asked for it"))),
            (
                "-ERR max number of clients reached\r\n",
                .refused(.other("ERR max number of clients reached"))
            ),
        ] {
            var stage = try RedisSessionFixture()
            stage.connect()
            #expect(stage.receive(bytes) == ["away \(outage)"])
        }
        var stage = try RedisSessionFixture()
        stage.connect()
        stage.send(1, "ONE")
        _ = stage.flushCommands()
        let events = stage.receive("HTTP/1.1 400 Bad Request\r\n")
        #expect(
            events.count == 2 && events[0].hasPrefix("away What the server sent is no Redis reply"))
    }

    @Test("to a master says ROLE first, and is given up when it is none or says READONLY")
    func master() throws {
        var stage = try RedisSessionFixture(
            "redis+sentinel://:pass@a/m", scripts: ["return 1"], with: .master)
        _ = stage.tick()
        stage.session.opened(now: stage.now)
        #expect(stage.flushCommands() == "AUTH pass|ROLE|SCRIPT LOAD return 1|PING")
        #expect(
            stage.receive("+OK\r\n*5\r\n$5\r\nslave\r\n$1\r\na\r\n:1\r\n$1\r\nx\r\n:0\r\n") == [
                "away \(RedisOutage.notMaster)"
            ])
        while !stage.tick() { stage.now = stage.now.advanced(by: .milliseconds(10)) }
        stage.session.opened(now: stage.now)
        _ = stage.flushCommands()
        #expect(
            stage.receive("+OK\r\n*3\r\n$6\r\nmaster\r\n:1\r\n*0\r\n$1\r\na\r\n+PONG\r\n") == [
                "ready 1"
            ])
        for tag in 1...3 { stage.send(UInt64(tag), "SET") }
        _ = stage.flushCommands()
        #expect(
            stage.receive("+OK\r\n-READONLY x\r\n-READONLY x\r\n") == [
                "1: OK", "2: \(RedisError.readOnly)", "away \(RedisOutage.refused(.readOnly))",
                "3: \(RedisError.connectionLost(mayBeDone: true))",
            ])
    }

    @Test(
        "to the server of a name is given up when that has become a replica: the name may lead elsewhere"
    )
    func demotedMaster() throws {
        var stage = try RedisSessionFixture()
        stage.connect()
        stage.send(1, "SET")
        stage.send(2, "SET")
        _ = stage.flushCommands()
        #expect(
            stage.receive("-READONLY x\r\n-READONLY x\r\n") == [
                "1: \(RedisError.readOnly)", "away \(RedisOutage.refused(.readOnly))",
                "2: \(RedisError.connectionLost(mayBeDone: true))",
            ])
    }

    @Test("to a sentinel says no password before it is asked for one")
    func sentinel() throws {
        for (knows, greeting) in [(false, "PING"), (true, "AUTH pass|PING")] {
            var stage = try RedisSessionFixture(
                "redis+sentinel://:pass@a/m/3", for: .subscription,
                with: .sentinel(authenticates: knows))
            _ = stage.tick()
            stage.session.opened(now: stage.now)
            #expect(stage.flushCommands() == greeting)
        }
    }

    @Test(
        "to a cluster hands back what is done elsewhere, with the WAIT behind it, whose answer here means nothing"
    )
    func notExecuted() throws {
        var stage = try RedisSessionFixture("redis+cluster://a", with: .clusterNode)
        stage.connect()
        stage.send(1, "ONE", slot: RedisSlot(1))
        stage.send(2, "WAIT 1 9", slot: RedisSlot(1))
        stage.send(3, "TWO", slot: RedisSlot(2))
        stage.send(4, "WAIT 1 9", slot: RedisSlot(2))
        stage.send(5, "THREE", slot: RedisSlot(1))
        stage.send(6, "WAIT 1 9", slot: RedisSlot(1))
        _ = stage.flushCommands()
        let moved = "-MOVED 1 b:7\r\n"
        #expect(
            stage.receive(moved) == [
                "returned [1, 2]: \(RedisError.moved(slot: 1, to: RedisEndpoint(host: "b", port: 7)))"
            ])
        // The first WAIT's answer is passed over; the other slot is nobody's business.
        #expect(stage.receive(":1\r\n:2\r\n:3\r\n") == ["3: 2", "4: 3"])
        #expect(stage.receive("-TRYAGAIN x\r\n") == ["returned [5, 6]: \(RedisError.tryAgain)"])
        #expect(stage.receive(":9\r\n") == [])
        #expect(stage.session.commandCount == 0)
        #expect(stage.notExecuted.map(\.isWait) == [false, true, false, true])

        // Somewhere else they are written as they were, behind the question where the slot is still moving.
        var other = try RedisSessionFixture("redis+cluster://b", with: .clusterNode)
        other.connect()
        for (place, parcel) in stage.notExecuted.enumerated() {
            other.session.enqueue(parcel, asking: place == 2, now: other.now)
        }
        #expect(other.flushCommands() == "ONE|WAIT 1 9|ASKING|THREE|WAIT 1 9")
        #expect(
            other.receive(":1\r\n:2\r\n+OK\r\n-ASK 1 c:8\r\n:0\r\n").dropLast() == ["1: 1", "2: 2"])
        #expect(other.notExecuted.map(\.tag) == [5, 6])
    }

    @Test("to a cluster that is not there gives back what waits, for another node")
    func withdrawnCommands() throws {
        var stage = try RedisSessionFixture("redis+cluster://a", with: .clusterNode)
        stage.connect()
        stage.send(1, "ONE", slot: RedisSlot(1))
        _ = stage.flushCommands()
        #expect(stage.session.withdrawWaiting().isEmpty)
        stage.session.disconnect(.ended, now: stage.now)
        stage.send(2, "TWO", slot: RedisSlot(1))
        stage.send(3, "WAIT 1 9", slot: RedisSlot(1))
        let parcels = stage.session.withdrawWaiting()
        #expect(parcels.map(\.tag) == [2, 3] && parcels.map(\.isWait) == [false, true])
        #expect(
            stage.events() == [
                "away \(RedisOutage.ended)", "1: \(RedisError.connectionLost(mayBeDone: true))",
            ])
        stage.send(4, "FOUR", slot: RedisSlot(1))
        stage.connect(epoch: 2)
        #expect(stage.flushCommands() == "FOUR")
        #expect(stage.receive(":4\r\n") == ["4: 4"])
    }

    @Test("holds back no more than it may")
    func bounds() throws {
        var stage = try RedisSessionFixture {
            $0.commandLimit = 2
            $0.unsentByteLimit = 40
        }
        stage.send(1, "ONE")
        #expect(throws: RedisError.queueFull) {
            try stage.session.command(tag: 2, now: stage.now) {
                $0.append(text: String(repeating: "x", count: 30))
            }
        }
        stage.send(2, "TWO")
        #expect(throws: RedisError.queueFull) {
            try stage.session.command(tag: 3, now: stage.now) { $0.append("X") }
        }
        stage.connect()
        #expect(stage.flushCommands() == "ONE|TWO")
        #expect(throws: RedisError.queueFull) {
            try stage.session.command(tag: 3, now: stage.now) { $0.append("X") }
        }
        #expect(stage.receive(":1\r\n") == ["1: 1"])
        stage.send(3, "X")
        stage.session.close()
        #expect(throws: RedisError.closed) {
            try stage.session.command(tag: 3, now: stage.now) { $0.append("X") }
        }
        #expect(stage.events().isEmpty)
    }
}

/// A session with a clock that the test moves and a server that it plays.
private struct RedisSessionFixture {
    var session: RedisSession
    var now = MonotonicTime(nanoseconds: 1_000_000_000_000)
    /// Everything that was handed back.
    var notExecuted: [QueuedCommand] = []

    init(
        _ url: String = "redis://a", scripts: [String] = [],
        for purpose: RedisSession.SessionMode = .commands,
        with counterpart: RedisSession.ServerRole = .standalone,
        _ adjust: (inout RedisSettings) -> Void = { _ in }
    ) throws {
        var settings = try RedisSettings(RedisURL(url))
        adjust(&settings)
        self.session = RedisSession(
            settings, scripts: scripts.map(RedisScript.init), for: purpose, with: counterpart,
            seed: 1)
    }

    mutating func tick() -> Bool { self.session.tick(now: self.now) }

    mutating func advance(_ time: Duration) {
        self.now = self.now.advanced(by: time)
        _ = self.tick()
    }

    /// In ticks, as loops do.
    mutating func advanceInTicks(_ time: Duration) {
        let end = self.now.advanced(by: time)
        while self.now < end { self.advance(.milliseconds(100)) }
    }

    /// Connects, waiting as long as it must, and lets the server greet back.
    mutating func connect(epoch: Int = 1) {
        if case .connecting = self.session.state {
        } else {
            while !self.tick() { self.now = self.now.advanced(by: .milliseconds(10)) }
        }
        self.session.opened(now: self.now)
        let count = self.flushCommands().split(separator: "|").count
        #expect(self.receive(String(repeating: "+OK\r\n", count: count)) == ["ready \(epoch)"])
    }

    mutating func send(_ tag: UInt64, _ words: String, slot: RedisSlot = .any) {
        do {
            try self.session.command(tag: tag, slot: slot, now: self.now) {
                for word in words.split(separator: " ") { $0.append(text: String(word)) }
            }
        } catch {
            Issue.record("\(words): \(error)")
        }
    }

    mutating func receive(_ text: String) -> [String] {
        Array(text.utf8).withUnsafeBytes { self.session.receive($0, now: self.now) }
        return self.events()
    }

    mutating func events() -> [String] {
        var events: [String] = []
        while let event = self.session.next(now: self.now) {
            switch event {
            case .ready(let epoch): events.append("ready \(epoch)")
            case .unavailable(let outage): events.append("away \(outage)")
            case .reply(let reply, let tag):
                events.append("\(tag): \(reply.integer.map(String.init) ?? reply.string)")
            case .failed(let error, let tag): events.append("\(tag): \(error)")
            case .push: events.append("push")
            case .notExecuted(let parcels, let error):
                events.append("returned \(parcels.map(\.tag)): \(error)")
                self.notExecuted += parcels
            }
        }
        return events
    }

    var unsentText: String {
        guard self.session.hasUnsent else { return "" }
        return self.session.withUnsent { String(decoding: $0, as: UTF8.self) }
    }

    /// Sends everything, or all but some bytes.
    mutating func flush(leaving rest: Int = 0) {
        if self.session.hasUnsent { self.session.didSend(self.session.withUnsent(\.count) - rest) }
    }

    /// Sends everything, and says which commands that was.
    mutating func flushCommands() -> String {
        let commands = self.unsentText.split(separator: "*").map { command in
            command.split(separator: "\r\n").dropFirst().enumerated().filter { $0.offset % 2 == 1 }
                .map(\.element).joined(separator: " ")
        }
        self.flush()
        return commands.joined(separator: "|")
    }
}
