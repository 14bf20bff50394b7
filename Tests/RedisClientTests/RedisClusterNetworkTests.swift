import Bytes
import EventLoop
import Testing

@testable import RedisClient

/// A cluster whose nodes h:1 … the test plays: the seed is h:1.
private struct RedisClusterFixture {
    var base: NetworkFixture<RedisClusterNetwork>

    init(for mode: RedisSession.SessionMode = .commands) throws {
        self.base = try NetworkFixture("redis+cluster://h:1", for: mode) { RedisClusterNetwork($0) }
    }

    /// A ready client; h:1 owns the slots up to 9999, h:2 the others.
    static func ready() throws -> RedisClusterFixture {
        var fixture = try RedisClusterFixture()
        fixture.tick()
        fixture.answerProbe(slotsReply((0...9999, port: 1), (10_000...16_383, port: 2)))
        #expect(fixture.events() == [])
        fixture.tick()
        fixture.connectServers()
        #expect(fixture.events() == ["ready 1"])
        return fixture
    }

    mutating func tick(after time: Duration = .milliseconds(20)) {
        self.base.advance(time)
        var attempts: [RedisLink.ConnectAttempt] = []
        self.base.network.tick(now: self.base.now, into: &attempts)
    }

    /// Connects the probe if necessary, and answers its query.
    mutating func answerProbe(_ reply: String) {
        if case .connecting = self.base.network.probeLink.session.state {
            self.base.network.probeLink.session.acceptConnection(now: self.base.now)
            _ = self.events()
        }
        #expect(
            self.base.network.probeLink.session.takeSentCommands().first == "CLUSTER SLOTS")
        self.base.network.probeLink.session.receive(reply, now: self.base.now)
    }

    mutating func connectServers() {
        for index in self.base.network.servers.indices {
            if case .connecting = self.base.network.servers[index].link.session.state {
                self.base.network.servers[index].link.session.acceptConnection(now: self.base.now)
            }
        }
    }

    mutating func disconnect(_ port: UInt16) {
        self.withSession(port) { [now = self.base.now] in $0.disconnect(.ended, now: now) }
    }

    mutating func withSession<R>(_ port: UInt16, _ body: (inout RedisSession) -> R) -> R? {
        let index = self.base.network.servers.firstIndex { $0.link.endpoint?.port == port }
        return index.map { body(&self.base.network.servers[$0].link.session) }
    }

    var ports: [UInt16] { self.base.network.servers.compactMap { $0.link.endpoint?.port } }

    mutating func command(_ tag: UInt64, _ text: String, slot: UInt16) throws(RedisError) {
        try self.base.network.command(
            tag: CommandTag(rawValue: tag), slot: RedisSlot(slot), now: self.base.now
        ) { $0.append(arguments: text) }
    }

    mutating func sent(to port: UInt16) -> [String] {
        self.withSession(port) { $0.takeSentCommands() } ?? []
    }

    /// A server's bytes, and the events that follow.
    mutating func receive(_ text: String, from port: UInt16) -> [String] {
        _ = self.withSession(port) { [now = self.base.now] in $0.receive(text, now: now) }
        return self.events()
    }

    mutating func events() -> [String] {
        var events: [String] = []
        while let event = self.base.network.next(now: self.base.now) {
            events.append(describe(event))
        }
        return events
    }
}

@Suite("A cluster's connections")
struct RedisClusterNetworkTests {
    @Test("lead to the masters of the slot map, and are reported when all of them are ready")
    func connecting() throws {
        var fixture = try RedisClusterFixture()
        fixture.tick()
        #expect(fixture.ports == [])
        fixture.answerProbe(slotsReply((0...9999, port: 1), (10_000...16_383, port: 2)))
        #expect(fixture.events() == [])
        #expect(fixture.ports == [1, 2])
        fixture.tick()
        _ = fixture.withSession(1) { [now = fixture.base.now] in $0.acceptConnection(now: now) }
        #expect(fixture.events() == [])
        _ = fixture.withSession(2) { [now = fixture.base.now] in $0.acceptConnection(now: now) }
        #expect(fixture.events() == ["ready 1"])
        #expect(fixture.base.network.endpoint(of: RedisSlot(9999))?.port == 1)
        #expect(fixture.base.network.endpoint(of: RedisSlot(10_000))?.port == 2)
    }

    @Test("execute commands that were written before the map was known, in the order of a slot")
    func early() throws {
        var fixture = try RedisClusterFixture()
        try fixture.command(1, "SET a 1", slot: 5)
        try fixture.command(2, "SET b 1", slot: 16_000)
        try fixture.command(3, "GET a", slot: 5)
        #expect(fixture.base.network.commandCount == 3)
        fixture.tick()
        fixture.answerProbe(slotsReply((0...9999, port: 1), (10_000...16_383, port: 2)))
        _ = fixture.events()
        try fixture.command(4, "GET a", slot: 5)
        fixture.tick()
        fixture.connectServers()
        #expect(fixture.events() == ["ready 1"])
        #expect(fixture.sent(to: 1) == ["SET a 1", "GET a", "GET a"])
        #expect(fixture.sent(to: 2) == ["SET b 1"])
        #expect(fixture.receive("+OK\r\n$1\r\n1\r\n", from: 1) == ["1: OK", "3: 1"])
        #expect(fixture.base.network.replyingConnection.linkID > 0)
    }

    @Test(
        "follow a redirection without a failure",
        arguments: [
            // MOVED corrects the map, so a later command goes to the new owner at once.
            ("-MOVED 5 h:2\r\n", ["GET a"], ["GET a"], [] as [String]),
            ("-MOVED 5 :2\r\n", ["GET a"], ["GET a"], []),
            // ASK concerns this command only.
            ("-ASK 5 h:2\r\n", ["ASKING", "GET a"], [], ["GET a"]),
        ])
    func redirection(error: String, redirected: [String], later: [String], laterAtFirst: [String])
        throws
    {
        var fixture = try RedisClusterFixture.ready()
        try fixture.command(1, "GET a", slot: 5)
        #expect(fixture.sent(to: 1) == ["GET a"])
        #expect(fixture.receive(error, from: 1) == [])
        #expect(fixture.sent(to: 2) == redirected)
        try fixture.command(2, "GET a", slot: 5)
        #expect(fixture.sent(to: 2) == later)
        #expect(fixture.sent(to: 1) == laterAtFirst)
        let replies = redirected.count == 1 ? "$1\r\nx\r\n" : "+OK\r\n$1\r\nx\r\n"
        #expect(fixture.receive(replies, from: 2) == ["1: x"])
    }

    @Test("retry a command after TRYAGAIN, before later commands of its slot")
    func tryAgain() throws {
        var fixture = try RedisClusterFixture.ready()
        try fixture.command(1, "MGET a b", slot: 5)
        _ = fixture.sent(to: 1)
        #expect(fixture.receive("-TRYAGAIN\r\n", from: 1) == [])
        try fixture.command(2, "GET a", slot: 5)
        try fixture.command(3, "GET c", slot: 6)
        #expect(fixture.sent(to: 1) == ["GET c"])
        fixture.tick(after: .milliseconds(49))
        #expect(fixture.sent(to: 1) == [])
        fixture.tick(after: .milliseconds(1))
        #expect(fixture.sent(to: 1) == ["MGET a b", "GET a"])
    }

    @Test("report a lost master before the failures of its commands, and its return")
    func lostMaster() throws {
        var fixture = try RedisClusterFixture.ready()
        try fixture.command(1, "GET a", slot: 5)
        _ = fixture.sent(to: 1)
        fixture.disconnect(1)
        #expect(
            fixture.events() == [
                "unavailable \(RedisOutage.ended)",
                "1: \(RedisError.connectionLost(mayBeExecuted: true))",
            ])
        try fixture.command(2, "GET b", slot: 16_000)
        #expect(fixture.sent(to: 2) == ["GET b"])
        fixture.tick(after: .milliseconds(100))
        fixture.connectServers()
        #expect(fixture.events() == ["ready 2"])
    }

    @Test("give the waiting commands of a lost master to its successor, and are closed then")
    func successor() throws {
        var fixture = try RedisClusterFixture.ready()
        fixture.disconnect(1)
        #expect(fixture.events() == ["unavailable \(RedisOutage.ended)"])
        try fixture.command(1, "GET a", slot: 5)
        fixture.tick(after: .milliseconds(260))
        fixture.answerProbe(slotsReply((0...9999, port: 3), (10_000...16_383, port: 2)))
        #expect(fixture.events() == [])
        #expect(fixture.ports == [2, 3])
        fixture.tick()
        fixture.connectServers()
        #expect(fixture.events() == ["ready 2"])
        #expect(fixture.sent(to: 3) == ["GET a"])
    }

    @Test(
        "to a former master stay for two seconds, even if one was unavailable before",
        arguments: [
            (false, 1900, [1, 2, 3]), (false, 2100, [2, 3]), (true, 1900, [1, 2, 3]),
            (true, 2100, [2, 3]),
        ] as [(Bool, Int, [UInt16])])
    func formerMaster(wasUnavailable: Bool, milliseconds: Int, ports: [UInt16]) throws {
        var fixture = try RedisClusterFixture.ready()
        if wasUnavailable {
            fixture.disconnect(1)
            _ = fixture.events()
            fixture.tick(after: .milliseconds(100))
            fixture.connectServers()
            #expect(fixture.events() == ["ready 2"])
        }
        // This error contradicts the map, which is therefore queried again.
        try fixture.command(1, "GET a", slot: 5)
        #expect(fixture.receive("-CLUSTERDOWN\r\n", from: 1) == ["1: \(RedisError.clusterDown)"])
        fixture.tick(after: .milliseconds(100))
        fixture.answerProbe(slotsReply((0...9999, port: 3), (10_000...16_383, port: 2)))
        #expect(fixture.events() == [])
        #expect(fixture.ports == [1, 2, 3])
        fixture.tick(after: .milliseconds(milliseconds))
        _ = fixture.events()
        #expect(fixture.ports == ports)
    }

    @Test(
        "let a command without a server fail with its timeout, for the reason that is known",
        arguments: [(false, RedisError.noConnection), (true, .clusterDown)])
    func expiry(hasMap: Bool, error: RedisError) throws {
        var fixture = try RedisClusterFixture()
        fixture.tick()
        if hasMap {
            fixture.answerProbe(slotsReply((0...9999, port: 1)))
            _ = fixture.events()
        }
        try fixture.command(1, "GET a", slot: 16_000)
        fixture.tick(after: .milliseconds(4999))
        #expect(!fixture.events().contains { $0.hasPrefix("1:") })
        fixture.tick(after: .milliseconds(1))
        #expect(fixture.events().contains("1: \(error)"))
        #expect(fixture.base.network.commandCount == 0)
    }

    @Test("accept a command over one connection only while that lasts")
    func connections() throws {
        var fixture = try RedisClusterFixture.ready()
        let connection = fixture.base.network.servers[1].connection
        func send(to fixture: inout RedisClusterFixture) throws {
            try fixture.base.network.command(
                tag: 1, slot: .any, over: connection, now: fixture.base.now
            ) { $0.append("PING") }
        }
        try send(to: &fixture)
        #expect(fixture.sent(to: 2) == ["PING"])
        fixture.disconnect(2)
        #expect(throws: RedisError.connectionLost(mayBeExecuted: false)) {
            try send(to: &fixture)
        }
    }

    @Test("of a subscriber follow the channel's slot, without a link to other masters")
    func channels() throws {
        var fixture = try RedisClusterFixture(for: .subscription)
        let slot = RedisSlot(key: "mail")
        fixture.tick()
        fixture.base.network.subscribe(to: "mail", now: fixture.base.now)
        fixture.answerProbe(slotsReply((0...16_383, port: 1)))
        _ = fixture.events()
        fixture.tick()
        fixture.connectServers()
        #expect(fixture.events() == ["ready 1"])
        #expect(fixture.sent(to: 1) == ["SSUBSCRIBE mail"])
        // The slot moves, so the server ends the subscription.
        #expect(
            fixture.receive(
                "-MOVED \(slot.number) h:2\r\n", from: 1) == [])
        fixture.tick()
        fixture.connectServers()
        #expect(fixture.events() == ["ready 2"])
        #expect(fixture.sent(to: 2) == ["SSUBSCRIBE mail"])
        #expect(fixture.ports == [2])
        fixture.base.network.unsubscribe(from: "mail")
        #expect(fixture.sent(to: 2) == ["SUNSUBSCRIBE mail"])
    }

    @Test("accept nothing and report nothing once they are closed")
    func closing() throws {
        var fixture = try RedisClusterFixture.ready()
        try fixture.command(1, "GET a", slot: 5)
        fixture.base.network.close()
        fixture.disconnect(2)
        #expect(throws: RedisError.closed) { try fixture.command(2, "GET a", slot: 5) }
        #expect(!fixture.events().contains { $0.hasPrefix("unavailable") })
    }
}
