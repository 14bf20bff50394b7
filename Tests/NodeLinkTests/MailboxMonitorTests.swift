import Testing

@testable import NodeLink

@Suite("A mailbox monitor")
struct MailboxMonitorTests {
    /// A monitor whose mailbox was subscribed, and whose probe returned, at 1000.
    private static func monitor() -> MailboxMonitor {
        var monitor = MailboxMonitor(at: 0)
        _ = monitor.move(to: 7, at: 900)
        _ = monitor.subscribed(at: 950)
        monitor.probeReturned(at: 1000)
        return monitor
    }

    @Test("changes to the mailbox of a new incarnation, and leaves the old one")
    func newIncarnation() {
        var monitor = MailboxMonitor(at: 0)
        var move = monitor.move(to: 7, at: 0)
        #expect(move?.old == nil && move?.new == 7)
        move = monitor.move(to: 7, at: 0)
        #expect(move == nil)
        move = monitor.move(to: 8, at: 0)
        #expect(move?.old == 7 && move?.new == 8)
    }

    @Test("reports possible losses after a repeated subscription, not after the first")
    func resubscribed() {
        var monitor = MailboxMonitor(at: 0)
        _ = monitor.move(to: 7, at: 0)
        var isAgain = monitor.subscribed(at: 0)
        #expect(!isAgain)
        isAgain = monitor.subscribed(at: 0)
        #expect(isAgain)
        _ = monitor.move(to: 8, at: 0)
        isAgain = monitor.subscribed(at: 0)
        #expect(!isAgain)
    }

    @Test("is unhealthy after a second without a probe, and healthy when one returns")
    func health() {
        var monitor = Self.monitor()
        let changes = [1500, 2000, 2001, 2500].map { monitor.healthChange(at: $0) }
        #expect(changes == [nil, nil, false, nil])
        monitor.probeReturned(at: 2600)
        let change = monitor.healthChange(at: 2600)
        #expect(change == true)
    }

    @Test("reports a lost connection that was replaced before the silence was noticed")
    func replacement() {
        var monitor = Self.monitor()
        let none = monitor.takeReplacement()
        #expect(none == nil)
        let isAgain = monitor.subscribed(at: 1300)
        #expect(isAgain && monitor.resubscriptions == 1)
        let ages = [monitor.takeReplacement(), monitor.takeReplacement()]
        #expect(ages == [300, nil])
        // A longer silence has its own event.
        let change = monitor.healthChange(at: 2400)
        #expect(change == false)
        _ = monitor.subscribed(at: 2500)
        let later = monitor.takeReplacement()
        #expect(later == nil && monitor.resubscriptions == 1)
    }

    /// Checks every 100 ms. Every 500 ms Redis accepts a probe, if it responds.
    private static func resubscriptions(
        of monitor: inout MailboxMonitor, isRedisResponsive isRedisAwake: Bool, from: Int64,
        through end: Int64
    ) -> [Int64] {
        stride(from: from, through: end, by: 100).filter { time in
            if isRedisAwake, time % 500 == 0 { monitor.probeAccepted(at: time) }
            defer { _ = monitor.healthChange(at: time) }
            return monitor.mustResubscribe(at: time)
        }
    }

    @Test(
        "subscribes again once per second without a probe, and is unhealthy meanwhile")
    func resubscribing() {
        var monitor = Self.monitor()
        let times = Self.resubscriptions(
            of: &monitor, isRedisResponsive: true, from: 1100, through: 4200)
        #expect(times == [2100, 3100, 4100])
        #expect(monitor.resubscriptions == 3)
        let change = monitor.healthChange(at: 4200)
        #expect(change == nil)
    }

    @Test(
        "does not subscribe again while Redis does not respond, because no probe is lost"
    )
    func stall() {
        var monitor = Self.monitor()
        // The probe returned first, because the reply uses another connection.
        monitor.probeAccepted(at: 1010)
        #expect(
            Self.resubscriptions(of: &monitor, isRedisResponsive: false, from: 1100, through: 6000)
                == [])
        monitor.probeAccepted(at: 6000)
        monitor.probeReturned(at: 6010)
        #expect(
            Self.resubscriptions(of: &monitor, isRedisResponsive: false, from: 6100, through: 9000)
                == [])
        #expect(monitor.resubscriptions == 0)
    }
}
