import ChatCore
import ChatModel
import Testing

@testable import Cluster

@Suite("A feed's presence")
struct FeedPresenceTests {
    private func feed(hearing people: Person...) -> Feed {
        var feed = Feed(key: .numbered(1), owner: .far)
        for person in people { feed.heard[person.id] = person }
        return feed
    }

    private func entered(_ present: [PresenceChange], isCrowd: Bool = false) -> Entered {
        Entered(head: 0, oldest: 1, revision: 1, ended: nil, present: present, presentCount: present.count, isCrowd: isCrowd)
    }

    private func told(_ changes: [PresenceChange]) -> [String] { changes.map { ($0.isOnline ? "+" : "-") + $0.person.id.description } }

    @Test("tells what listeners do not know already, once")
    func news() {
        var feed = self.feed(hearing: .alice)
        let changes = [Person.alice.isComing, Person.bob.isComing, Person.carol.isGoing]
        #expect(self.told(feed.news(in: changes, at: .sample(0))) == ["+bob"])
        #expect(feed.news(in: changes, at: .sample(0)).isEmpty)
        #expect(self.told(feed.news(in: [Person.alice.isGoing], at: .sample(0))) == ["-alice"])
        #expect(Set(feed.heard.values.map(\.id)) == [Person.bob.id])
    }

    @Test("makes of an owner's list of those present who has come and who is gone")
    func difference() {
        var feed = self.feed(hearing: .alice, .bob)
        let news = feed.news(towards: self.entered([Person.bob.isComing, Person.carol.isComing]), at: .sample(9))
        #expect(self.told(news) == ["-alice", "+carol"])
        #expect(news.first?.at == Moment.sample(9).wall)
        #expect(feed.news(towards: self.entered([Person.bob.isComing, Person.carol.isComing]), at: .sample(9)).isEmpty)
    }

    @Test("does not take a newcomer, whom the owner leaves out of its own answer, for gone")
    func newcomer() {
        var feed = self.feed(hearing: .alice, .bob)
        let list = self.entered([Person.bob.isComing])
        #expect(feed.news(towards: list, newcomer: Person.alice.id, at: .sample(0)).isEmpty)
        #expect(self.told(feed.news(towards: list, at: .sample(0))) == ["-alice"])
        var other = self.feed(hearing: .alice, .bob)
        #expect(self.told(other.news(towards: list, newcomer: Person.carol.id, at: .sample(0))) == ["-alice"])
    }

    @Test("names nobody of a crowd, and everybody again when it has ended")
    func crowd() {
        var feed = self.feed(hearing: .alice, .bob)
        #expect(feed.news(towards: self.entered([], isCrowd: true), at: .sample(0)).isEmpty)
        #expect(feed.isCrowd)
        // Those who came in meanwhile know nobody: who stayed is named too.
        #expect(self.told(feed.news(in: [Person.bob.isComing, Person.carol.isComing], at: .sample(0))) == ["-alice", "+bob", "+carol"])
        #expect(!feed.isCrowd)
    }

    @Test("learns from an answer, too, that a crowd has ended")
    func crowdEndsInAnswer() {
        var feed = self.feed(hearing: .alice)
        feed.isCrowd = true
        let news = feed.news(towards: self.entered([Person.bob.isComing]), newcomer: Person.carol.id, at: .sample(0))
        #expect(self.told(news) == ["-alice", "+bob"])
        #expect(!feed.isCrowd)
    }

    @Test("of a crowd knows those who were told by name, up to a bound")
    func crowdBound() {
        var feed = self.feed()
        feed.noteCrowd([Person.alice.isComing])
        #expect(feed.isCrowd)
        #expect(feed.heard.count == 1)
        feed.noteCrowd((1..<Feed.heardLimit).map { Person.named("p\($0)").isComing })
        #expect(feed.heard.count == Feed.heardLimit)
        feed.noteCrowd([Person.named("one more").isComing])
        #expect(feed.heard.count == 0)
    }
}

@Suite("A feed's reports of deliveries")
struct FeedReportTests {
    private func report(_ person: Person, _ range: ClosedRange<SequenceNumber>) -> DeliveryReport { .init(user: person.id, range: range) }

    private func feed(_ reports: DeliveryReport...) -> Feed {
        var feed = Feed(key: .numbered(1), owner: .far)
        for report in reports { feed.report(report) }
        return feed
    }

    @Test("join ranges of one user that touch")
    func joining() {
        var feed = self.feed(self.report(.alice, 1...2), self.report(.bob, 1...1), self.report(.alice, 3...5), self.report(.alice, 2...4))
        #expect(feed.takeReports() == [self.report(.alice, 1...5), self.report(.bob, 1...1)])
        #expect(feed.takeReports().isEmpty)
    }

    @Test("claim nothing between ranges that do not touch")
    func apart() {
        var feed = self.feed(self.report(.alice, 1...2), self.report(.alice, 4...5))
        #expect(feed.takeReports() == [self.report(.alice, 1...2), self.report(.alice, 4...5)])
    }

    @Test("are so many and no more, but what touches one that is there is still taken")
    func bound() {
        var feed = self.feed()
        for number in 0..<(Feed.reportLimit + 10) { feed.report(self.report(.named("p\(number)"), 1...1)) }
        #expect(feed.reports.count == Feed.reportLimit)
        feed.report(self.report(.named("p0"), 2...2))
        #expect(feed.takeReports().first == self.report(.named("p0"), 1...2))
    }

    @Test("that left last are told again in an attachment: the two newest, for those may be what was lost")
    func repeated() {
        var feed = self.feed(self.report(.alice, 1...1), self.report(.bob, 1...1), self.report(.carol, 1...1))
        #expect(feed.knowledge.delivered.isEmpty)
        _ = feed.takeReports()
        #expect(feed.knowledge.delivered == [self.report(.bob, 1...1), self.report(.carol, 1...1)])
        feed.report(self.report(.bob, 2...3))
        _ = feed.takeReports()
        #expect(feed.knowledge.delivered == [self.report(.bob, 1...3), self.report(.carol, 1...1)])
    }

    @Test("touch where one range goes on behind the other, from either side, or overlaps it")
    func touching() {
        let range: ClosedRange<SequenceNumber> = 3...5
        #expect(
            [1...1, 1...2, 1...4, 4...4, 5...9, 6...6, 7...7].map { range.touches($0) } == [false, true, true, true, true, true, false])
        #expect(range.joined(with: 6...8) == 3...8)
        #expect(range.joined(with: 1...4) == 1...5)
    }
}

extension Feed {
    /// The reports, as if they had left.
    fileprivate mutating func takeReports() -> [DeliveryReport] {
        defer { self.noteReported() }
        return self.reports
    }
}
