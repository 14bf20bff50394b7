import Bytes
import EventLoop
import Testing

@testable import RedisClient

/// Connections to masters, sentinels and cluster nodes.
extension RedisSessionTests {
    @Test(
        "to a master sends ROLE first, and is closed if the server is a replica or replies READONLY"
    )
    func master() throws {
        var fixture = try RedisSessionFixture(
            "redis+sentinel://:pass@a/m", scripts: ["return 1"], with: .master)
        _ = fixture.tick()
        fixture.session.opened(now: fixture.now)
        #expect(fixture.flushCommands() == "AUTH pass|ROLE|SCRIPT LOAD return 1|PING")
        #expect(
            fixture.receive("+OK\r\n*5\r\n$5\r\nslave\r\n$1\r\na\r\n:1\r\n$1\r\nx\r\n:0\r\n") == [
                "unavailable \(RedisOutage.notMaster)"
            ])
        while !fixture.tick() { fixture.now = fixture.now.advanced(by: .milliseconds(10)) }
        fixture.session.opened(now: fixture.now)
        _ = fixture.flushCommands()
        #expect(
            fixture.receive("+OK\r\n*3\r\n$6\r\nmaster\r\n:1\r\n*0\r\n$1\r\na\r\n+PONG\r\n") == [
                "ready 1"
            ])
        for tag in 1...3 { fixture.send(UInt64(tag), "SET") }
        _ = fixture.flushCommands()
        #expect(
            fixture.receive("+OK\r\n-READONLY x\r\n-READONLY x\r\n") == [
                "1: OK", "2: \(RedisError.readOnly)", "3: \(RedisError.readOnly)",
                "unavailable \(RedisOutage.refused(.readOnly))",
            ])
    }

    @Test(
        "to a server by name is closed when the server becomes a replica, after its last replies"
    )
    func demotedMaster() throws {
        var fixture = try RedisSessionFixture()
        fixture.connect()
        for tag in 1...4 { fixture.send(UInt64(tag), "SET") }
        _ = fixture.flushCommands()
        #expect(
            fixture.receive("-READONLY x\r\n-READONLY x\r\n") == [
                "1: \(RedisError.readOnly)", "2: \(RedisError.readOnly)",
            ])
        // Nothing more is sent to it. What it has executed must count as lost.
        fixture.send(5, "SET")
        #expect(!fixture.session.hasUnsent)
        #expect(
            fixture.receive("+OK\r\n-READONLY x\r\n") == [
                "3: \(RedisError.connectionLost(mayBeExecuted: true))",
                "4: \(RedisError.readOnly)", "unavailable \(RedisOutage.refused(.readOnly))",
                "5: \(RedisError.connectionLost(mayBeExecuted: false))",
            ])
    }

    @Test("to a sentinel sends no password before the sentinel asks for one")
    func sentinel() throws {
        for (authenticates, handshake) in [(false, "PING"), (true, "AUTH pass|PING")] {
            var fixture = try RedisSessionFixture(
                "redis+sentinel://:pass@a/m/3", for: .subscription,
                with: .sentinel(authenticates: authenticates))
            _ = fixture.tick()
            fixture.session.opened(now: fixture.now)
            #expect(fixture.flushCommands() == handshake)
        }
    }

    @Test(
        "to a cluster node returns redirected commands with their WAITs"
    )
    func notExecuted() throws {
        var fixture = try RedisSessionFixture("redis+cluster://a", with: .clusterNode)
        fixture.connect()
        fixture.send(1, "ONE", slot: RedisSlot(1))
        fixture.send(2, "WAIT 1 9", slot: RedisSlot(1))
        fixture.send(3, "TWO", slot: RedisSlot(2))
        fixture.send(4, "WAIT 1 9", slot: RedisSlot(2))
        fixture.send(5, "THREE", slot: RedisSlot(1))
        fixture.send(6, "WAIT 1 9", slot: RedisSlot(1))
        _ = fixture.flushCommands()
        let moved = "-MOVED 1 b:7\r\n"
        let endpoint = RedisEndpoint(host: "b", port: 7)
        #expect(
            fixture.receive(moved) == [
                "notExecuted [1, 2]: \(RedisError.moved(slot: 1, to: endpoint))"
            ])
        // The reply to the first WAIT is dropped; the other slot is not affected.
        #expect(fixture.receive(":1\r\n:2\r\n:3\r\n") == ["3: 2", "4: 3"])
        #expect(
            fixture.receive("-TRYAGAIN x\r\n") == ["notExecuted [5, 6]: \(RedisError.tryAgain)"])
        #expect(fixture.receive(":9\r\n") == [])
        #expect(fixture.session.commandCount == 0)
        #expect(fixture.notExecuted.map(\.isWait) == [false, true, false, true])

        // Another session sends the same commands, with ASKING before the one whose slot is moving.
        var other = try RedisSessionFixture("redis+cluster://b", with: .clusterNode)
        other.connect()
        for (index, command) in fixture.notExecuted.enumerated() {
            other.session.enqueue(command, asking: index == 2, now: other.now)
        }
        #expect(other.flushCommands() == "ONE|WAIT 1 9|ASKING|THREE|WAIT 1 9")
        #expect(
            other.receive(":1\r\n:2\r\n+OK\r\n-ASK 1 c:8\r\n:0\r\n").dropLast() == ["1: 1", "2: 2"])
        #expect(other.notExecuted.map(\.tag) == [5, 6])
    }

    @Test("to an unavailable cluster node returns the waiting commands, for another node")
    func withdrawnCommands() throws {
        var fixture = try RedisSessionFixture("redis+cluster://a", with: .clusterNode)
        fixture.connect()
        fixture.send(1, "ONE", slot: RedisSlot(1))
        _ = fixture.flushCommands()
        #expect(fixture.session.withdrawWaiting().isEmpty)
        fixture.session.disconnect(.ended, now: fixture.now)
        fixture.send(2, "TWO", slot: RedisSlot(1))
        fixture.send(3, "WAIT 1 9", slot: RedisSlot(1))
        let commands = fixture.session.withdrawWaiting()
        #expect(commands.map(\.tag) == [2, 3] && commands.map(\.isWait) == [false, true])
        #expect(
            fixture.events() == [
                "unavailable \(RedisOutage.ended)",
                "1: \(RedisError.connectionLost(mayBeExecuted: true))",
            ])
        fixture.send(4, "FOUR", slot: RedisSlot(1))
        fixture.connect(epoch: 2)
        #expect(fixture.flushCommands() == "FOUR")
        #expect(fixture.receive(":4\r\n") == ["4: 4"])
    }
}
