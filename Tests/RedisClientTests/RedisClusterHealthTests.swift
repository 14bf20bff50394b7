import Testing

@testable import RedisClient

@Suite("The health of a cluster")
struct RedisClusterHealthTests {
    /// The client's knowledge at one time, and the event that it reports.
    struct HealthStep: Sendable, CustomTestStringConvertible {
        enum Map: Sendable { case empty, complete, gap }
        var map = Map.complete
        var mapOutage: RedisOutage?
        var mastersChanged = false
        var areAllMastersReady = true
        var outage: RedisOutage?
        let event: String

        var testDescription: String { self.event }
    }

    private static let server = RedisEndpoint(host: "a", port: 1)
    private static let complete = SlotMap.sample((0...16_383, Self.server))
    private static let gap = SlotMap.sample((1...16_383, Self.server))

    private static func map(_ kind: HealthStep.Map) -> SlotMap {
        switch kind {
        case .empty: SlotMap()
        case .complete: Self.complete
        case .gap: Self.gap
        }
    }

    @Test(
        "is reported once as available, or as unavailable if a master or a slot is missing",
        arguments: [
            [
                HealthStep(map: .empty, event: "nothing"),
                HealthStep(
                    map: .empty, mapOutage: .noRedisClusterNode(reason: "x"),
                    event: "unavailable \(RedisOutage.noRedisClusterNode(reason: "x"))"),
                HealthStep(
                    map: .empty, mapOutage: .noRedisClusterNode(reason: "x"), event: "nothing"),
                HealthStep(areAllMastersReady: false, event: "nothing"),
                HealthStep(event: "ready 1"),
                HealthStep(event: "nothing"),
                HealthStep(mastersChanged: true, areAllMastersReady: false, event: "nothing"),
                HealthStep(event: "ready 2"),
                HealthStep(
                    areAllMastersReady: false, outage: .ended,
                    event: "unavailable \(RedisOutage.ended)"),
                HealthStep(event: "ready 3"),
                HealthStep(map: .gap, event: "unavailable \(RedisOutage.refused(.clusterDown))"),
            ],
            // A master without a connection and without a reason is only connecting.
            [
                HealthStep(event: "ready 1"),
                HealthStep(areAllMastersReady: false, event: "nothing"),
                HealthStep(event: "nothing"),
            ],
            // Another reason is another report.
            [
                HealthStep(
                    areAllMastersReady: false, outage: .ended,
                    event: "unavailable \(RedisOutage.ended)"),
                HealthStep(
                    areAllMastersReady: false, outage: .notMaster,
                    event: "unavailable \(RedisOutage.notMaster)"),
                HealthStep(mastersChanged: true, event: "ready 1"),
                HealthStep(event: "nothing"),
            ],
            // A gap outweighs the outage of a master, and the missing map outweighs both.
            [
                HealthStep(
                    map: .gap, areAllMastersReady: false, outage: .ended,
                    event: "unavailable \(RedisOutage.refused(.clusterDown))"),
                HealthStep(
                    map: .empty, mapOutage: .notMaster, areAllMastersReady: false, outage: .ended,
                    event: "unavailable \(RedisOutage.notMaster)"),
            ],
        ])
    func reports(steps: [HealthStep]) {
        var health = RedisClusterHealth()
        for (number, step) in steps.enumerated() {
            if step.mastersChanged { health.mastersChanged() }
            let event = health.nextEvent(
                map: Self.map(step.map), mapOutage: step.mapOutage,
                areAllMastersReady: step.areAllMastersReady, outage: step.outage)
            #expect(event.map(describe) ?? "nothing" == step.event, "step \(number)")
        }
    }

    @Test(
        "has one state, which changes only as far as the last report allows",
        arguments: [
            // Events: r = all masters are ready, u = one is unavailable, c = masters have changed,
            // x = the client is closed.
            ("", .starting, false), ("c", .starting, false), ("r", .available, true),
            ("rc", .changed, true), ("rcr", .available, true),
            ("u", .unavailable(.ended), false), ("uc", .unavailable(.ended), false),
            ("rcu", .unavailable(.ended), false), ("ur", .available, true), ("x", .closed, false),
            ("rx", .closed, false), ("xcru", .closed, false),
        ] as [(String, RedisClusterHealth.State, Bool)])
    func states(events: String, state: RedisClusterHealth.State, isAvailable: Bool) {
        var health = RedisClusterHealth()
        for event in events {
            switch event {
            case "c": health.mastersChanged()
            case "x": health.close()
            default:
                _ = health.nextEvent(
                    map: Self.complete, mapOutage: nil, areAllMastersReady: event == "r",
                    outage: event == "r" ? nil : .ended)
            }
        }
        #expect(health.state == state)
        #expect(health.isAvailable == isAvailable)
        #expect(health.isClosed == (state == .closed))
    }
}
