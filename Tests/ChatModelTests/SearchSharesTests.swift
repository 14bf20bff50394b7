import Bytes
import ChatModel
import SeededRandom
import Testing

@Suite("The thread of searches")
struct DutyCycleTests {
    @Test("rests as long as it has worked")
    func half() {
        var duty = DutyCycle()
        #expect(duty.worked(for: .milliseconds(3)) == .milliseconds(3))
        duty.rested(for: .milliseconds(3))
        #expect(duty.worked(for: .milliseconds(400)) == .milliseconds(400))
    }

    @Test("works at most half of any time, whatever its slices", arguments: [UInt64(1), 2, 3])
    func random(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var duty = DutyCycle()
        var (worked, rested) = (Duration.zero, Duration.zero)
        for _ in 0..<10_000 {
            let work = Duration.microseconds(random.next(below: 5000))
            worked += work
            let rest = duty.worked(for: work)
            if rest > .zero {
                // A sleep is never shorter than asked for.
                let sleep = rest + .microseconds(random.next(below: 100))
                rested += sleep
                duty.rested(for: sleep)
            }
            #expect(worked <= rested + .milliseconds(1))
        }
        #expect(rested <= worked + .milliseconds(100) * 10_000)
    }

    @Test("does not save rests for later")
    func noCredit() {
        var duty = DutyCycle()
        duty.rested(for: .seconds(100))
        #expect(duty.worked(for: .milliseconds(2)) == .milliseconds(2))
        duty.rested(for: .seconds(100))
        #expect(duty.worked(for: .milliseconds(2)) == .milliseconds(2))
    }

    @Test("adds up rests that are too short to sleep")
    func shortRests() {
        var duty = DutyCycle()
        #expect(duty.worked(for: .microseconds(600)) == .zero)
        #expect(duty.worked(for: .microseconds(600)) == .microseconds(1200))
    }
}

@Suite("The admission of searches")
struct SearchAdmissionTests {
    private static func user(_ name: String, _ tenant: String = "acme") -> LimitKey {
        .user(UserID(tokenSubject: .init(name)), tenant: .init(tenant))
    }

    @Test("gives each user one search at a time")
    func onePerUser() throws {
        let admission = SearchAdmission()
        let first = try admission.begin(for: Self.user("ann"))
        #expect(throws: SearchRefusal.userIsSearching) {
            try admission.begin(for: Self.user("ann"))
        }
        let other = try admission.begin(for: Self.user("ann", "other tenant"))
        let bob = try admission.begin(for: Self.user("bob"))
        first.end()
        first.end()
        let second = try admission.begin(for: Self.user("ann"))
        // The first one ended before, so it does not end this one.
        first.end()
        #expect(admission.count == 3)
        for permit in [other, bob, second] { permit.end() }
        #expect(admission.count == 0)
    }

    @Test("ends with the last reference to the permit")
    func references() throws {
        let admission = SearchAdmission()
        _ = try admission.begin(for: Self.user("ann"))
        var permit: SearchPermit? = try admission.begin(for: Self.user("ann"))
        permit?.cancel()
        #expect(permit?.isCancelled == true && admission.count == 1)
        permit = nil
        #expect(admission.count == 0)
    }

    @Test("counts guests and anonymous users by their address, because they can take any name")
    func guests() throws {
        let admission = SearchAdmission()
        let one = try #require(IPAddress("192.0.2.1"))
        let two = try #require(IPAddress("192.0.2.2"))
        let guests = [
            LimitKey(UserID(anonymous: "a"), tenant: "acme", from: one),
            LimitKey(UserID(anonymous: "b"), tenant: "acme", from: one),
            LimitKey(UserID(assigned: "c"), tenant: "other", from: one),
            LimitKey(nil, tenant: "acme", from: one),
        ]
        for guest in guests {
            let permit = try admission.begin(for: guest)
            for other in guests {
                #expect(throws: SearchRefusal.userIsSearching) { try admission.begin(for: other) }
            }
            permit.end()
        }
        let permit = try admission.begin(for: guests[0])
        let other = try admission.begin(
            for: LimitKey(UserID(anonymous: "a"), tenant: "acme", from: two))
        #expect(admission.count == 2)
        permit.end()
        other.end()
    }

    @Test("counts the addresses of one IPv6 network of 64 bits as one")
    func network() throws {
        let admission = SearchAdmission()
        func guest(_ address: String) throws -> LimitKey {
            LimitKey(nil, tenant: "acme", from: try #require(IPAddress(address)))
        }
        let permit = try admission.begin(for: guest("2001:db8::1"))
        #expect(throws: SearchRefusal.userIsSearching) {
            try admission.begin(for: guest("2001:db8::ffff:2"))
        }
        try admission.begin(for: guest("2001:db8:0:1::1")).end()
        permit.end()
    }

    @Test("refuses more than the node's limit")
    func limit() throws {
        let admission = SearchAdmission()
        var permits = try (0..<SearchAdmission.countLimit).map {
            try admission.begin(for: Self.user("user \($0)"))
        }
        #expect(throws: SearchRefusal.nodeIsBusy) { try admission.begin(for: Self.user("ann")) }
        permits.removeFirst().end()
        permits.append(try admission.begin(for: Self.user("ann")))
        #expect(admission.count == SearchAdmission.countLimit)
        for permit in permits { permit.end() }
    }
}
