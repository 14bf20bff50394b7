import Testing

@testable import NodeLink

@Suite("A mailbox monitor")
struct MailboxMonitorTests {
    /// A monitor whose mailbox was subscribed, and whose probe returned, at 1000.
    private static func monitor() -> MailboxMonitor {
        var mailbox = MailboxMonitor(at: 0)
        _ = mailbox.move(to: 7, at: 900)
        _ = mailbox.subscribed(at: 950)
        mailbox.probeReturned(at: 1000)
        return mailbox
    }

    @Test("changes to the mailbox of a new incarnation, and leaves the old one")
    func newIncarnation() {
        var mailbox = MailboxMonitor(at: 0)
        var move = mailbox.move(to: 7, at: 0)
        #expect(move?.old == nil && move?.new == 7)
        move = mailbox.move(to: 7, at: 0)
        #expect(move == nil)
        move = mailbox.move(to: 8, at: 0)
        #expect(move?.old == 7 && move?.new == 8)
    }

    @Test("reports possible losses after a repeated subscription, not after the first")
    func resubscribed() {
        var mailbox = MailboxMonitor(at: 0)
        _ = mailbox.move(to: 7, at: 0)
        var isAgain = mailbox.subscribed(at: 0)
        #expect(!isAgain)
        isAgain = mailbox.subscribed(at: 0)
        #expect(isAgain)
        _ = mailbox.move(to: 8, at: 0)
        isAgain = mailbox.subscribed(at: 0)
        #expect(!isAgain)
    }

    @Test("is unhealthy after a second without a probe, and healthy when one returns")
    func health() {
        var mailbox = Self.monitor()
        let changes = [1500, 2000, 2001, 2500].map { mailbox.healthChange(at: $0) }
        #expect(changes == [nil, nil, false, nil])
        mailbox.probeReturned(at: 2600)
        let change = mailbox.healthChange(at: 2600)
        #expect(change == true)
    }

    /// Checks every 100 ms. Every 500 ms Redis accepts a probe, if it responds.
    private static func resubscriptions(
        of mailbox: inout MailboxMonitor, isRedisResponsive isRedisAwake: Bool, from: Int64,
        through end: Int64
    ) -> [Int64] {
        stride(from: from, through: end, by: 100).filter { time in
            if isRedisAwake, time % 500 == 0 { mailbox.probeAccepted(at: time) }
            defer { _ = mailbox.healthChange(at: time) }
            return mailbox.mustResubscribe(at: time)
        }
    }

    @Test(
        "subscribes again once per second without a probe, and is unhealthy meanwhile")
    func resubscribing() {
        var mailbox = Self.monitor()
        let times = Self.resubscriptions(
            of: &mailbox, isRedisResponsive: true, from: 1100, through: 4200)
        #expect(times == [2100, 3100, 4100])
        #expect(mailbox.resubscriptions == 3)
        let change = mailbox.healthChange(at: 4200)
        #expect(change == nil)
    }

    @Test(
        "does not subscribe again while Redis does not respond, because no probe is lost"
    )
    func stall() {
        var mailbox = Self.monitor()
        // The probe returned first, because the reply uses another connection.
        mailbox.probeAccepted(at: 1010)
        #expect(
            Self.resubscriptions(of: &mailbox, isRedisResponsive: false, from: 1100, through: 6000)
                == [])
        mailbox.probeAccepted(at: 6000)
        mailbox.probeReturned(at: 6010)
        #expect(
            Self.resubscriptions(of: &mailbox, isRedisResponsive: false, from: 6100, through: 9000)
                == [])
        #expect(mailbox.resubscriptions == 0)
    }
}
