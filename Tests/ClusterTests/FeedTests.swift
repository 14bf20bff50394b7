import Bytes
import ChatCore
import ChatModel
import Testing

@testable import Cluster

@Suite("A feed")
struct FeedTests {
    private func feed(_ state: Feed.State = .live, at revision: Revision = 0) -> Feed {
        var feed = Feed(key: .numbered(1), owner: .far)
        feed.state = state
        feed.revision = revision
        feed.shownThrough = revision
        return feed
    }

    private func judge(_ revision: Revision, by feed: inout Feed) -> String {
        switch feed.judge(.posted(.sample(revision)), revision: revision, answering: RequestID(revision)) {
        case .deliver: "deliver"
        case .drop: "drop"
        case .hold(repair: true): "hold, repair"
        case .hold(repair: false): "hold"
        }
    }

    @Test("delivers the next change, drops what it has shown, and holds what came too early")
    func judgement() {
        var feed = self.feed(at: 5)
        #expect(
            (1...8).map { self.judge($0, by: &feed) } == [
                "drop", "drop", "drop", "drop", "drop", "deliver", "hold, repair", "hold, repair",
            ])
    }

    @Test("drops everything until somebody has come in: it is in the answer")
    func opening() {
        var feed = self.feed(.opening)
        #expect(self.judge(1, by: &feed) == "drop")
        #expect(self.judge(7, by: &feed) == "drop")
        #expect(!feed.hasEarly)
    }

    @Test("holds even the next change while it is repaired, and asks for no second repair")
    func repairing() {
        var feed = self.feed(.repairing, at: 5)
        #expect(self.judge(5, by: &feed) == "drop")
        #expect(self.judge(6, by: &feed) == "hold")
        #expect(self.judge(9, by: &feed) == "hold")
    }

    @Test("takes changes that came early when their turn has come")
    func early() {
        var feed = self.feed(at: 5)
        for revision in [8, 7, 10] { _ = self.judge(revision, by: &feed) }
        #expect(feed.takeNext() == nil)
        feed.note(.posted(.sample(6)), revision: 6, at: .sample(0))
        for revision in [7, 8] {
            let next = feed.takeNext()
            #expect(next?.answering == RequestID(revision))
            feed.note(next!.event, revision: revision, at: .sample(0))
        }
        #expect(feed.takeNext() == nil)
        #expect(feed.hasEarly)
    }

    @Test("takes no message early that does not follow the last one: it is another master's, under a revision that both have given")
    func otherHistory() {
        var feed = self.feed(at: 5)
        let revisions = 7...8
        for revision in revisions {
            _ = feed.judge(.posted(.sample(revision + 1)), revision: revision, answering: RequestID(revision))
        }
        feed.note(.posted(.sample(6)), revision: 6, at: .sample(0))
        #expect(feed.takeNext() == nil)
        #expect(feed.hasEarly)
        // The repair has shown what holds.
        feed.note(.posted(.sample(9)), revision: 8, at: .sample(0))
        #expect(feed.forget(through: 8).map(\.answering) == revisions.map { RequestID($0) })
        #expect(!feed.hasEarly)
    }

    @Test("keeps so many early changes and forgets those beyond, which its repair reads from the store")
    func earlyBound() {
        var feed = self.feed(.repairing, at: 0)
        for revision in 2...(Feed.earlyLimit + 20) { #expect(self.judge(revision, by: &feed) == "hold") }
        #expect(feed.early.count == Feed.earlyLimit)
        #expect(feed.early.keys.max() == Feed.earlyLimit + 1)
    }

    @Test("gives back in order the early changes that a repair has covered, and keeps the others")
    func forgetting() {
        var feed = self.feed(.repairing, at: 0)
        for revision in [9, 3, 7, 5] { _ = self.judge(revision, by: &feed) }
        #expect(feed.forget(through: 7).map(\.answering) == [3, 5, 7])
        #expect(Array(feed.early.keys) == [9])
    }

    @Test("notes of each change what later ones are held against")
    func notes() {
        var feed = self.feed(at: 3)
        feed.note(.posted(.sample(4)), revision: 4, at: .sample(0))
        #expect(feed.shownThrough == 4)
        #expect(feed.amendedAt == 0)
        feed.note(.edited(.sample(2)), revision: 5, at: .sample(0))
        #expect(feed.shownThrough == 4)
        #expect(feed.amendedAt == 5)
        feed.note(.deleted(.sample(1)), revision: 6, at: .sample(0))
        #expect(feed.amendedAt == 6)
        feed.note(.ended(by: Person.bob.id, at: Moment.sample(0).wall), revision: 7, at: .sample(0))
        #expect(feed.isEnded)
        #expect(feed.revision == 7)
    }

    @Test("knows what a repair has shown: messages by number, amendments by revision, the end by itself")
    func shownByRepair() {
        var feed = self.feed(at: 10)
        feed.mendedThrough = 20
        let member = Member(user: Person.bob.id, name: "bob", role: .member, joinedAt: Moment.sample(0).wall)
        #expect(feed.hasShown(.posted(.sample(10)), revision: 30))
        #expect(!feed.hasShown(.posted(.sample(11)), revision: 12))
        #expect(feed.hasShown(.edited(.sample(3)), revision: 20))
        #expect(!feed.hasShown(.deleted(.sample(3)), revision: 21))
        #expect(!feed.hasShown(.joined(member), revision: 11))
        let end = ChatEvent.ended(by: Person.bob.id, at: Moment.sample(0).wall)
        #expect(!feed.hasShown(end, revision: 11))
        feed.isEnded = true
        #expect(feed.hasShown(end, revision: 11))
    }

    @Test("gives out the requests that wait for a message, once, and all of them when asked for any")
    func held() {
        var feed = self.feed()
        feed.held = [.init(sequence: 4, request: 40), .init(sequence: 5, request: 50), .init(sequence: 4, request: 41)]
        #expect(feed.takeHeld(3) == [])
        #expect(feed.takeHeld(4) == [40, 41])
        #expect(feed.takeHeld(4) == [])
        feed.held.append(.init(sequence: 9, request: 90))
        #expect(feed.takeHeld(nil) == [50, 90])
        #expect(feed.held.isEmpty)
    }

    @Test("gives out a page when it has caught up with it, or when the page has waited long enough")
    func pages() {
        var feed = self.feed(at: 5)
        for (context, revision, patience) in [(1, 5, 1000), (2, 6, 1000), (3, 9, 800)] as [(UInt64, Revision, Int64)] {
            var read = Feed.PageRead(context: context, conversation: feed.key, request: .page(feed.key, .newest, limit: 10))
            read.page = Page(messages: [], head: 0, oldest: 1, revision: revision)
            read.heldUntil = patience
            feed.pages.append(read)
        }
        #expect(feed.takePages().map(\.context) == [1])
        feed.revision = 6
        #expect(feed.takePages().map(\.context) == [2])
        #expect(feed.takePages(at: 799).map(\.context) == [])
        #expect(feed.takePages(at: 800).map(\.context) == [3])
        #expect(feed.pages.isEmpty)
    }

    @Test("tells its owner who listens, who is at the door, and whom they believe to be there, each in order")
    func knowledge() {
        var feed = self.feed()
        for (person, connections) in [(Person.carol, 1), (.alice, 2), (.bob, 0)] as [(Person, Int32)] {
            feed.listeners[person.id] = Feed.Listener(person: person, connections: connections, entering: 1)
        }
        for person in [Person.carol, .bob] { feed.heard[person.id] = person }
        #expect(feed.knowledge.present == [.alice, .carol])
        #expect(feed.knowledge.entering == [.bob])
        #expect(feed.knowledge.heard == [.bob, .carol])
        // Of a crowd nobody knows who is there.
        feed.isCrowd = true
        #expect(feed.knowledge.heard == [])
    }
}
