import Bytes
import ChatModel
import Configuration
import DialectKit
import GatewayTestSupport
import TestKit
import TestTraits
import Testing

@testable import Gateway

@Suite("The rate of a user")
struct UserRateTests {
    private static func limits(perSecond: Int = 10, burst: Int = 20, bytes: Int = 86_400) -> Limits
    {
        var limits = Limits()
        limits.messagesPerSecond = perSecond
        limits.messageBurst = burst
        limits.storedBytesPerDay = bytes
        return limits
    }

    private static func ledger(_ limits: Limits) -> RateLedger { RateLedger(limits) { 0 } }
    private static let ann = RateKey.user(UserID(tokenSubject: "ann"), tenant: "t")

    @Test("is one for all connections, and not new with a new connection")
    func shared() {
        let limits = Self.limits()
        let ledger = Self.ledger(limits)
        var admitted = 0
        for _ in 0..<100 {
            let rate = ledger.rate(of: Self.ann, limits: limits, at: 1000)
            if rate.consume(limits: limits, at: 1000) == nil { admitted += 1 }
        }
        #expect(admitted == 20)
        let other = ledger.rate(
            of: .user(UserID(tokenSubject: "ann"), tenant: "u"), limits: limits, at: 1000)
        #expect(other.consume(limits: limits, at: 1000) == nil)
    }

    @Test("of guests is that of their address")
    func guests() throws {
        let one = try #require(IPAddress("192.0.2.1"))
        let guest = Principal(
            person: Person(
                id: UserID(guest: "ann", key: "12345678", provenBy: .token), name: "Ann"),
            isAdmin: false)
        let user = Principal(
            person: Person(id: UserID(tokenSubject: "ann"), name: "Ann"), isAdmin: false)
        #expect(RateKey(guest, tenant: "t", from: one) == .address(one))
        #expect(RateKey(nil, tenant: "t", from: one) == .address(one))
        #expect(RateKey(user, tenant: "t", from: one) == Self.ann)
        #expect(RateKey(.none, from: one) == .address(one))
    }

    @Test("is forgotten when no connection has it and its bucket is full again")
    func purge() {
        let limits = Self.limits()
        let ledger = Self.ledger(limits)
        let held = ledger.rate(of: Self.ann, limits: limits, at: 0)
        for number in 0..<5000 {
            let key = RateKey.user(UserID(tokenSubject: ByteString("u\(number)")), tenant: "t")
            let rate = ledger.rate(of: key, limits: limits, at: Int64(number) * 1000)
            _ = rate.consume(limits: limits, at: Int64(number) * 1000)
        }
        #expect(ledger.count < 2000)
        #expect(ledger.rate(of: Self.ann, limits: limits, at: 5_000_000) === held)
    }

    @Test("pauses a client that goes on sending above its limit, and closes it after ten seconds")
    func flood() {
        let limits = Self.limits()
        let connection = ConnectionRate(UserRate(limits: limits, at: 0))
        var (now, admitted, refused) = (Int64(0), 0, 0)
        loop: while now < 60_000 {
            switch connection.admit(limits: limits, at: now, cost: 1) {
            case .admitted: admitted += 1
            case .refused: refused += 1
            case .paused(_, let until):
                refused += 1
                #expect(until > now)
                now = until
            case .exhausted: break loop
            }
        }
        #expect((10_000...10_200).contains(now))
        #expect(admitted == 20)
        // The free refusals, and then as many as the limit.
        #expect((115...125).contains(refused), "\(refused)")
    }

    @Test("forgives a client that waits")
    func patience() {
        let limits = Self.limits()
        let connection = ConnectionRate(UserRate(limits: limits, at: 0))
        for second in 0..<100 as Range<Int64> {
            var refusals = 0
            for _ in 0..<25
            where connection.admit(limits: limits, at: second * 5000, cost: 1) != .admitted {
                refusals += 1
            }
            #expect(refusals == 5)
        }
    }

    @Test("counts a message by its cost, of at most a burst")
    func cost() {
        let limits = Self.limits()
        let rate = UserRate(limits: limits, at: 0)
        #expect(rate.consume(limits: limits, at: 0, cost: 16) == nil)
        #expect(rate.consume(limits: limits, at: 0, cost: 16) != nil)
        #expect(rate.consume(limits: limits, at: 2000, cost: 1000) == nil)
    }

    @Test("includes the bytes that it stores in a day")
    func storage() {
        let limits = Self.limits(bytes: 86_400)
        let rate = UserRate(limits: limits, at: 0)
        #expect(rate.store(86_000, limits: limits, at: 0) == nil)
        let error = rate.store(1000, limits: limits, at: 0)
        #expect(error?.description == "rate limited: stored-bytes-per-day")
        guard case .storageLimited(_, let seconds)? = error else { return }
        #expect(abs(seconds - 600) < 1)
        #expect(rate.store(1000, limits: limits, at: 601_000) == nil)
        #expect(rate.store(0, limits: limits, at: 601_000) == nil)
    }

    @Test("bounds the answers that wait for the user's other connections")
    func waiting() {
        let rate = UserRate(limits: Self.limits(), at: 0)
        let one = ConnectionRate(rate)
        #expect(one.mayWait(1000))
        one.setWaiting(5000)
        #expect(one.mayWait(1000), "its own answers wait for each other anyway")
        var other: ConnectionRate? = ConnectionRate(rate)
        #expect(other?.mayWait(1000) == false)
        one.setWaiting(0)
        other?.setWaiting(2000)
        #expect(!one.mayWait(1000))
        other = nil
        #expect(one.mayWait(1000))
    }
}

/// Clients of one node.
@Suite("A user with many connections", .ownThread)
struct ManyConnectionsTests {
    private static func node(_ change: (inout Limits) -> Void = { _ in }) throws -> TestNode {
        let clock = StoppedClock(monotonic: 10_000)
        return try TestNode(loops: 2, dialects: TestNode.allDialects) { setup in
            setup.settings.readClocks = { clock.reading }
            setup.live.limits.messagesPerSecond = 1
            setup.live.limits.messageBurst = 10
            change(&setup.live.limits)
        }
    }

    @Test("sends as much as with one")
    func sends() throws {
        let node = try Self.node()
        var stored = 0
        for number in 0..<5 {
            let client = try node.conversationClient("ann", in: "room \(number)", after: "0")
            for text in 0..<6 { try client.sendMessage("\(text)", as: "\(number)-\(text)") }
            for _ in 0..<6 where try client.next()["type"] == "chat_message" { stored += 1 }
        }
        #expect(stored == 10)
        let other = try node.conversationClient("bob", in: "room 0", after: "0")
        try other.sendMessage("mine", as: "b")
        #expect(try other.next()["type"] == "chat_message")
    }

    @Test("stores as much in a day, and the refusal names the limit")
    func storage() throws {
        let node = try Self.node {
            $0.messageBurst = 1000
            $0.storedBytesPerDay = 10_000
        }
        let ann = try node.conversationClient("ann", after: "0")
        try ann.sendMessage(String(repeating: "x", count: 9000), as: "a")
        #expect(try ann.next()["type"] == "chat_message")
        let again = try node.conversationClient("ann", after: "1")
        try again.sendMessage(String(repeating: "x", count: 2000), as: "b")
        let failed = try again.next()
        #expect(
            failed["type"] == "message.failed"
                && failed["error"] == "rate limited: stored-bytes-per-day", "\(failed)")
    }
}
