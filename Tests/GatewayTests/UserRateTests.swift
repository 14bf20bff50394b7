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
    private static func limits(perSecond: Int = 10, burst: Int = 20, bytes: Int = 86_400)
        -> UserLimits
    {
        var limits = Limits().ofUser
        limits.messagesPerSecond = perSecond
        limits.messageBurst = burst
        limits.storedBytesPerDay = bytes
        return limits
    }

    private static func key(_ user: String, tenant: ByteString = "t") -> LimitKey {
        .user(UserID(tokenSubject: ByteString(user)), tenant: tenant)
    }

    @Test("is one for all connections, and not new with a new connection")
    func shared() {
        let limits = Self.limits()
        let ledger = RateLedger { 0 }
        var admitted = 0
        for _ in 0..<100 {
            let rate = ledger.rate(of: Self.key("ann"), limits: limits, at: 1000)
            if rate.consume(limits: limits, at: 1000) == nil { admitted += 1 }
        }
        #expect(admitted == 20)
        let namesake = ledger.rate(of: Self.key("ann", tenant: "u"), limits: limits, at: 1000)
        #expect(namesake.consume(limits: limits, at: 1000) == nil)
    }

    @Test("of guests and clients without a user is that of their address")
    func guests() throws {
        let one = try #require(IPAddress("192.0.2.1"))
        #expect(LimitKey(UserID(anonymous: "ann"), tenant: "t", from: one) == .address(one))
        #expect(LimitKey(nil, tenant: "u", from: one) == .address(one))
        #expect(LimitKey(UserID(tokenSubject: "ann"), tenant: "t", from: one) == Self.key("ann"))
        let networks = try ["2001:db8::1", "2001:db8::2:1", "2001:db8:0:1::1"].map {
            LimitKey(nil, tenant: "t", from: try #require(IPAddress($0)))
        }
        #expect(networks[0] == networks[1] && networks[0] != networks[2])
    }

    @Test("is forgotten when no connection has it and it is as a new one")
    func purge() {
        let limits = Self.limits()
        let ledger = RateLedger { 0 }
        let held = ledger.rate(of: Self.key("ann"), limits: limits, at: 0)
        for number in 0..<5000 {
            let time = Int64(number) * 1000
            let rate = ledger.rate(of: Self.key("user \(number)"), limits: limits, at: time)
            _ = rate.consume(limits: limits, at: time)
        }
        #expect(ledger.count < 2000)
        #expect(ledger.rate(of: Self.key("ann"), limits: limits, at: 5_000_000) === held)
    }

    // MARK: Clients above the limit

    /// A client that sends again as soon as it is read, for this time.
    ///
    /// - Returns: the frames that were admitted and refused, and when the connection was closed.
    private static func flood(
        _ connections: [ConnectionRate], _ limits: UserLimits, milliseconds: Int64, tick: Int64 = 1
    ) -> (admitted: Int, refused: Int, closedAt: Int64?) {
        var (admitted, refused) = (0, 0)
        for now in stride(from: 0, to: milliseconds, by: Int64.Stride(tick)) {
            for connection in connections {
                _ = connection.endPause(at: now)
                while !connection.isPaused {
                    switch connection.admit(limits: limits, at: now, cost: 1) {
                    case .admitted: admitted += 1
                    case .refused, .paused: refused += 1
                    case .exhausted: return (admitted, refused, now)
                    }
                }
            }
        }
        return (admitted, refused, nil)
    }

    @Test(
        "is that at which a flood is read, whatever the resolution of timers; it ends after 10 s",
        arguments: [
            (perSecond: 10, burst: 20), (perSecond: 50, burst: 100), (perSecond: 1, burst: 1),
            (perSecond: 1000, burst: 2000),
        ], [1, 100] as [Int64])
    func flood(rate: (perSecond: Int, burst: Int), tick: Int64) throws {
        let limits = Self.limits(perSecond: rate.perSecond, burst: rate.burst)
        let connection = ConnectionRate(UserRate(limits: limits, at: 0))
        let result = Self.flood([connection], limits, milliseconds: 60_000, tick: tick)
        let closedAt = try #require(result.closedAt)
        #expect((10_000...14_000).contains(closedAt))
        // The burst, as many free refusals, and then the limit.
        let free = rate.burst + max(rate.burst, 20) + 2
        let read = result.admitted + result.refused
        // Sixteen admissions make one refusal free.
        let afterwards = rate.perSecond * Int(closedAt) / 1000 * 17 / 16 + rate.perSecond / 10 + 2
        #expect(read <= free + afterwards)
        #expect(result.admitted <= rate.burst + rate.perSecond * Int(closedAt) / 1000 + 1)
    }

    @Test("is that at which a flood over ten connections is read")
    func manyConnections() {
        let limits = Self.limits(perSecond: 50, burst: 100)
        let user = UserRate(limits: limits, at: 0)
        let connections = (0..<10).map { _ in ConnectionRate(user) }
        let result = Self.flood(connections, limits, milliseconds: 9000)
        #expect(result.closedAt == nil)
        #expect(result.admitted + result.refused <= 200 + 9 * 50 + 10 * 7)
    }

    @Test(
        "gives a client that waits as it is told most of it, and never closes it",
        arguments: [
            (perSecond: 10, burst: 20), (perSecond: 50, burst: 100), (perSecond: 1, burst: 1),
        ], [1, 5, 10])
    func obedience(rate: (perSecond: Int, burst: Int), outstanding: Int) {
        let limits = Self.limits(perSecond: rate.perSecond, burst: rate.burst)
        let connection = ConnectionRate(UserRate(limits: limits, at: 0))
        var (admitted, inFlight, quietUntil) = (0, 0, Int64(0))
        for now in 0..<120_000 as Range<Int64> {
            // Timers have this resolution.
            if now % 100 == 0 { _ = connection.endPause(at: now) }
            // It sends the next messages after the last answer, or when it was told to.
            if inFlight == 0, now >= quietUntil { inFlight = outstanding }
            while inFlight > 0, !connection.isPaused {
                inFlight -= 1
                switch connection.admit(limits: limits, at: now, cost: 1) {
                case .admitted: admitted += 1
                case .refused(let seconds), .paused(let seconds):
                    quietUntil = max(quietUntil, now + Int64((seconds * 1000).rounded(.up)))
                case .exhausted:
                    Issue.record("closed at \(now)")
                    return
                }
                if inFlight == 0 { quietUntil = max(quietUntil, now + 5) }
            }
        }
        #expect(admitted >= rate.perSecond * 120 * 6 / 10, "\(admitted)")
    }

    @Test("forgives a client that sends too much now and then")
    func patience() {
        let limits = Self.limits()
        let connection = ConnectionRate(UserRate(limits: limits, at: 0))
        for second in 0..<100 as Range<Int64> {
            let refusals = (0..<25).count { _ in
                connection.admit(limits: limits, at: second * 5000, cost: 1) != .admitted
            }
            #expect(refusals == 5 && !connection.isPaused)
        }
    }

    @Test("does not close a client at its first frame, however much others of its address owe")
    func debt() {
        let limits = Self.limits(perSecond: 50, burst: 100)
        let user = UserRate(limits: limits, at: 0)
        let floods = (0..<150).map { _ in ConnectionRate(user) }
        for flood in floods {
            while !flood.isPaused { _ = flood.admit(limits: limits, at: 0, cost: 1) }
        }
        let innocent = ConnectionRate(user)
        #expect(innocent.admit(limits: limits, at: 0, cost: 1) != .exhausted)
    }

    @Test("does not close a client that only shares it with one that floods")
    func innocence() {
        let limits = Self.limits(perSecond: 50, burst: 100)
        let user = UserRate(limits: limits, at: 0)
        let innocent = ConnectionRate(user)
        for now in 0..<60_000 as Range<Int64> {
            // Each flood comes with a new connection.
            if now % 9000 == 0 { _ = Self.drain(user, limits, at: now) }
            if now % 100 == 0 { _ = innocent.endPause(at: now) }
            guard now % 1000 == 500, !innocent.isPaused else { continue }
            #expect(innocent.admit(limits: limits, at: now, cost: 1) != .exhausted)
            _ = Self.drain(user, limits, at: now)
        }
    }

    /// Sends until nothing is read any more.
    private static func drain(_ user: UserRate, _ limits: UserLimits, at now: Int64)
        -> ConnectionRate
    {
        let connection = ConnectionRate(user)
        for _ in 0..<500 where !connection.isPaused {
            _ = connection.admit(limits: limits, at: now, cost: 1)
        }
        return connection
    }

    @Test("counts a message by its cost, of at most a burst")
    func cost() {
        let limits = Self.limits()
        let rate = UserRate(limits: limits, at: 0)
        #expect(rate.consume(limits: limits, at: 0, cost: 16) == nil)
        #expect(rate.consume(limits: limits, at: 0, cost: 16) != nil)
        #expect(rate.consume(limits: limits, at: 2000, cost: 1000) == nil)
    }

    // MARK: Storage and answers

    @Test("includes the bytes that the user stores in a day")
    func storage() throws {
        let limits = Self.limits(bytes: 86_400)
        let rate = UserRate(limits: limits, at: 0)
        let key = ConversationKey(tenant: "t", id: "c")
        func post(_ bytes: Int, at now: Int64) -> ChatError? {
            let body = MessageBody(
                author: Person(id: UserID(tokenSubject: "ann"), name: "Ann"), clientMessageID: nil,
                content: String(repeating: "x", count: bytes))
            return rate.store(.post(body), in: key, limits: limits, at: now)
        }
        #expect(post(86_000, at: 0) == nil)
        let error = try #require(post(1000, at: 0))
        #expect(error.description == "rate limited: stored-bytes-per-day")
        guard case .storageLimited(let seconds) = error else { return }
        #expect(seconds > 800 && seconds < 1300)
        #expect(post(1000, at: Int64(seconds * 1000) - 1000) != nil)
        #expect(post(1000, at: Int64(seconds * 1000) + 1000) == nil)
        // What stores nothing is not refused.
        let typing = ChatCommand.typing(
            true, by: Person(id: UserID(tokenSubject: "ann"), name: "Ann"))
        #expect(!typing.storesBytes)
    }

    @Test("lets members enter when the user has stored what it may, up to a bound")
    func entering() {
        let limits = Self.limits(bytes: 16_000)
        let rate = UserRate(limits: limits, at: 0)
        let person = Person(id: UserID(tokenSubject: "ann"), name: "Ann")
        let request = ChatCommand.joinAndSubscribe(
            JoinRequest(
                principal: Principal(person: person, isAdmin: false), isListedInToken: true,
                template: .init(origin: "test")))
        let key = ConversationKey(tenant: "t", id: "c")
        func mayEnter() -> Bool { rate.store(request, in: key, limits: limits, at: 0) == nil }
        for _ in 0..<1000 { #expect(mayEnter()) }
        var joined = 0
        while mayEnter(), joined < 1000 {
            rate.storeMember(person, limits: limits, at: 0)
            joined += 1
        }
        #expect((17_000 / 300...17_000 / 256 + 1).contains(joined), "\(joined)")
    }

    @Test("bounds the answers that wait for readers of the user's other connections")
    func waiting() {
        let rate = UserRate(limits: Self.limits(), at: 0)
        let one = ConnectionRate(rate)
        #expect(one.mayWait(1000))
        one.setWaiting(5000)
        #expect(one.mayWait(1000), "the connection itself is not read while its answer waits")
        var other: ConnectionRate? = ConnectionRate(rate)
        #expect(other?.mayWait(1000) == false)
        one.setWaiting(0)
        other?.setWaiting(2000)
        #expect(!one.mayWait(1000))
        other = nil
        #expect(one.mayWait(1000))
    }

    @Test("bounds the events that wait for polls of the user's other connections")
    func unpolled() {
        let (address, user) = (
            UserRate(limits: Self.limits(), at: 0), UserRate(limits: Self.limits(), at: 0)
        )
        let one = ConnectionRate(user)
        var other: ConnectionRate? = ConnectionRate(address)
        one.setUnpolled(5000)
        #expect(one.mayRetainEvents(1000) && other?.mayRetainEvents(1000) == true)
        #expect(!one.isAsNew(limits: Self.limits(), at: 0) && one.mayWait(1000))
        other?.changeUser(to: user)
        #expect(other?.mayRetainEvents(1000) == false)
        other?.setUnpolled(2000)
        one.setUnpolled(0)
        #expect(!one.mayRetainEvents(1000))
        other = nil
        #expect(one.mayRetainEvents(1000) && user.unpolledBytes == 0)
    }

    @Test("gives replays four pages for each message, and fewer large ones")
    func replays() {
        var limits = Self.limits()
        limits.messageBytes = 1000
        let user = UserRate(limits: limits, at: 0)
        let one = ConnectionRate(user)
        func pages(_ connection: ConnectionRate, bytes: Int, at now: Int64) -> Int {
            var count = 0
            while count < 1000, connection.admitReplay(limits: limits, at: now) {
                user.chargeReplay(bytes: bytes, limits: limits, at: now)
                count += 1
            }
            return count
        }
        #expect(pages(one, bytes: 0, at: 0) == 80)
        #expect(pages(ConnectionRate(user), bytes: 0, at: 0) == 0)
        // A quarter of the burst is worth waiting for.
        #expect(one.wakeAt == 500 && !one.endReplayWait(at: 499) && one.endReplayWait(at: 500))
        #expect(one.wakeAt == nil)
        #expect(pages(one, bytes: 0, at: 500) == 20)
        #expect(pages(one, bytes: 3000, at: 2500) == 20)
        // Large pages are paid later, but never more than for two bursts.
        #expect(pages(one, bytes: 1_000_000, at: 4500) == 1)
        #expect(pages(one, bytes: 0, at: 6500) == 0 && pages(one, bytes: 0, at: 8500) == 80)
        #expect(user.consume(limits: limits, at: 0) == nil)
    }

    @Test("gets the waiting answers of a connection whose user becomes known")
    func userChange() {
        let (address, user) = (
            UserRate(limits: Self.limits(), at: 0), UserRate(limits: Self.limits(), at: 0)
        )
        let connection = ConnectionRate(address)
        connection.setWaiting(5000)
        connection.changeUser(to: user)
        #expect(ConnectionRate(address).mayWait(1000))
        #expect(!ConnectionRate(user).mayWait(1000))
    }
}
