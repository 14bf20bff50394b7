import EventLoop
import HTTPWire
import SeededRandom
import Testing

@testable import ConfabClient

@Suite("The delay before a reconnect")
struct BackoffTests {
    private static let lost = ClientError.broken(reason: "reset")

    @Test("is zero at first, and then a random part of a growing time up to 15 seconds")
    func growth() {
        var random = SeededGenerator(seed: 1)
        var backoff = Backoff()
        #expect(backoff.next(after: Self.lost, online: .zero, using: &random) == .zero)
        var ceiling = 1.0
        var delays: Set<Duration> = []
        for _ in 0..<20 {
            let delay = backoff.next(after: Self.lost, online: .zero, using: &random)
            #expect((.milliseconds(250)...(.seconds(ceiling))).contains(delay))
            ceiling = min(15, ceiling * 2)
            delays.insert(delay)
        }
        #expect(delays.count == 20)
        // A short connection is not healthy.
        #expect(backoff.next(after: Self.lost, online: .seconds(9), using: &random) > .zero)
        #expect(backoff.next(after: Self.lost, online: .seconds(10), using: &random) == .zero)
    }

    @Test("obeys the server's Retry-After")
    func serverTime() {
        var random = SeededGenerator(seed: 2)
        for _ in 0..<50 {
            var backoff = Backoff()
            let restart = ClientError.closed(WebSocketCloseCode(rawValue: 1012), reason: "")
            #expect(
                (.zero ... .seconds(2)).contains(
                    backoff.next(after: restart, online: .seconds(60), using: &random)))
            let busy = ClientError.unavailable(
                .serviceUnavailable, reason: nil, retryAfterSeconds: 20)
            backoff = Backoff()
            #expect(
                (.seconds(20) ... .seconds(40)).contains(
                    backoff.next(after: busy, online: .zero, using: &random)))
            let overload = ClientError.closed(WebSocketCloseCode(rawValue: 1013), reason: "")
            #expect(backoff.next(after: overload, online: .zero, using: &random) >= .seconds(1))
        }
    }
}

@Suite("The watchdog of a connection")
struct WatchdogTests {
    @Test("probes after 35 silent seconds, and gives up after 5 more")
    func silence() {
        let start = MonotonicTime(nanoseconds: 0)
        var watchdog = Watchdog(at: start)
        for second in 1..<35 {
            #expect(watchdog.check(at: start.advanced(by: .seconds(second))) == .alive)
        }
        #expect(watchdog.check(at: start.advanced(by: .seconds(35))) == .probe)
        #expect(watchdog.check(at: start.advanced(by: .seconds(39))) == .alive)
        var answered = watchdog
        answered.received(at: start.advanced(by: .seconds(39)))
        #expect(answered.check(at: start.advanced(by: .seconds(41))) == .alive)
        #expect(watchdog.check(at: start.advanced(by: .seconds(40))) == .dead)
    }

    @Test("probes first after the machine was suspended")
    func suspension() {
        let start = MonotonicTime(nanoseconds: 0)
        var watchdog = Watchdog(at: start)
        #expect(watchdog.check(at: start.advanced(by: .seconds(3600))) == .probe)
        #expect(watchdog.check(at: start.advanced(by: .seconds(7200))) == .probe)
        #expect(watchdog.check(at: start.advanced(by: .seconds(7206))) == .dead)
    }
}
