import Bytes
import EventLoop
import SeededRandom
import Testing

@Suite("A timer wheel")
struct TimerWheelTests {
    @Test("fires what a plain list fires, at the same ticks", arguments: 0..<8 as Range<UInt64>)
    func oracle(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var now = UInt32.random(in: 0...1_000_000, using: &random)
        var wheel = TimerWheel(tick: now)
        var due: [TimerWheel.Entry: UInt32] = [:]
        var made: UInt32 = 0
        let reaches: [UInt32] = [1, 63, 64, 65, 4095, 4096, 4097, 300_000]
        let steps: [UInt32] = [1, 3, 64, 5000]
        for round in 0..<200 as Range<UInt32> {
            for _ in 0..<Int.random(in: 0...10, using: &random) {
                let entry = TimerWheel.Entry(index: made, generation: round)
                made += 1
                let tick =
                    now
                    + UInt32.random(in: 0...reaches.randomElement(using: &random)!, using: &random)
                wheel.schedule(entry.index, generation: entry.generation, at: tick)
                due[entry] = max(tick, now + 1)
            }
            now += UInt32.random(in: 0...steps.randomElement(using: &random)!, using: &random)
            var expired: [TimerWheel.Entry] = []
            wheel.advance(to: now, into: &expired)

            #expect(Set(expired) == Set(due.filter { $0.value <= now }.keys))
            let ticks = expired.compactMap { due[$0] }
            #expect(ticks == ticks.sorted())
            for entry in expired { due[entry] = nil }
            #expect(wheel.count == due.count)
            #expect(wheel.tick == now)
        }
    }

    @Test("fires at the very tick, wherever that lies on its wheels")
    func exactTick() {
        for distance in [
            1, 2, 63, 64, 65, 127, 128, 4032, 4095, 4096, 4159, 262_143, 262_144, 262_145,
        ] as [UInt32] {
            for start in [0, 1, 63, 64, 4095, 262_100] as [UInt32] {
                var wheel = TimerWheel(tick: start)
                var expired: [TimerWheel.Entry] = []
                wheel.schedule(distance, generation: start, at: start + distance)
                wheel.advance(to: start + distance - 1, into: &expired)
                #expect(expired.isEmpty)
                wheel.advance(to: start + distance, into: &expired)
                #expect(expired == [TimerWheel.Entry(index: distance, generation: start)])
            }
        }
    }

    @Test(
        "keeps what is further away than its wheels reach",
        arguments: [1 << 24 - 1, 1 << 24, 1 << 24 + 1, 3 << 24 + 12_345] as [UInt32])
    func beyondHorizon(distance: UInt32) {
        var wheel = TimerWheel(tick: 77)
        wheel.schedule(1, generation: 2, at: 77 + distance)
        var expired: [TimerWheel.Entry] = []
        wheel.advance(to: 77 + distance - 1, into: &expired)
        #expect(expired.isEmpty)
        wheel.advance(to: 77 + distance, into: &expired)
        #expect(expired == [TimerWheel.Entry(index: 1, generation: 2)])
        #expect(wheel.count == 0)
    }
}

@Suite("A socket address")
struct SocketAddressTests {
    @Test(
        "is written as people write it",
        arguments: [
            ("127.0.0.1", "127.0.0.1:80"), ("::1", "[::1]:80"),
            ("2001:DB8:0:0::7", "[2001:db8::7]:80"),
            ("::ffff:192.0.2.1", "192.0.2.1:80"),
        ])
    func text(literal: String, text: String) {
        #expect(SocketAddress(literal: literal, port: 80)?.text == text)
        #expect(SocketAddress(literal: literal, port: 80)?.ip == IPAddress(literal))
    }

    @Test(
        "is no name and no half address",
        arguments: ["localhost", "", "1.2.3", "1.2.3.4.5", "[::1]", "::g"])
    func noLiteral(host: String) {
        #expect(SocketAddress(literal: host, port: 80) == nil)
    }

    @Test("of one kind equals only itself")
    func equality() {
        let addresses = ["127.0.0.1", "127.0.0.2", "::1", "::2"].flatMap { host in
            [1, 2].map { SocketAddress(literal: host, port: $0)! }
        }
        #expect(Set(addresses).count == 8)
    }

    @Test("is found by name, on the loop that asked")
    func resolve() async throws {
        let loop = try EventLoop.start(name: "names")
        defer { loop.stopAndJoin() }
        let find = { @Sendable (host: String, port: UInt16) async throws -> [SocketAddress] in
            try await withCheckedContinuation { found in
                loop.execute {
                    Resolver.resolve(host: host, port: port, on: loop) {
                        #expect(loop.isCurrent)
                        found.resume(returning: $0)
                    }
                }
            }.get()
        }
        let addresses = try await find("localhost", 7)
        #expect(addresses.contains { $0.host == "127.0.0.1" || $0.host == "::1" })
        #expect(addresses.allSatisfy { $0.port == 7 })
        #expect(try await find("192.0.2.9", 1).map(\.text) == ["192.0.2.9:1"])
        await #expect(throws: SocketError.self) { try await find("no such name", 1) }
    }
}

@Suite("The clocks")
struct ClockTests {
    @Test("go forward, and the cheap one is never ahead of the exact one")
    func monotonic() {
        let cheap = MonotonicTime.now
        let exact = MonotonicTime.exact
        let later = MonotonicTime.exact
        #expect(cheap <= exact)
        #expect(exact <= later)
        #expect(exact.since(cheap) < .seconds(10))
    }

    @Test("count in durations")
    func durations() {
        let moment = MonotonicTime(nanoseconds: 5_000_000_000)
        #expect(moment.advanced(by: .milliseconds(1500)).nanoseconds == 6_500_000_000)
        #expect(moment.since(MonotonicTime(nanoseconds: 7_000_000_000)) == .seconds(-2))
    }

    @Test("tell the time of day in this century")
    func wall() {
        #expect(WallClock.now.text.hasPrefix("20"))
        #expect(WallClock.now > Timestamp(milliseconds: 1_700_000_000_000))
    }

    @Test("the limit of descriptors is raised to what is allowed")
    func descriptorLimit() {
        #expect(ProcessSetup.raiseDescriptorLimit() == ProcessSetup.raiseDescriptorLimit())
        #expect(ProcessSetup.raiseDescriptorLimit() >= 256)
    }
}
