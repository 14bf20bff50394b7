import ChatCore
import ChatModel
import Testing

@testable import ChatEngine

@Suite("A feed's presence")
struct FeedPresenceTests {
    private func feed(knowingOnline people: Person...) -> Feed {
        var feed = Feed(key: .numbered(1), owner: .far)
        for person in people { feed.knownOnline[person.id] = person }
        return feed
    }

    private func joinResult(_ present: [PresenceChange], isCrowd: Bool = false) -> JoinResult {
        JoinResult(
            head: 0, oldest: 1, revision: 1, ended: nil, present: present,
            presentCount: present.count, isCrowd: isCrowd)
    }

    private func signs(_ changes: [PresenceChange]) -> [String] {
        changes.map { ($0.isOnline ? "+" : "-") + $0.person.id.description }
    }

    @Test("delivers only changes that are new to the subscribers, once")
    func unknownChangesOnly() {
        var feed = self.feed(knowingOnline: .alice)
        let changes = [Person.alice.comesOnline, Person.bob.comesOnline, Person.carol.goesOffline]
        #expect(self.signs(feed.presenceChanges(in: changes, at: .sample(0))) == ["+bob"])
        #expect(feed.presenceChanges(in: changes, at: .sample(0)).isEmpty)
        #expect(
            self.signs(feed.presenceChanges(in: [Person.alice.goesOffline], at: .sample(0))) == [
                "-alice"
            ])
        #expect(Set(feed.knownOnline.values.map(\.id)) == [Person.bob.id])
    }

    @Test("derives joins and departures from the owner's list")
    func difference() {
        var feed = self.feed(knowingOnline: .alice, .bob)
        let changes = feed.presenceChanges(
            toReach: self.joinResult([Person.bob.comesOnline, Person.carol.comesOnline]),
            at: .sample(9))
        #expect(self.signs(changes) == ["-alice", "+carol"])
        #expect(changes.first?.at == ClockReading.sample(9).wall)
        #expect(
            feed.presenceChanges(
                toReach: self.joinResult([Person.bob.comesOnline, Person.carol.comesOnline]),
                at: .sample(9)
            ).isEmpty)
    }

    @Test("does not report a joining user as gone, which the owner leaves out of its answer")
    func joiningUser() {
        var feed = self.feed(knowingOnline: .alice, .bob)
        let list = self.joinResult([Person.bob.comesOnline])
        #expect(
            feed.presenceChanges(toReach: list, joiningUser: Person.alice.id, at: .sample(0))
                .isEmpty)
        #expect(self.signs(feed.presenceChanges(toReach: list, at: .sample(0))) == ["-alice"])
        var other = self.feed(knowingOnline: .alice, .bob)
        #expect(
            self.signs(
                other.presenceChanges(toReach: list, joiningUser: Person.carol.id, at: .sample(0)))
                == ["-alice"])
    }

    @Test("names no users of a crowd, and all of them when it ends")
    func crowd() {
        var feed = self.feed(knowingOnline: .alice, .bob)
        #expect(
            feed.presenceChanges(toReach: self.joinResult([], isCrowd: true), at: .sample(0))
                .isEmpty)
        #expect(feed.isCrowd)
        // Subscribers that joined during the crowd know no names, so everyone is named.
        #expect(
            self.signs(
                feed.presenceChanges(
                    in: [Person.bob.comesOnline, Person.carol.comesOnline], at: .sample(0))) == [
                    "-alice", "+bob", "+carol",
                ])
        #expect(!feed.isCrowd)
    }

    @Test("also learns from an answer that a crowd has ended")
    func crowdEndsInAnswer() {
        var feed = self.feed(knowingOnline: .alice)
        feed.isCrowd = true
        let changes = feed.presenceChanges(
            toReach: self.joinResult([Person.bob.comesOnline]), joiningUser: Person.carol.id,
            at: .sample(0))
        #expect(self.signs(changes) == ["-alice", "+bob"])
        #expect(!feed.isCrowd)
    }

    @Test("knows the users of a crowd that were named, up to a limit")
    func crowdLimit() {
        var feed = self.feed()
        feed.recordCrowd([Person.alice.comesOnline])
        #expect(feed.isCrowd)
        #expect(feed.knownOnline.count == 1)
        feed.recordCrowd((1..<Feed.knownOnlineLimit).map { Person.named("p\($0)").comesOnline })
        #expect(feed.knownOnline.count == Feed.knownOnlineLimit)
        feed.recordCrowd([Person.named("one more").comesOnline])
        #expect(feed.knownOnline.count == 0)
    }
}

@Suite("A feed's delivery reports")
struct FeedReportTests {
    private func report(_ person: Person, _ range: ClosedRange<SequenceNumber>) -> DeliveryReport {
        .init(user: person.id, range: range)
    }

    private func feed(_ reports: DeliveryReport...) -> Feed {
        var feed = Feed(key: .numbered(1), owner: .far)
        for report in reports { feed.addReport(report) }
        return feed
    }

    @Test("join touching ranges of one user")
    func joinsTouchingRanges() {
        var feed = self.feed(
            self.report(.alice, 1...2), self.report(.bob, 1...1), self.report(.alice, 3...5),
            self.report(.alice, 2...4))
        #expect(feed.sendReports() == [self.report(.alice, 1...5), self.report(.bob, 1...1)])
        #expect(feed.sendReports().isEmpty)
    }

    @Test("keep ranges apart that do not touch")
    func keepsSeparateRanges() {
        var feed = self.feed(self.report(.alice, 1...2), self.report(.alice, 4...5))
        #expect(feed.sendReports() == [self.report(.alice, 1...2), self.report(.alice, 4...5)])
    }

    @Test("are limited in number, but still grow by touching ranges")
    func reportLimit() {
        var feed = self.feed()
        for number in 0..<(Feed.reportLimit + 10) {
            feed.addReport(self.report(.named("p\(number)"), 1...1))
        }
        #expect(feed.reports.count == Feed.reportLimit)
        feed.addReport(self.report(.named("p0"), 2...2))
        #expect(feed.sendReports().first == self.report(.named("p0"), 1...2))
    }

    @Test(
        "that were sent last are repeated in an attach request: the two newest ones"
    )
    func repeatedInAttachment() {
        var feed = self.feed(
            self.report(.alice, 1...1), self.report(.bob, 1...1), self.report(.carol, 1...1))
        #expect(feed.currentAttachment.delivered.isEmpty)
        _ = feed.sendReports()
        #expect(
            feed.currentAttachment.delivered == [
                self.report(.bob, 1...1), self.report(.carol, 1...1),
            ])
        feed.addReport(self.report(.bob, 2...3))
        _ = feed.sendReports()
        #expect(
            feed.currentAttachment.delivered == [
                self.report(.bob, 1...3), self.report(.carol, 1...1),
            ])
    }

    @Test("touch if one range follows the other, from either side, or overlaps it")
    func rangesTouch() {
        let range: ClosedRange<SequenceNumber> = 3...5
        #expect(
            [1...1, 1...2, 1...4, 4...4, 5...9, 6...6, 7...7].map { range.touches($0) } == [
                false, true, true, true, true, true, false,
            ])
        #expect(range.joined(with: 6...8) == 3...8)
        #expect(range.joined(with: 1...4) == 1...5)
    }
}

extension Feed {
    /// Returns the reports, as if they had been sent.
    fileprivate mutating func sendReports() -> [DeliveryReport] {
        defer { self.recordReportsSent() }
        return self.reports
    }
}
