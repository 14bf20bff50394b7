import Bytes
import ChatModel
import Configuration
import EventLoop
import SeededRandom
import StoreTestSupport
import Synchronization
import Testing

@testable import Gateway

@Suite("The users of a loop")
struct UserTableTests {
    private static func user(_ name: String) -> UserID { UserID(tokenSubject: .init(name)) }

    @Test("have one number for all their connections, until the last one closes")
    func numbers() {
        var users = UserTable()
        let ann = users.addConnection(Self.user("ann"), of: "t")
        let bob = users.addConnection(Self.user("bob"), of: "t")
        #expect(users.addConnection(Self.user("ann"), of: "t") == ann)
        #expect(ann != bob)
        #expect(users.user(ann) == Self.user("ann"))
        users.removeConnection(ann)
        #expect(users.number(of: Self.user("ann"), in: "t") == ann)
        users.removeConnection(ann)
        #expect(users.number(of: Self.user("ann"), in: "t") == nil)
        #expect(users.count == 1)
        #expect(
            users.addConnection(Self.user("cid"), of: "t") == ann, "the number is given out again")
        #expect(users.user(ann) == Self.user("cid"))
    }

    @Test("are distinguished by tenant, and from guests of the same name")
    func apart() {
        var users = UserTable()
        let numbers = [
            users.addConnection(Self.user("ann"), of: "t"),
            users.addConnection(Self.user("ann"), of: "u"),
            users.addConnection(UserID(anonymous: "ann"), of: "t"),
        ]
        #expect(Set(numbers).count == 3)
        #expect(users.number(of: UserID(anonymous: "ann"), in: "u") == nil)
        let keyed = users.addConnection(
            UserID(guest: "ann", key: "q8Zt-m_R", provenBy: .connection), of: "t")
        #expect(
            Set(users.numbers(lookingLike: UserID(displayID: "guest:ann"), in: "t"))
                == [keyed, numbers[2]])
    }

    @Test("are unaffected by a connection without a user")
    func noUser() {
        var users = UserTable()
        users.removeConnection(UserTable.noUser)
        #expect(users.count == 0)
    }

    @Test("have no name after the last connection closes")
    func noName() {
        var users = UserTable()
        let number = users.addConnection(
            Self.user("a name that is too long to be held without an allocation"), of: "tenant")
        users.removeConnection(number)
        #expect(users.user(number).displayID == "")
    }
}

@Suite("A token bucket")
struct TokenBucketTests {
    private static func limits(perSecond: Int, burst: Int) -> UserLimits {
        var limits = Limits().ofUser
        limits.messagesPerSecond = perSecond
        limits.messageBurst = burst
        return limits
    }

    @Test("permits a burst at once, then the rate per second")
    func burst() {
        let limits = Self.limits(perSecond: 10, burst: 3)
        var bucket = TokenBucket(limits: limits, at: 1000)
        #expect((0..<3).allSatisfy { _ in bucket.consume(limits: limits, at: 1000) == nil })
        let wait = bucket.consume(limits: limits, at: 1000)
        #expect(wait.map { abs($0 - 0.1) < 0.001 } == true)
        #expect(bucket.consume(limits: limits, at: 1050).map { abs($0 - 0.05) < 0.001 } == true)
        #expect(bucket.consume(limits: limits, at: 1100) == nil)
        #expect(bucket.consume(limits: limits, at: 1100) != nil)
    }

    @Test("does not exceed the burst after a pause")
    func bound() {
        let limits = Self.limits(perSecond: 1000, burst: 5)
        var bucket = TokenBucket(limits: limits, at: 0)
        #expect(
            (0..<100).count { _ in bucket.consume(limits: limits, at: 1_000_000_000) == nil } == 5)
    }

    @Test("follows lowered and raised limits")
    func changed() {
        var bucket = TokenBucket(limits: Self.limits(perSecond: 1, burst: 100), at: 0)
        let fewer = Self.limits(perSecond: 1, burst: 2)
        #expect((0..<10).count { _ in bucket.consume(limits: fewer, at: 0) == nil } == 2)
        let more = Self.limits(perSecond: 1000, burst: 50)
        #expect((0..<100).count { _ in bucket.consume(limits: more, at: 40) == nil } == 40)
    }

    @Test(
        "never exceeds rate and burst in the long run, and wastes no token",
        arguments: 0..<5 as Range<UInt64>)
    func longRun(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let limits = Self.limits(
            perSecond: Int.random(in: 1...200, using: &generator),
            burst: Int.random(in: 1...100, using: &generator))
        var bucket = TokenBucket(limits: limits, at: 0)
        var now: Int64 = 0
        var taken = 0
        for _ in 0..<20_000 {
            now += Int64.random(in: 0...5, using: &generator)
            if bucket.consume(limits: limits, at: now) == nil { taken += 1 }
        }
        let most =
            Double(limits.messageBurst) + Double(now) / 1000 * Double(limits.messagesPerSecond)
        #expect(Double(taken) <= most + 1)
        if limits.messagesPerSecond < 150 { #expect(Double(taken) >= most * 0.97 - 2) }
    }
}

@Suite("Slab keys")
struct SlabTests {
    @Test("are invalid after their value is removed, even if the slot is reused")
    func generations() {
        var slab = Slab<String>()
        let first = slab.insert("a")
        let second = slab.insert("b")
        #expect(slab.remove(first) == "a")
        #expect(slab.remove(first) == nil)
        let third = slab.insert("c")
        #expect(third != first && third & 0xFFFF_FFFF == first & 0xFFFF_FFFF)
        #expect(slab.remove(first) == nil)
        slab.replace(second, with: "d")
        #expect(slab.remove(second) == "d")
        #expect(slab.remove(third) == "c")
        #expect(slab.remove(77 << 32 | 12) == nil)
        #expect(slab.count == 0)
    }
}

@Suite("Allowed origins")
struct OriginPolicyTests {
    private static let policy = OriginPolicy(
        AllowedOrigins(own: true, others: ["https://chat.example", "http://localhost:3000"]))

    @Test(
        "are the server's own and the listed ones",
        arguments: [
            ("http://here:8080", "here:8080", false, true),
            ("HTTP://Here:8080", "hERE:8080", false, true),
            ("http://here", "here:80", false, true),
            ("http://here:80", "here", false, true), ("https://here", "here:443", true, true),
            ("https://here:8080", "here:8080", false, false),
            ("http://here:8080", "here:8080", true, false),
            ("http://here:8081", "here:8080", false, false),
            ("https://here:80", "here", true, false),
            ("https://chat.example", "here", false, true),
            ("https://CHAT.example", "here", true, true),
            ("http://chat.example", "here", false, false),
            ("https://chat.example.evil", "here", false, false),
            ("https://evil/chat.example", "here", false, false),
            ("http://localhost:3000", "here", false, true), ("null", "here", false, false),
            ("", "here", false, false),
            ("http://here:8080/", "here:8080", false, false),
        ])
    func table(origin: String, host: String, isSecure: Bool, isAllowed: Bool) {
        #expect(Self.policy.allows(origin, host: host, isSecure: isSecure) == isAllowed)
    }

    @Test(
        "include listed subdomains at any depth, other schemes, and `null`",
        arguments: [
            ("https://a.example.org", true), ("https://a.b.Example.org", true),
            ("https://a.example.org:443", true),
            ("https://example.org", false), ("https://.example.org", false),
            ("https://a..example.org", false),
            ("http://a.example.org", false), ("https://a.example.org:8443", false),
            ("https://a.example.org.evil", false),
            ("https://evil-example.org", false), ("https://evil/.example.org", false),
            ("https://evil?.example.org", false),
            ("https://user@a.example.org", false), ("https://a.example.org/", false),
            ("http://a.port.test:8080", true),
            ("http://a.port.test", false), ("capacitor://localhost", true),
            ("CAPACITOR://localhost", true), ("capacitor://other", false),
            ("file://", true), ("file:///etc", false), ("null", true), ("nulls", false),
        ])
    func kinds(origin: String, isAllowed: Bool) {
        let policy = OriginPolicy(
            AllowedOrigins(
                others: ["capacitor://localhost", "file://", "null"],
                subdomains: [
                    .init(scheme: "https", parent: "example.org"),
                    .init(scheme: "http", parent: "port.test", port: 8080),
                ]))
        #expect(policy.allows(origin, host: "here", isSecure: false) == isAllowed)
    }

    @Test("may have the scheme of a WebSocket, which counts as that of HTTP")
    func webSocketSchemes() {
        #expect(Self.policy.allows("ws://here", host: "here", isSecure: false))
        #expect(!Self.policy.allows("wss://here", host: "here", isSecure: false))
        #expect(Self.policy.allows("wss://here:443", host: "here", isSecure: true))
        #expect(Self.policy.allows("wss://chat.example", host: "here", isSecure: false))
    }

    @Test("may send credentials if they are listed, not if any origin is allowed")
    func credentials() {
        #expect(Self.policy.allowsCredentials("https://chat.example"))
        #expect(!OriginPolicy(AllowedOrigins(others: ["null"])).allowsCredentials("null"))
        #expect(
            !OriginPolicy(AllowedOrigins(any: true, others: ["https://a"])).allowsCredentials(
                "https://a"))
    }

    @Test("are all if any is allowed, and programs have no origin")
    func others() {
        #expect(Self.policy.allows(nil, host: "here", isSecure: false))
        #expect(
            OriginPolicy(AllowedOrigins(any: true)).allows(
                "https://evil.example", host: "here", isSecure: false))
        #expect(
            OriginPolicy(AllowedOrigins()).allows("http://here", host: "here", isSecure: false)
                == false)
        #expect(Self.policy.allows("http://here", host: nil, isSecure: false) == false)
    }
}

@Suite("Health")
struct HealthTests {
    /// A clock that the test sets.
    private final class Clock: Sendable {
        private let time = Mutex<Int64>(1000)
        var now: Int64 {
            get { self.time.withLock { $0 } }
            set { self.time.withLock { $0 = newValue } }
        }
    }

    private let clock = Clock()

    private func health(loops: Int = 2) -> Health {
        let clock = self.clock
        return Health(loopCount: loops) { clock.now }
    }

    @Test("is starting, then healthy, and draining despite later probes")
    func lifecycle() {
        let health = self.health()
        #expect(health.status == .starting)
        health.markStarted()
        #expect(health.status == .healthy)
        health.recordProbe(0, "disk full")
        health.setDraining()
        #expect(health.status == .draining)
        health.recordProbe(0, nil)
        #expect(health.status == .draining)
    }

    @Test("names a loop that has stopped running")
    func loops() {
        let health = self.health()
        #expect(health.stuckLoop == nil)
        health.markStarted()
        self.clock.now += Health.timeoutMilliseconds
        health.recordTurn(0)
        #expect(health.status == .healthy && health.stuckLoop == nil)
        self.clock.now += 1
        #expect(health.status == .degraded("loop 1 does not turn") && health.stuckLoop == 1)
        health.setDraining()
        #expect(health.stuckLoop == 1)
        health.setDraining(false)
        health.recordTurn(1)
        health.recordProbe(0, "disk full")
        health.setLinkFailure("no probe")
        #expect(health.stuckLoop == nil)
        health.recordProbe(0, nil)
        health.setLinkFailure(nil)
        #expect(health.status == .healthy)
    }

    @Test(
        "reports a loop's store failure until its next probe succeeds", arguments: [0, 1])
    func store(loop: Int) {
        let health = self.health()
        health.markStarted()
        #expect(health.beginProbeIfDue(0))
        #expect(health.beginProbeIfDue(1))
        health.recordProbe(loop, "disk full")
        health.recordProbe(1 - loop, nil)
        #expect(health.status == .degraded("store: disk full"))
        // A failed store is probed again soon.
        self.clock.now += Health.failedProbeInterval
        #expect(health.beginProbeIfDue(loop))
        #expect(!health.beginProbeIfDue(1 - loop))
        #expect(health.status == .degraded("store: disk full"))
        health.recordProbe(loop, nil)
        #expect(health.status == .healthy)
    }

    @Test("sends one probe at a time, and counts a timeout as a failure")
    func silence() {
        let health = self.health()
        health.markStarted()
        #expect(health.beginProbeIfDue(0))
        self.clock.now += Health.timeoutMilliseconds + 1
        health.recordTurn(0)
        health.recordTurn(1)
        #expect(health.status == .degraded("store: does not answer"))
        #expect(!health.beginProbeIfDue(0))
        health.recordProbe(0, nil)
        #expect(health.status == .healthy)
        #expect(health.beginProbeIfDue(0))
        health.recordProbe(0, nil)
        self.clock.now += Health.probeInterval - 1
        #expect(!health.beginProbeIfDue(0))
        self.clock.now += 1
        #expect(health.beginProbeIfDue(0))
    }
}

@Suite("The base of links")
struct LinkBaseTests {
    private static func base(_ listenHost: String) -> LinkBase {
        LinkBase(publicURL: nil, listenHost: listenHost, hostname: "node-7")
    }

    @Test(
        "is the request's host if that is the node's or from a trusted proxy",
        arguments: [
            ("evil.example", false, "http://192.0.2.1:8080"),
            ("192.0.2.1:8080", false, "http://192.0.2.1:8080"),
            ("192.0.2.1", false, "http://192.0.2.1:8080"),
            ("192.0.2.2:8080", false, "http://192.0.2.1:8080"),
            ("node-7:8080", false, "http://node-7:8080"),
            ("NODE-7:8080", false, "http://NODE-7:8080"),
            ("node-7", false, "http://192.0.2.1:8080"), ("localhost", false, "http://localhost"),
            ("[::1]:80", false, "http://[::1]:80"),
            ("127.1.2.3:1", false, "http://127.1.2.3:1"),
            ("localhost.evil.example", false, "http://192.0.2.1:8080"),
            ("", false, "http://192.0.2.1:8080"), ("chat.example", true, "http://chat.example"),
            (nil, true, "http://192.0.2.1:8080"),
        ] as [(String?, Bool, String)])
    func table(host: String?, isForwarded: Bool, expected: String) {
        let local = SocketAddress(literal: "192.0.2.1", port: 8080)
        for listenHost in ["0.0.0.0", "::", "192.0.2.1"] {
            let link = Self.base(listenHost).url(
                host: host, isForwarded: isForwarded, isSecure: false, isTLS: false, local: local)
            #expect(link == expected, "\(listenHost)")
        }
    }

    @Test("is the host of the listener, with the client's scheme")
    func names() {
        func text(
            _ base: LinkBase, _ host: String, isForwarded: Bool = false, isSecure: Bool = true,
            isTLS: Bool = true
        ) -> String {
            let local = SocketAddress(literal: "2001:db8::1", port: 443)
            return base.url(
                host: host, isForwarded: isForwarded, isSecure: isSecure, isTLS: isTLS, local: local
            )
        }
        let base = Self.base("chat1.internal")
        #expect(text(base, "Chat1.internal") == "https://Chat1.internal")
        #expect(text(base, "evil") == "https://chat1.internal:443")
        #expect(
            text(Self.base("::"), "evil", isSecure: false, isTLS: false)
                == "http://[2001:db8::1]:443")
        #expect(
            text(base, "chat.example", isForwarded: true, isTLS: false) == "https://chat.example")
    }
}
