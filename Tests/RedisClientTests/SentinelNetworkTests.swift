import Bytes
import EventLoop
import Testing

@testable import RedisClient

@Suite("The connections of a client with sentinels")
struct SentinelNetworkTests {
    private var base: NetworkFixture<SentinelNetwork>

    init() throws {
        self.base = try NetworkFixture("redis+sentinel://:sesame@s:1,s:2/m") {
            SentinelNetwork($0, master: "m")
        }
    }

    private mutating func tick(after time: Duration = .milliseconds(20)) {
        self.base.advance(time)
        var attempts: [RedisLink.ConnectAttempt] = []
        self.base.network.tick(now: self.base.now, into: &attempts)
    }

    private mutating func events() -> [String] {
        var events: [String] = []
        while let event = self.base.network.next(now: self.base.now) {
            events.append(describe(event))
        }
        return events
    }

    private mutating func connectSentinel(_ index: Int) {
        self.base.network.sentinels[index].session.acceptConnection(now: self.base.now)
        #expect(self.events() == [])
    }

    private mutating func receive(_ text: String, fromSentinel index: Int) -> [String] {
        self.base.network.sentinels[index].session.receive(text, now: self.base.now)
        return self.events()
    }

    private mutating func connectMaster() -> [String] {
        self.base.network.master.link.session.acceptConnection(now: self.base.now)
        return self.events()
    }

    private static func bulk(_ text: String) -> String { "$\(text.utf8.count)\r\n\(text)\r\n" }

    private static func answer(_ port: UInt16) -> String {
        "*2\r\n" + Self.bulk("h") + Self.bulk("\(port)")
    }

    @Test("lead to the master that the sentinels name, and to the next one after a switch")
    mutating func following() throws {
        self.tick()
        #expect(self.base.network.state == .searching)
        self.connectSentinel(0)
        #expect(
            self.base.network.sentinels[0].session.takeSentCommands() == [
                "UNSUBSCRIBE", "SENTINEL GET-MASTER-ADDR-BY-NAME m", "SUBSCRIBE +switch-master",
            ])
        #expect(self.receive(Self.answer(7), fromSentinel: 0) == [])
        #expect(
            self.base.network.state == .following(RedisEndpoint(host: "h", port: 7)))
        self.tick()
        #expect(self.connectMaster() == ["ready 1"])

        let message =
            "*3\r\n" + Self.bulk("message") + Self.bulk("+switch-master") + Self.bulk("m h 7 h 8")
        let outage = RedisOutage.masterChanged(to: RedisEndpoint(host: "h", port: 8))
        #expect(self.receive(message, fromSentinel: 0) == ["unavailable \(outage)"])
        #expect(self.base.network.master.endpoint?.port == 8)
        self.tick()
        #expect(self.connectMaster() == ["ready 2"])
    }

    @Test("to a sentinel use the password of the URL only after it has asked for one")
    mutating func password() {
        self.tick()
        self.base.network.sentinels[0].session.opened(now: self.base.now)
        #expect(self.base.network.sentinels[0].session.takeSentCommands() == ["PING"])
        #expect(self.receive("-NOAUTH Authentication required.\r\n", fromSentinel: 0) == [])
        self.tick()
        self.base.network.sentinels[0].session.opened(now: self.base.now)
        #expect(
            self.base.network.sentinels[0].session.takeSentCommands() == ["AUTH sesame", "PING"])
    }

    @Test("report why there is no master once all sentinels have replied or failed")
    mutating func outage() {
        self.tick()
        self.base.network.sentinels[1].session.disconnect(.ended, now: self.base.now)
        #expect(self.events() == [])
        self.connectSentinel(0)
        let outage = RedisOutage.unknownMaster(name: "m")
        #expect(self.receive("*-1\r\n", fromSentinel: 0) == ["unavailable \(outage)"])
        #expect(self.base.network.state == .unknown(outage))
        #expect(self.base.network.master.endpoint == nil)
    }

    @Test("query the sentinels again as soon as the master is lost")
    mutating func lostMaster() {
        self.tick()
        self.connectSentinel(0)
        _ = self.receive(Self.answer(7), fromSentinel: 0)
        self.tick(after: .seconds(1))
        #expect(self.connectMaster() == ["ready 1"])
        _ = self.base.network.sentinels[0].session.takeSentCommands()
        // With a master there is no query for ten seconds.
        self.tick()
        self.tick(after: .seconds(1))
        _ = self.base.network.sentinels[0].session.takeSentCommands()
        self.base.network.master.link.session.disconnect(.ended, now: self.base.now)
        #expect(self.events() == ["unavailable \(RedisOutage.ended)"])
        self.tick()
        #expect(self.base.network.sentinels[0].session.takeSentCommands().count == 3)
    }
}
