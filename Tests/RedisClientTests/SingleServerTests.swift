import Bytes
import EventLoop
import Testing

@testable import RedisClient

@Suite("The connection of a standalone client")
struct SingleServerTests {
    private static func fixture(for mode: RedisSession.SessionMode) throws
        -> NetworkFixture<SingleServer>
    {
        try NetworkFixture("redis://h:1", for: mode) { SingleServer($0) }
    }

    private static func connect(_ fixture: inout NetworkFixture<SingleServer>) -> [String] {
        fixture.advance(.seconds(1))
        var attempts: [RedisLink.ConnectAttempt] = []
        fixture.network.link.tick(now: fixture.now, into: &attempts)
        #expect(attempts.map(\.endpoint) == [RedisEndpoint(host: "h", port: 1)])
        fixture.network.link.session.acceptConnection(now: fixture.now)
        return Self.events(&fixture)
    }

    private static func events(_ fixture: inout NetworkFixture<SingleServer>) -> [String] {
        var events: [String] = []
        while let event = fixture.network.next(now: fixture.now) { events.append(describe(event)) }
        return events
    }

    @Test("has the same channels after every reconnection")
    func channels() throws {
        var fixture = try Self.fixture(for: .subscription)
        for channel in ["one", "two", "one"] as [ByteString] {
            fixture.network.subscribe(to: channel)
        }
        #expect(Self.connect(&fixture) == ["ready 1"])
        #expect(fixture.network.link.session.takeSentCommands() == ["SUBSCRIBE one two"])
        fixture.network.subscribe(to: "three")
        fixture.network.unsubscribe(from: "one")
        fixture.network.unsubscribe(from: "unknown")
        #expect(
            fixture.network.link.session.takeSentCommands() == [
                "SUBSCRIBE three", "UNSUBSCRIBE one",
            ]
        )
        fixture.network.link.session.disconnect(.ended, now: fixture.now)
        #expect(Self.events(&fixture) == ["unavailable \(RedisOutage.ended)"])
        #expect(Self.connect(&fixture) == ["ready 2"])
        #expect(fixture.network.link.session.takeSentCommands() == ["SUBSCRIBE two three"])
    }

    @Test("accepts a command over an earlier connection only while that lasts")
    func connections() throws {
        var fixture = try Self.fixture(for: .commands)
        #expect(Self.connect(&fixture) == ["ready 1"])
        let connection = fixture.network.connection
        func send(to fixture: inout NetworkFixture<SingleServer>) throws {
            try fixture.network.command(tag: 5, over: connection, now: fixture.now) {
                $0.append("PING")
            }
        }
        try send(to: &fixture)
        #expect(fixture.network.link.session.takeSentCommands() == ["PING"])
        fixture.network.link.session.disconnect(.ended, now: fixture.now)
        _ = Self.events(&fixture)
        #expect(throws: RedisError.connectionLost(mayBeExecuted: false)) { try send(to: &fixture) }
        _ = Self.connect(&fixture)
        #expect(throws: RedisError.connectionLost(mayBeExecuted: false)) { try send(to: &fixture) }
    }
}
