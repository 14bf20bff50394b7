import EventLoop
import Testing

@testable import RedisClient

@Suite("A topology probe")
struct TopologyProbeTests {
    private static let (a, b, c) = (
        RedisEndpoint(host: "a", port: 1), RedisEndpoint(host: "b", port: 2),
        RedisEndpoint(host: "c", port: 3)
    )
    private static let start = MonotonicTime(nanoseconds: 1_000_000_000_000)
    private static let map = SlotMap.sample((0...9000, a), (9001...16_383, c))

    /// An event at a time in milliseconds.
    enum Event: Sendable {
        case tick(isReady: Bool = true, isHealthy: Bool = true)
        case connected, disconnected
        case received(isEmpty: Bool)
        case scheduled
    }

    struct ProbeStep: Sendable {
        let at: Int
        let event: Event
        let directive: TopologyProbe.ProbeDirective?

        init(_ time: Int, _ event: Event, _ directive: TopologyProbe.ProbeDirective? = nil) {
            self.at = time
            self.event = event
            self.directive = directive
        }
    }

    private static func run(_ steps: [ProbeStep], knownMap: SlotMap) -> TopologyProbe {
        var probe = TopologyProbe(seeds: [Self.a, Self.b])
        for (number, step) in steps.enumerated() {
            let now = Self.start.advanced(by: .milliseconds(step.at))
            var directive: TopologyProbe.ProbeDirective?
            switch step.event {
            case .tick(let isReady, let isHealthy):
                directive = probe.tick(
                    isReady: isReady, isHealthy: isHealthy, map: knownMap, now: now)
            case .connected: directive = probe.connected(now: now)
            case .disconnected: directive = probe.disconnected(.ended, map: knownMap, now: now)
            case .received(let isEmpty):
                _ = probe.received(isEmpty ? SlotMap() : Self.map, known: knownMap)
            case .scheduled: probe.scheduleQuery(now: now)
            }
            #expect(directive == step.directive, "step \(number)")
        }
        return probe
    }

    @Test(
        "queries a node when it connects, then at intervals, and moves when the node is silent",
        arguments: [
            // A healthy cluster is queried every five seconds.
            [
                ProbeStep(0, .tick(isReady: false, isHealthy: false)),
                ProbeStep(10, .connected, .query),
                ProbeStep(20, .received(isEmpty: false)), ProbeStep(5000, .tick()),
                ProbeStep(5010, .tick(), .query),
            ],
            // A contradiction schedules a query, but not more than ten in a second.
            [
                ProbeStep(0, .connected, .query), ProbeStep(1, .received(isEmpty: false)),
                ProbeStep(1000, .scheduled), ProbeStep(1050, .scheduled), ProbeStep(1099, .tick()),
                ProbeStep(1100, .tick(), .query),
            ],
            // An unhealthy cluster is queried four times a second, and after a second by another
            // node.
            [
                ProbeStep(0, .connected, .query), ProbeStep(1, .received(isEmpty: false)),
                ProbeStep(100, .tick(isHealthy: false)), ProbeStep(349, .tick(isHealthy: false)),
                ProbeStep(350, .tick(isHealthy: false), .query),
                ProbeStep(360, .received(isEmpty: false)),
                ProbeStep(1000, .tick(isHealthy: false)),
                ProbeStep(1250, .tick(isHealthy: false), .move(to: b, immediately: true)),
                ProbeStep(1300, .connected, .query),
            ],
            // A node that does not answer for a second is left, even if the cluster is healthy.
            [
                ProbeStep(0, .connected, .query), ProbeStep(1000, .tick()),
                ProbeStep(1001, .tick(), .move(to: b, immediately: true)),
            ],
            // After the nodes of the URL come those of the map; after all, the retry delay.
            [
                ProbeStep(0, .disconnected, .move(to: b, immediately: true)),
                ProbeStep(1, .disconnected, .move(to: c, immediately: true)),
                ProbeStep(2, .disconnected, .move(to: a, immediately: false)),
            ],
        ])
    func directives(steps: [ProbeStep]) {
        _ = Self.run(steps, knownMap: Self.map)
    }

    @Test(
        "has a reason for the missing map after all nodes have failed, or one knows no slots",
        arguments: [
            ([ProbeStep(0, .disconnected, .move(to: b, immediately: true))], false, nil),
            (
                [
                    ProbeStep(0, .disconnected, .move(to: b, immediately: true)),
                    ProbeStep(1, .disconnected, .move(to: a, immediately: false)),
                ], false, .noRedisClusterNode(reason: RedisOutage.ended.description)
            ),
            (
                [ProbeStep(0, .connected, .query), ProbeStep(1, .received(isEmpty: true))], false,
                .refused(.clusterDown)
            ),
            (
                [
                    ProbeStep(0, .connected, .query), ProbeStep(1, .received(isEmpty: true)),
                    ProbeStep(2, .connected, .query), ProbeStep(3, .received(isEmpty: false)),
                ], false, nil
            ),
            // A known map stays valid.
            (
                [ProbeStep(0, .connected, .query), ProbeStep(1, .received(isEmpty: true))], true,
                nil
            ),
        ] as [([ProbeStep], Bool, RedisOutage?)])
    func outage(steps: [ProbeStep], hasMap: Bool, outage: RedisOutage?) {
        let probe = Self.run(steps, knownMap: hasMap ? Self.map : SlotMap())
        #expect(probe.outage == outage)
    }

    @Test("takes a map only as the answer to its query, and no empty one")
    func maps() {
        var probe = TopologyProbe(seeds: [Self.a])
        var isTaken = probe.received(Self.map, known: SlotMap())
        #expect(!isTaken)
        _ = probe.connected(now: Self.start)
        #expect(probe.state == .querying(since: Self.start))
        isTaken = probe.received(SlotMap(), known: Self.map)
        #expect(!isTaken && probe.state == .idle)
        _ = probe.connected(now: Self.start)
        isTaken = probe.received(Self.map, known: SlotMap())
        #expect(isTaken && probe.state == .idle)
    }
}
