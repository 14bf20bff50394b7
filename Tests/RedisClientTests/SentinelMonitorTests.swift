import EventLoop
import Testing

@testable import RedisClient

@Suite("A monitor of sentinels")
struct SentinelMonitorTests {
    private static let (a, b) = (
        RedisEndpoint(host: "a", port: 1), RedisEndpoint(host: "b", port: 2)
    )
    private static let start = MonotonicTime(nanoseconds: 1_000_000_000_000)

    /// An event. `sentinel` is 0 or 1.
    enum Event: Sendable {
        case tick(atMilliseconds: Int, isMasterReady: Bool)
        case masterUnavailable(atMilliseconds: Int)
        case ready(sentinel: Int)
        /// A sentinel names this master; nil: it knows none of this name.
        case answer(RedisEndpoint?, sentinel: Int)
        case switched(from: RedisEndpoint, to: RedisEndpoint, sentinel: Int)
        case unavailable(RedisOutage, sentinel: Int)
    }

    struct SentinelStep: Sendable {
        let event: Event
        let directives: [SentinelMonitor.SentinelDirective]
        let state: SentinelMonitor.State

        init(
            _ event: Event, _ directives: [SentinelMonitor.SentinelDirective],
            _ state: SentinelMonitor.State = .searching
        ) {
            self.event = event
            self.directives = directives
            self.state = state
        }
    }

    private static func wire(_ event: Event) -> String {
        func bulk(_ text: String) -> String { "$\(text.utf8.count)\r\n\(text)\r\n" }
        switch event {
        case .answer(let endpoint?, _):
            return "*2\r\n" + bulk(endpoint.host) + bulk("\(endpoint.port)")
        case .switched(let old, let new, _):
            let text = "m \(old.host) \(old.port) \(new.host) \(new.port)"
            return "*3\r\n" + bulk("message") + bulk("+switch-master") + bulk(text)
        default: return "*-1\r\n"
        }
    }

    private static func apply(_ event: Event, to monitor: inout SentinelMonitor) throws
        -> [SentinelMonitor.SentinelDirective]
    {
        func time(_ milliseconds: Int) -> MonotonicTime {
            Self.start.advanced(by: .milliseconds(milliseconds))
        }
        switch event {
        case .tick(let milliseconds, let isMasterReady):
            return monitor.tick(isMasterReady: isMasterReady, now: time(milliseconds))
        case .masterUnavailable(let milliseconds):
            monitor.masterUnavailable(now: time(milliseconds))
            return []
        case .ready(let sentinel): return monitor.sentinelReady(sentinel)
        case .unavailable(let outage, let sentinel):
            return monitor.sentinelUnavailable(sentinel, outage)
        case .answer(_, let sentinel), .switched(_, _, let sentinel):
            let reader = RedisReplyReader()
            try Array(Self.wire(event).utf8).withUnsafeBytes { try reader.feed($0) }
            let reply = try #require(try reader.next())
            return monitor.received(reply, from: sentinel, now: Self.start)
        }
    }

    @Test(
        "follows the master that the sentinels name, and reports why there is none",
        arguments: [
            // The first answer counts, and a switch counts at once.
            [
                SentinelStep(.ready(sentinel: 0), [.query(sentinel: 0)]),
                SentinelStep(.answer(a, sentinel: 0), [.connect(to: a)], .following(a)),
                SentinelStep(.ready(sentinel: 1), [.query(sentinel: 1)], .following(a)),
                SentinelStep(.answer(a, sentinel: 1), [], .following(a)),
                SentinelStep(
                    .switched(from: a, to: b, sentinel: 1), [.connect(to: b)], .following(b)),
                // This sentinel has not learned of the switch.
                SentinelStep(.answer(a, sentinel: 0), [], .following(b)),
            ],
            // All sentinels are needed for a reason, which every further failure reports again.
            [
                SentinelStep(.unavailable(.ended, sentinel: 0), []),
                SentinelStep(
                    .answer(nil, sentinel: 1), [.report(.unknownMaster(name: "m"))],
                    .unknown(.unknownMaster(name: "m"))),
                SentinelStep(
                    .unavailable(.ended, sentinel: 1),
                    [.report(.noSentinel(reason: RedisOutage.ended.description))],
                    .unknown(.noSentinel(reason: RedisOutage.ended.description))),
                SentinelStep(.answer(a, sentinel: 0), [.connect(to: a)], .following(a)),
                SentinelStep(.unavailable(.ended, sentinel: 0), [], .following(a)),
            ],
        ])
    func following(steps: [SentinelStep]) throws {
        var monitor = SentinelMonitor(master: "m", sentinelCount: 2, hasPassword: false)
        for (number, step) in steps.enumerated() {
            let directives = try Self.apply(step.event, to: &monitor)
            #expect(directives == step.directives, "step \(number)")
            #expect(monitor.state == step.state, "step \(number)")
        }
    }

    @Test(
        "queries all sentinels often without a master, rarely with one, at once when it is lost",
        arguments: [
            [(0, false, true), (499, false, false), (500, false, true), (999, false, false)],
            [(0, true, true), (9999, true, false), (10_000, true, true)],
        ])
    func intervals(ticks: [(Int, Bool, Bool)]) throws {
        var monitor = SentinelMonitor(master: "m", sentinelCount: 2, hasPassword: false)
        for (milliseconds, isMasterReady, queries) in ticks {
            let directives = try Self.apply(
                .tick(atMilliseconds: milliseconds, isMasterReady: isMasterReady), to: &monitor)
            #expect(
                directives == (queries ? [.query(sentinel: 0), .query(sentinel: 1)] : []),
                "\(milliseconds) ms")
        }
        _ = try Self.apply(.masterUnavailable(atMilliseconds: 10_100), to: &monitor)
        let directives = try Self.apply(
            .tick(atMilliseconds: 10_100, isMasterReady: false), to: &monitor)
        #expect(directives.count == 2)
    }

    @Test(
        "gives a sentinel the password once, after it has replied NOAUTH",
        arguments: [
            (true, [.authenticate(sentinel: 1)], .searching),
            (false, [], .searching),
        ] as [(Bool, [SentinelMonitor.SentinelDirective], SentinelMonitor.State)])
    func password(
        hasPassword: Bool, directives: [SentinelMonitor.SentinelDirective],
        state: SentinelMonitor.State
    ) throws {
        var monitor = SentinelMonitor(master: "m", sentinelCount: 2, hasPassword: hasPassword)
        let refusal = Event.unavailable(.refused(.notAuthenticated), sentinel: 1)
        let first = try Self.apply(refusal, to: &monitor)
        #expect(first == directives)
        #expect(monitor.state == state)
        // A second refusal is a failure, as any other.
        _ = try Self.apply(.unavailable(.ended, sentinel: 0), to: &monitor)
        let second = try Self.apply(refusal, to: &monitor)
        #expect(second.count == 1)
        guard case .report = second.first else {
            Issue.record("\(second)")
            return
        }
    }
}
