import Testing

@testable import NodeLink

@Suite("A node's own mailbox")
struct MailboxMonitorTests {
    /// One that was listened to and heard at 1,000.
    private static func monitor() -> MailboxMonitor {
        var mailbox = MailboxMonitor(at: 0)
        _ = mailbox.move(to: 7, at: 900)
        _ = mailbox.subscribed(at: 950)
        mailbox.probeReturned(at: 1000)
        return mailbox
    }

    @Test("is named by the incarnation, and the old one is left with it")
    func newIncarnation() {
        var mailbox = MailboxMonitor(at: 0)
        var move = mailbox.move(to: 7, at: 0)
        #expect(move?.old == nil && move?.new == 7)
        move = mailbox.move(to: 7, at: 0)
        #expect(move == nil)
        move = mailbox.move(to: 8, at: 0)
        #expect(move?.old == 7 && move?.new == 8)
    }

    @Test("may have missed something when it is listened to again, and not the first time")
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

    @Test("is ill after a second of silence, which is said once, and well when something comes")
    func health() {
        var mailbox = Self.monitor()
        let changes = [1500, 2000, 2001, 2500].map { mailbox.healthChange(at: $0) }
        #expect(changes == [nil, nil, false, nil])
        mailbox.probeReturned(at: 2600)
        let change = mailbox.healthChange(at: 2600)
        #expect(change == true)
    }

    /// Looks every tenth of a second; every half second Redis takes a probe, where it does.
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
        "is listened to anew after a second, and once a second from then on, and is ill meanwhile")
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
        "is ill, and not listened to anew, while Redis takes nothing: what it will take then is not lost"
    )
    func stall() {
        var mailbox = Self.monitor()
        // Heard first: the answer came by another connection.
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
